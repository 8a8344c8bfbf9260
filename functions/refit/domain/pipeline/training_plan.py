"""Choose hyperparameters, instance type and volume of a training job from the shape of the data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit.domain.errors import SettingsInvalid
from refit.domain.hyperparameters import ALIASES
from refit.domain.pipeline.linear_learner_plan import linear_learner_hyperparameters
from refit.domain.pipeline.xgboost_rules import BINARY, MANY, check_objective, check_xgboost
from refit.domain.quality_metrics import METRICS

if TYPE_CHECKING:
    from refit.domain.training_settings import TrainingSettings
    from refit.domain.vocabulary import Task

GIB = 1024**3
# (instance type, vCPU, GiB), general purpose: the smallest that fits is chosen.
INSTANCES = (
    ("ml.m5.large", 2, 8),
    ("ml.m5.xlarge", 4, 16),
    ("ml.m5.2xlarge", 8, 32),
    ("ml.m5.4xlarge", 16, 64),
    ("ml.m5.12xlarge", 48, 192),
    ("ml.m5.24xlarge", 96, 384),
)
# XGBoost's text loader peaks at about 4.2 times the dense float32 matrix (657 MB for 50,000 x 784);
# the histogram index and the trees need more.
LOADER_FACTOR = 6
BASE_GIB = 1.0
WIDE_FEATURES = 100
MANY_FEATURES = 50
FEW_FEATURES = 5
FEW_ROWS = 500
LARGE_ROWS = 20_000
# (training rows below which, depth of the trees)
_DEPTHS = ((2_000, 4), (5_000, 5), (LARGE_ROWS, 6))
_LARGE_DEPTH = 7
EARLY_STOPPING_ROUNDS = 10
# XGBoost's auc and aucpr are NaN on validation rows of one class, and training then stops at once.
FEWEST_RARE_ROWS = 10


@dataclass(frozen=True)
class DataShape:
    """Shape of the prepared data: counts of rows, features and classes, and CSV sizes in bytes.

    Attributes:
        has_weights: whether the second column of the CSV files is the row weight.
        rare_share: share of the rarest class among the training rows; None for a regression.
    """

    task: Task
    train_rows: int
    features: int
    classes: int | None
    train_bytes: int
    validation_bytes: int
    has_validation: bool
    validation_rows: int = 0
    rare_share: float | None = None
    has_weights: bool = False


@dataclass(frozen=True)
class TrainingPlan:
    """The parts of a training job that depend on the data."""

    hyperparameters: dict[str, str]
    instance_type: str
    volume_gb: int


def plan_training(
    shape: DataShape, settings: TrainingSettings, metric: str, positive: int | None = None
) -> TrainingPlan:
    """Choose hyperparameters, instance type and volume; the settings take precedence.

    Args:
        shape: of the prepared data.
        settings: `[training]` of model.toml.
        metric: the metric that decides at the gate; early stopping uses one that matches.
        positive: index of the positive class, or None.

    Raises:
        SettingsInvalid: when a hyperparameter of the settings would train a model that Refit
            cannot evaluate, or would stop early on a meaningless metric.
    """
    given = {key: _text(value) for key, value in settings.hyperparameters.items()}
    if settings.algorithm_name == "xgboost":
        named = {ALIASES.get(key, key): value for key, value in given.items()}
        check_objective(shape.task, shape.classes, named)
        objective = named.get("objective", default_objective(shape))
        hyperparameters = _defaults(shape) | _objective(shape, metric, positive, objective) | named
        check_xgboost(
            shape.task,
            shape.classes,
            hyperparameters,
            has_weights=shape.has_weights,
            script=settings.script is not None,
        )
    elif settings.algorithm_name == "linear-learner":
        hyperparameters = linear_learner_hyperparameters(
            shape.task, shape.classes, shape.features, shape.train_rows, given
        )
    else:
        hyperparameters = given
    return TrainingPlan(
        hyperparameters=hyperparameters,
        instance_type=settings.instance_type or _instance(shape),
        volume_gb=settings.volume_gb or _volume_gb(shape),
    )


def _text(value: str | int | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _defaults(shape: DataShape) -> dict[str, str]:
    """Return hyperparameters that perform well without tuning (figures: docs/training.md).

    The container turns early stopping off without a message unless there is a validation channel
    and an explicit metric; without early stopping fewer rounds are safer.
    """
    wide = shape.features >= WIDE_FEATURES
    hyperparameters = {
        "tree_method": "hist",
        "subsample": "0.8",
        "seed": "1",
        **(_WIDE if wide else _narrow(shape)),
    }
    if not shape.has_validation:
        hyperparameters["num_round"] = "100"
    else:
        hyperparameters["early_stopping_rounds"] = str(EARLY_STOPPING_ROUNDS)
    if shape.has_weights:
        hyperparameters["csv_weights"] = "1"
    return hyperparameters


# Images and bags of words gain from coarse bins and sampled columns: a round takes a quarter of the
# time, and the model is more accurate.
_WIDE = {
    "max_depth": "6",
    "eta": "0.3",
    "max_bin": "32",
    "colsample_bynode": "0.3",
    "num_round": "200",
}


def _narrow(shape: DataShape) -> dict[str, str]:
    """Return what depends on the number of rows, columns and classes.

    Few rows gain from small steps of shallow trees, each node of which sees some of the columns.
    With more than two classes a round trains a tree for each, so the steps are larger, and without
    many rows the trees a level shallower. The weight of a child, p (1 - p) for each row, is small
    as soon as these classes are told apart, so the default minimum of 1 would end the training
    early.
    """
    rows, is_large = shape.train_rows, shape.train_rows >= LARGE_ROWS
    many_classes = shape.classes is not None and shape.classes > 2
    lets_sure_rows_be_split = many_classes and FEW_ROWS <= rows < LARGE_ROWS
    return {
        "max_depth": str(_depth(rows, many_classes=many_classes)),
        "eta": "0.3" if many_classes else "0.12" if is_large else "0.1",
        "max_bin": "256",
        "min_child_weight": "0.1" if lets_sure_rows_be_split else "1",
        "colsample_bynode": _share_of_columns(shape.features, is_large),
        "num_round": "400",
    }


def _depth(rows: int, *, many_classes: bool) -> int:
    for limit, depth in _DEPTHS:
        if rows < limit:
            return depth - 1 if many_classes else depth
    return _LARGE_DEPTH


def _share_of_columns(features: int, is_large: bool) -> str:
    if features < FEW_FEATURES:
        return "1"
    if is_large:
        return "0.8"
    return "0.3" if features >= MANY_FEATURES else "0.5"


def _objective(
    shape: DataShape, metric: str, positive: int | None, objective: str
) -> dict[str, str]:
    """Return objective and metrics; classes always get probabilities, which the log loss needs.

    The container stops early on the last metric. The first one is for people who follow the
    training.
    """
    stopping = _stopping_metric(shape, metric, positive, objective)
    if objective == MANY:
        return {
            "objective": objective,
            "num_class": str(shape.classes),
            "eval_metric": _listed("merror", stopping),
        }
    shown = "error" if objective == BINARY else "rmse"
    return {"objective": objective, "eval_metric": _listed(shown, stopping)}


def default_objective(shape: DataShape) -> str:
    """Return the objective if the settings have none."""
    if shape.task == "regression":
        return "reg:squarederror"
    return BINARY if shape.classes == 2 else MANY


def _listed(shown: str, stopping: str) -> str:
    return stopping if shown == stopping else f"{shown},{stopping}"


def _stopping_metric(shape: DataShape, metric: str, positive: int | None, objective: str) -> str:
    """Return the metric of XGBoost on which the training stops early.

    Metrics of the predicted classes have no safe match (`BROKEN_METRICS`), and on few validation
    rows `error` stays equal for many rounds, so their match is the log loss. So is that of ranking
    metrics if the rarest class may be missing among the validation rows, or if the positive class
    is the first one, whose average precision XGBoost does not compute.
    """
    table = METRICS[metric]
    if shape.task == "regression":
        return table.stops_on
    if objective == MANY:
        return table.stops_on_many
    rare_rows = (shape.rare_share or 0.0) * shape.validation_rows
    is_other_class = table.stops_on == "aucpr" and positive == 0
    if table.naive == "ranking" and (rare_rows < FEWEST_RARE_ROWS or is_other_class):
        return "logloss"
    return table.stops_on


def _instance(shape: DataShape) -> str:
    matrix = shape.train_rows * shape.features * 4 * (1 + _validation_share(shape))
    needed_gib = BASE_GIB + LOADER_FACTOR * matrix / GIB
    for name, _, memory_gib in INSTANCES:
        if needed_gib <= memory_gib * 0.85:  # the rest is for the agent and the page cache
            return name
    raise SettingsInvalid(
        f"the training data needs about {needed_gib:.0f} GiB of memory, more than the largest "
        f"instance that Refit chooses by itself ({INSTANCES[-1][0]}): set [training] instance_type"
    )


def _validation_share(shape: DataShape) -> float:
    return shape.validation_bytes / shape.train_bytes if shape.train_bytes else 0.0


def _volume_gb(shape: DataShape) -> int:
    """Return twice the size of the data, plus 5 GB for the model and everything else."""
    return 5 + math.ceil(2 * (shape.train_bytes + shape.validation_bytes) / 10**9)
