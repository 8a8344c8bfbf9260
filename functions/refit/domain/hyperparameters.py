"""The hyperparameters that a model's settings may set, with their types and ranges.

Only these reach the training container, which passes some of them to `eval()`.

Source  SageMaker Developer Guide, "XGBoost hyperparameters"; the verdicts of image 3.0-5
        (docs/sagemaker-contract.md, "Hyperparameters"); botocore model, HyperParameterValue
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from refit.domain.nearest_names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

Value = str | int | float | bool

MAX_VALUE_CHARACTERS = 2500
ALIASES = {
    "learning_rate": "eta",
    "min_split_loss": "gamma",
    "reg_lambda": "lambda",
    "reg_alpha": "alpha",
}
_THRESHOLD_METRICS = ("error", "map", "ndcg")
_SHOWN_CHARACTERS = 60


class Rule(Protocol):
    """What values a hyperparameter takes."""

    @property
    def allowed(self) -> str:
        """The values, in words."""

    def allows(self, value: Value) -> bool:
        """Return whether the container takes the value as it is meant."""


@dataclass(frozen=True)
class Number:
    """A number in a range; ends that are open are excluded."""

    low: float = -math.inf
    high: float = math.inf
    low_is_open: bool = False
    high_is_open: bool = False
    whole: bool = False

    @property
    def allowed(self) -> str:
        """The range, in words."""
        limits = []
        if self.low > -math.inf:
            limits.append(f"{'>' if self.low_is_open else '≥'} {self.low:g}")
        if self.high < math.inf:
            limits.append(f"{'<' if self.high_is_open else '≤'} {self.high:g}")
        return f"a {'whole ' if self.whole else ''}number {' and '.join(limits)}".rstrip()

    def allows(self, value: Value) -> bool:
        """Return whether the value is a finite number in the range."""
        text = str(value)
        if isinstance(value, bool) or (self.whole and not re.fullmatch(r"[+-]?[0-9]+", text)):
            return False
        try:
            number = float(text)
        except ValueError:
            return False
        above = number > self.low if self.low_is_open else number >= self.low
        below = number < self.high if self.high_is_open else number <= self.high
        return math.isfinite(number) and above and below


@dataclass(frozen=True)
class Choice:
    """One of some texts."""

    texts: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """The texts."""
        return ", ".join(self.texts)

    def allows(self, value: Value) -> bool:
        """Return whether the value is one of the texts; true and false may be truth values."""
        return (str(value).lower() if isinstance(value, bool) else value) in self.texts


@dataclass(frozen=True)
class Listed:
    """Texts with commas between them."""

    texts: tuple[str, ...]
    thresholds: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        """The texts, and which may have a threshold."""
        with_threshold = ", ".join(f"{text}@0.5" for text in self.thresholds)
        rest = f"; with a threshold: {with_threshold}" if with_threshold else ""
        return f"one or more of {', '.join(self.texts)}, with commas between them{rest}"

    def allows(self, value: Value) -> bool:
        """Return whether every part is one of the texts, or has a threshold where it may."""
        return isinstance(value, str) and all(self._has(part) for part in value.split(","))

    def _has(self, part: str) -> bool:
        name, at, threshold = part.partition("@")
        if not at:
            return name in self.texts
        return name in self.thresholds and Number().allows(threshold)


@dataclass(frozen=True)
class Form:
    """A text of an exact form, which the container evaluates as Python."""

    pattern: re.Pattern[str]
    allowed: str

    def allows(self, value: Value) -> bool:
        """Return whether the value has the form."""
        return isinstance(value, str) and bool(self.pattern.fullmatch(value))


def _whole(low: float = -math.inf, high: float = math.inf) -> Number:
    return Number(low, high, whole=True)


_SIGN, _GROUP = r"(-1|0|1)", r"\[[1-9][0-9]*(, ?[1-9][0-9]*)*\]"
_TRUTH = Choice(("true", "false"))
_SHARE = Number(0, 1)
_POSITIVE_SHARE = Number(0, 1, low_is_open=True)
_NOT_NEGATIVE = Number(0)

RULES: Mapping[str, Rule] = {
    "num_round": _whole(1),
    "csv_weights": _whole(0, 1),
    "early_stopping_rounds": _whole(1),
    "booster": Choice(("gbtree", "gblinear", "dart")),
    "verbosity": _whole(0, 3),
    "nthread": _whole(1),
    "eta": _SHARE,
    "gamma": _NOT_NEGATIVE,
    "max_depth": _whole(0),
    "min_child_weight": _NOT_NEGATIVE,
    "max_delta_step": _NOT_NEGATIVE,
    "subsample": _POSITIVE_SHARE,
    "colsample_bytree": _POSITIVE_SHARE,
    "colsample_bylevel": _POSITIVE_SHARE,
    "colsample_bynode": _POSITIVE_SHARE,
    "lambda": _NOT_NEGATIVE,
    "alpha": _NOT_NEGATIVE,
    "tree_method": Choice(("auto", "exact", "approx", "hist", "gpu_hist")),
    "sketch_eps": Number(0, 1, low_is_open=True, high_is_open=True),
    "scale_pos_weight": Number(0, low_is_open=True),
    "updater": Listed(
        (
            "grow_colmaker",
            "distcol",
            "grow_histmaker",
            "grow_skmaker",
            "sync",
            "refresh",
            "prune",
            "shotgun",
            "coord_descent",
        )
    ),
    "dsplit": Choice(("row", "col")),
    "refresh_leaf": _whole(0, 1),
    "process_type": Choice(("default", "update")),
    "grow_policy": Choice(("depthwise", "lossguide")),
    "max_leaves": _whole(0),
    "max_bin": _whole(0),
    "predictor": Choice(("auto", "cpu_predictor", "gpu_predictor")),
    "monotone_constraints": Form(
        re.compile(rf"\({_SIGN}(,|(, ?{_SIGN})+)\)"),
        "one of -1, 0 and 1 for each feature, such as (1,0,-1), or (1,) for a single feature",
    ),
    "interaction_constraints": Form(
        re.compile(rf"\[{_GROUP}(, ?{_GROUP})*\]"),
        "groups of the numbers of features, from 1, such as [[1,2],[3,4]]",
    ),
    "sample_type": Choice(("uniform", "weighted")),
    "normalize_type": Choice(("tree", "forest")),
    "rate_drop": _SHARE,
    "one_drop": _whole(0, 1),
    "skip_drop": _SHARE,
    "lambda_bias": _SHARE,
    "tweedie_variance_power": Number(1, 2, low_is_open=True, high_is_open=True),
    "objective": Choice(
        (
            "binary:logistic",
            "binary:logitraw",
            "binary:hinge",
            "count:poisson",
            "multi:softmax",
            "multi:softprob",
            "rank:pairwise",
            "rank:ndcg",
            "rank:map",
            "reg:linear",
            "reg:squarederror",
            "reg:logistic",
            "reg:gamma",
            "reg:pseudohubererror",
            "reg:squaredlogerror",
            "reg:absoluteerror",
            "reg:tweedie",
            "survival:aft",
            "survival:cox",
        )
    ),
    "num_class": _whole(2),
    "base_score": _NOT_NEGATIVE,
    "eval_metric": Listed(
        (
            "accuracy",
            "auc",
            "aucpr",
            "balanced_accuracy",
            "f1",
            "f1_binary",
            "f1_macro",
            "map",
            "ndcg",
            "precision",
            "r2",
            "recall",
            "precision_macro",
            "precision_micro",
            "recall_macro",
            "recall_micro",
            "aft-nloglik",
            "cox-nloglik",
            "error",
            "gamma-deviance",
            "gamma-nloglik",
            "interval-regression-accuracy",
            "logloss",
            "mae",
            "mape",
            "merror",
            "mlogloss",
            "mphe",
            "mse",
            "poisson-nloglik",
            "rmse",
            "rmsle",
            "tweedie-nloglik",
        ),
        _THRESHOLD_METRICS,
    ),
    "seed": Number(-(2**31), 2**31 - 1, low_is_open=True, high_is_open=True, whole=True),
    "num_parallel_tree": _whole(1),
    "save_model_on_termination": _TRUTH,
    "aft_loss_distribution": Choice(("normal", "logistic", "extreme")),
    "aft_loss_distribution_scale": _NOT_NEGATIVE,
    "deterministic_histogram": _TRUTH,
    "sampling_method": Choice(("uniform", "gradient_based")),
    "prob_buffer_row": Number(1, low_is_open=True, whole=True),
}
"""Without those of cross-validation, tuning and several GPUs, which Refit does not use."""


def check_hyperparameters(
    values: Mapping[str, Value],
    rules: Mapping[str, Rule] = RULES,
    aliases: Mapping[str, str] = ALIASES,
) -> None:
    """Check the hyperparameters of a model's settings.

    Args:
        values: by name.
        rules: what may be set, by name; those of XGBoost unless given.
        aliases: other names of some of them.

    Raises:
        ValueError: names the hyperparameter, its value, and what is allowed.
    """
    for name, value in values.items():
        rule = rules.get(aliases.get(name, name))
        if rule is None:
            known = sorted([*rules, *aliases])
            raise ValueError(
                f"{name} is not a hyperparameter that can be set; {did_you_mean(name, known)}"
                f"allowed: {', '.join(known)}"
            )
        if not rule.allows(value):
            question = did_you_mean(str(value), getattr(rule, "texts", ()))
            raise ValueError(
                f"{name} = {_shown(value)} is not allowed; {question}allowed: {rule.allowed}"
            )
        if len(str(value)) > MAX_VALUE_CHARACTERS:
            raise ValueError(
                f"{name} has {len(str(value))} characters; SageMaker allows {MAX_VALUE_CHARACTERS}"
            )


def _shown(value: Value) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
