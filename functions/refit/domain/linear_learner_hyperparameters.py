"""The hyperparameters of SageMaker's linear learner that a model's settings may set.

Source  SageMaker Developer Guide, "Linear learner hyperparameters"
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit.domain.hyperparameters import Choice, Number, Rule, Value, check_hyperparameters

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class _Or:
    """One of some texts, or a number."""

    texts: tuple[str, ...]
    number: Number

    @property
    def allowed(self) -> str:
        """The texts, and the range."""
        return f"{', '.join(self.texts)} or {self.number.allowed}"

    def allows(self, value: Value) -> bool:
        """Return whether the value is one of the texts, or a number in the range."""
        return value in self.texts or self.number.allows(value)


def _auto(number: Number) -> _Or:
    return _Or(("auto",), number)


_COUNT = Number(1, whole=True)
_POSITIVE = Number(0, low_is_open=True)
_NOT_NEGATIVE = Number(0)
_SHARE = Number(0, 1)
_TRUTH = Choice(("true", "false"))
_AUTO_TRUTH = Choice(("auto", "true", "false"))

RULES: Mapping[str, Rule] = {
    "accuracy_top_k": _COUNT,
    "balance_multiclass_weights": _TRUTH,
    "beta_1": _auto(_SHARE),
    "beta_2": _auto(_SHARE),
    "bias_lr_mult": _auto(_POSITIVE),
    "bias_wd_mult": _auto(_NOT_NEGATIVE),
    "binary_classifier_model_selection_criteria": Choice(
        (
            "accuracy",
            "f_beta",
            "precision_at_target_recall",
            "recall_at_target_precision",
            "loss_function",
        )
    ),
    "early_stopping_patience": _COUNT,
    "early_stopping_tolerance": _POSITIVE,
    "epochs": _COUNT,
    "f_beta": _POSITIVE,
    "huber_delta": _POSITIVE,
    "init_bias": Number(),
    "init_method": Choice(("uniform", "normal")),
    "init_scale": _POSITIVE,
    "init_sigma": _POSITIVE,
    "l1": _auto(_NOT_NEGATIVE),
    "learning_rate": _auto(_POSITIVE),
    "loss": Choice(
        (
            "auto",
            "logistic",
            "softmax_loss",
            "squared_loss",
            "absolute_loss",
            "eps_insensitive_squared_loss",
            "eps_insensitive_absolute_loss",
            "quantile_loss",
            "huber_loss",
        )
    ),
    "loss_insensitivity": _POSITIVE,
    "lr_scheduler_factor": _auto(_SHARE),
    "lr_scheduler_minimum_lr": _auto(_POSITIVE),
    "lr_scheduler_step": _auto(_COUNT),
    "mini_batch_size": _COUNT,
    "momentum": _auto(_SHARE),
    "normalize_data": _AUTO_TRUTH,
    "normalize_label": _AUTO_TRUTH,
    "num_calibration_samples": _auto(_COUNT),
    "num_models": _auto(_COUNT),
    "num_point_for_scaler": _COUNT,
    "optimizer": Choice(("auto", "sgd", "adam", "rmsprop")),
    "positive_example_weight_mult": _Or(("balanced", "auto"), _POSITIVE),
    "quantile": _SHARE,
    "target_precision": _SHARE,
    "target_recall": _SHARE,
    "unbias_data": _AUTO_TRUTH,
    "unbias_label": _AUTO_TRUTH,
    "use_bias": _TRUTH,
    "use_lr_scheduler": _TRUTH,
    "wd": _auto(_NOT_NEGATIVE),
}
"""Without those that the data decide (`feature_dim`, `num_classes`, `predictor_type`), and without
`margin` and the loss `hinge_loss`, whose scores are no probabilities."""


def check_linear_learner_hyperparameters(values: Mapping[str, Value]) -> None:
    """Check the hyperparameters of a model's settings.

    Raises:
        ValueError: names the hyperparameter, its value, and what is allowed.
    """
    check_hyperparameters(values, RULES, {})
