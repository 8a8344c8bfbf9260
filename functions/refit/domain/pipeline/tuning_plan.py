"""Choose what a tuning job searches, and which metric decides, from the planned training job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit.domain.errors import SettingsInvalid
from refit.domain.hyperparameters import ALIASES
from refit.domain.pipeline.training_plan import (
    FEWEST_RARE_ROWS,
    WIDE_FEATURES,
    DataShape,
)
from refit.domain.pipeline.xgboost_rules import BINARY, BROKEN_METRICS, MANY
from refit.domain.tuning_settings import NumberRange, Range, Scaling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refit.domain.training_settings import TrainingSettings
    from refit.domain.tuning_settings import TuningSettings

# A small eta needs many rounds; early stopping ends most trials before.
TUNED_ROUNDS = 400
_METRICS: Mapping[str, tuple[str, ...]] = {
    BINARY: ("logloss", "auc", "aucpr", "error"),
    MANY: ("mlogloss", "merror", "accuracy", "balanced_accuracy", "f1_macro"),
    "count:poisson": ("poisson-nloglik", "rmse", "mae"),
}
_OF_REGRESSIONS = ("rmse", "mae", "mape", "mse", "rmsle", "mphe", "r2")
_MAXIMIZED = frozenset({"auc", "aucpr", "accuracy", "balanced_accuracy", "f1_macro", "r2"})
_RANKING = frozenset({"auc", "aucpr"})


def _range(low: float, high: float, scaling: Scaling = "linear") -> NumberRange:
    return NumberRange(min=low, max=high, scaling=scaling)


_OF_CLASSES: Mapping[str, Range] = {
    "eta": _range(0.03, 0.3, "logarithmic"),
    "max_depth": _range(3, 10),
    "min_child_weight": _range(0.05, 10, "logarithmic"),
    "subsample": _range(0.5, 1.0),
    "colsample_bynode": _range(0.3, 1.0),
    "lambda": _range(0.1, 10, "logarithmic"),
}
# The weight of a child is its number of rows, not the variance of its predictions.
_OF_NUMBERS: Mapping[str, Range] = {
    **_OF_CLASSES,
    "min_child_weight": _range(1, 50, "logarithmic"),
}
# Of many columns a node sees few, and deep trees with a large eta need fewer rounds.
_OF_WIDE_DATA: Mapping[str, Range] = {
    "eta": _range(0.1, 0.5, "logarithmic"),
    "max_depth": _range(4, 10),
    "min_child_weight": _range(0.5, 10, "logarithmic"),
    "subsample": _range(0.6, 1.0),
    "colsample_bynode": _range(0.1, 0.6),
    "lambda": _range(0.5, 10, "logarithmic"),
}


@dataclass(frozen=True)
class TuningPlan:
    """The parts of a tuning job that depend on the data.

    Attributes:
        metric: as the container prints it, such as `mlogloss`.
        maximize: whether a higher value is better.
        static: the hyperparameters of every trial.
        ranges: what is searched, by hyperparameter.
    """

    metric: str
    maximize: bool
    static: dict[str, str]
    ranges: dict[str, Range]

    @property
    def rounds(self) -> int:
        """The largest number of rounds of a trial."""
        searched = self.ranges.get("num_round")
        if isinstance(searched, NumberRange):
            return int(searched.max)
        if searched is not None:
            return max(map(int, searched))
        return int(self.static["num_round"])


def default_ranges(shape: DataShape) -> dict[str, Range]:
    """Return what is searched if the settings do not say (figures: docs/training.md)."""
    if shape.features >= WIDE_FEATURES:
        return dict(_OF_WIDE_DATA)
    return dict(_OF_NUMBERS if shape.task == "regression" else _OF_CLASSES)


def plan_tuning(
    shape: DataShape,
    planned: Mapping[str, str],
    training: TrainingSettings,
    tuning: TuningSettings,
) -> TuningPlan:
    """Choose metric and ranges; the settings take precedence.

    Args:
        shape: of the prepared data.
        planned: the hyperparameters of the planned training job.
        training: `[training]` of model.toml; what it fixes is not searched by default.
        tuning: `[tuning]` of model.toml.

    Raises:
        SettingsInvalid: when there is nothing to search, or nothing to compare trials by.
    """
    if not shape.has_validation:
        raise SettingsInvalid(
            "model.toml: [tuning] max_jobs: trials are compared on validation rows, and this run "
            "has none; set [data] validation_fraction > 0, or max_jobs = 0"
        )
    check_ranges(training, tuning)
    fixed = set(_named_by(training))
    ranges = tuning.ranges or {
        name: searched for name, searched in default_ranges(shape).items() if name not in fixed
    }
    if not ranges:
        raise SettingsInvalid(
            "model.toml: [tuning] max_jobs: [training.hyperparameters] fixes everything that is "
            "searched by default; name what to search in [tuning.ranges]"
        )
    metric = _metric(shape, planned, tuning.metric)
    static = {name: value for name, value in planned.items() if name not in ranges}
    if "num_round" in static and "num_round" not in fixed:
        static["num_round"] = str(TUNED_ROUNDS)
    return TuningPlan(metric, metric in _MAXIMIZED, static, ranges)


def check_ranges(training: TrainingSettings, tuning: TuningSettings) -> None:
    """Check that nothing is searched that is fixed, which needs no data.

    Raises:
        SettingsInvalid: names the hyperparameter, and its value.
    """
    named = _named_by(training)
    for name in sorted(named.keys() & tuning.ranges.keys()) if tuning.is_on else ():
        raise SettingsInvalid(
            f"model.toml: [tuning.ranges] {name}: [training.hyperparameters] sets it to "
            f"{named[name]}; remove one of the two"
        )


def _named_by(training: TrainingSettings) -> dict[str, str | int | float | bool]:
    """Return the hyperparameters of the settings by their names without aliases."""
    return {ALIASES.get(name, name): value for name, value in training.hyperparameters.items()}


def _metric(shape: DataShape, planned: Mapping[str, str], chosen: str | None) -> str:
    """Return the metric that decides.

    Raises:
        SettingsInvalid: when the container does not compute it, or computes it wrongly.
    """
    objective = planned["objective"]
    metric = (chosen or planned["eval_metric"].split(",")[-1]).removeprefix("validation:")
    allowed = _METRICS.get(objective, _OF_REGRESSIONS)
    where = f"model.toml: [tuning] metric = {metric!r}"
    if objective == BINARY and metric in BROKEN_METRICS:
        raise SettingsInvalid(
            f"{where}: the XGBoost image computes it wrongly for {objective}: it has the same "
            f"value in every round, so no trial would be better; allowed: {', '.join(allowed)}"
        )
    if metric not in allowed:
        raise SettingsInvalid(
            f"{where} cannot be tuned with the objective {objective}; allowed: {', '.join(allowed)}"
        )
    rare_rows = (shape.rare_share or 0.0) * shape.validation_rows
    if metric in _RANKING and rare_rows < FEWEST_RARE_ROWS:
        raise SettingsInvalid(
            f"{where}: the validation rows have about {rare_rows:.0f} rows of the rarest class, "
            f"fewer than {FEWEST_RARE_ROWS}, and with one class alone it is not defined; "
            "allowed: logloss, error"
        )
    return metric
