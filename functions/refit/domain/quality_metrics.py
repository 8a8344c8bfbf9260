"""The metrics of models: one table from which everything else derives.

The settings allow those that can judge (`judging`), evaluation measures all of them, the gate and
the command line show them by `title` and `is_share`, and the training plan stops on `stops_on`.
The definitions are those of scikit-learn; `evaluation/measured_rows.py` computes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from refit.domain.vocabulary import Task

Naive: TypeAlias = Literal["class", "frequencies", "ranking", "positive", "guess", "mean"]
"""What a model without skill predicts.

class: always the most frequent class. frequencies: always the frequencies of the classes. ranking:
every row gets the same score. positive: always the positive class. guess: the positive class for as
many rows as the model, at random. mean: always the mean.
"""


@dataclass(frozen=True)
class QualityMetric:
    """A metric.

    Attributes:
        title: as a person reads it.
        higher_is_better: False for a loss.
        is_share: 0 to 1, shown in percent.
        naive: what the baseline predicts; None for a metric that is reported but cannot judge.
        needs_two_classes: whether it is defined for exactly two classes only.
        in_units: in the unit of the label, so a margin is a share of the champion's value.
        is_headline: shown by `refit watch`, and kept with the run and the version.
        is_live: also measured on labelled live predictions.
        stops_on: XGBoost's metric for early stopping, of a regression or of two classes.
        stops_on_many: the same for more than two classes.
    """

    name: str
    task: Task
    title: str
    higher_is_better: bool = True
    is_share: bool = False
    naive: Naive | None = None
    needs_two_classes: bool = False
    in_units: bool = False
    is_headline: bool = False
    is_live: bool = False
    stops_on: str = "logloss"
    stops_on_many: str = "mlogloss"


def _classification() -> list[QualityMetric]:
    task: Task = "classification"
    return [
        QualityMetric(
            "accuracy",
            task,
            "accuracy",
            is_share=True,
            naive="class",
            is_headline=True,
            is_live=True,
        ),
        QualityMetric("balanced_accuracy", task, "balanced accuracy", is_share=True, naive="class"),
        QualityMetric(
            "log_loss",
            task,
            "log loss",
            higher_is_better=False,
            naive="frequencies",
            is_headline=True,
            is_live=True,
        ),
        QualityMetric("brier", task, "Brier score", higher_is_better=False, naive="frequencies"),
        QualityMetric(
            "roc_auc",
            task,
            "ROC AUC",
            naive="ranking",
            needs_two_classes=True,
            is_headline=True,
            stops_on="auc",
        ),
        QualityMetric(
            "average_precision",
            task,
            "average precision",
            naive="ranking",
            needs_two_classes=True,
            stops_on="aucpr",
        ),
        QualityMetric("f1", task, "F1", naive="positive", is_headline=True),
        QualityMetric("precision", task, "precision", is_share=True, naive="guess"),
        QualityMetric("recall", task, "recall", is_share=True, naive="guess"),
        *(
            QualityMetric(f"{average}_{name}", task, f"{average} {title}", is_share=is_share)
            for average in ("macro", "weighted")
            for name, title, is_share in (
                ("precision", "precision", True),
                ("recall", "recall", True),
                ("f1", "F1", False),
            )
        ),
    ]


def _regression() -> list[QualityMetric]:
    task: Task = "regression"
    return [
        QualityMetric(
            "rmse",
            task,
            "RMSE",
            higher_is_better=False,
            naive="mean",
            in_units=True,
            is_headline=True,
            is_live=True,
            stops_on="rmse",
        ),
        QualityMetric(
            "mae",
            task,
            "MAE",
            higher_is_better=False,
            naive="mean",
            in_units=True,
            is_headline=True,
            is_live=True,
            stops_on="mae",
        ),
        QualityMetric("r2", task, "R²", naive="mean", is_headline=True, stops_on="rmse"),
        QualityMetric(
            "median_absolute_error",
            task,
            "median absolute error",
            higher_is_better=False,
            naive="mean",
            in_units=True,
            stops_on="mae",
        ),
        QualityMetric(
            "mape",
            task,
            "MAPE",
            higher_is_better=False,
            is_share=True,
            naive="mean",
            stops_on="mape",
        ),
        QualityMetric("bias", task, "bias", higher_is_better=False, in_units=True, is_live=True),
    ]


METRICS = {metric.name: metric for metric in (*_classification(), *_regression())}
"""Every metric by name, the most usual ones of a task first."""

JUDGING = tuple(metric.name for metric in METRICS.values() if metric.naive)
"""The metrics that `[gate] metric` can name."""

USUAL_METRIC: dict[Task, str] = {"classification": "accuracy", "regression": "rmse"}
"""The metric by which `[gate] metric = "auto"` judges."""

IMBALANCED_METRIC = "log_loss"
"""The metric by which `auto` judges if a class is rare."""


def judging_metrics(task: Task, n_classes: int | None) -> list[str]:
    """Return the metrics that can judge a model of this task and number of classes."""
    return [
        name
        for name in JUDGING
        if METRICS[name].task == task and (n_classes == 2 or not METRICS[name].needs_two_classes)
    ]


def shown_beside_log_loss(n_classes: int) -> str:
    """Return the metric that is shown with the log loss if a class is rare."""
    return "average_precision" if n_classes == 2 else "balanced_accuracy"


def figure(name: str, value: float, number: str = ".6g") -> str:
    """Return a value as text: a share in percent, any other in the number format."""
    return f"{value:.2%}" if METRICS[name].is_share else f"{value:{number}}"
