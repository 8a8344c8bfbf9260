"""The quality of a version on its live traffic, from the counters of its cohorts.

quality_of(cohorts, schema)                   over all cohorts
quality_of(newest(cohorts, 24), schema)       over a window
class_report_of(cohorts, schema)              intervals, classes and confusion matrix
"""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from refit.domain.evaluation.metrics import share_estimate
from refit.domain.evaluation.report import Estimate
from refit.domain.monitoring.verdict import LiveQuality

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from refit.domain.evaluation.resampling import Integers
    from refit.domain.monitoring.cohort import Cohort
    from refit.domain.schema import Schema

CONFIDENCE = 0.95

UNKNOWN_CLASS_TEXT = "?"
"""Name that reports use for a class that the version does not know. No class can have this name,
because `?` is a missing value (`schema.MISSING_TEXTS`)."""

_NO_METRICS: Mapping[str, float] = MappingProxyType({})


class LiveClass(BaseModel):
    """How well one class is recognised among the labelled predictions.

    Attributes:
        support: labelled predictions of this class.
        predicted: labelled predictions for which the version predicted this class.
        precision: None when the class was never predicted.
        recall: None when no label is of this class.
    """

    model_config = ConfigDict(frozen=True)

    support: int
    predicted: int
    precision: Estimate | None
    recall: Estimate | None


class LiveClassReport(BaseModel):
    """Details of the errors of a version in some of its cohorts.

    Attributes:
        accuracy: None for a regression and without labels.
        error_rate: None without labels. A prediction of a regression counts as wrong when its
            |error| exceeds the error bound of the baseline.
        classes: quality of each class, by its text; None for a regression.
        confusion_matrix: rows are the actual classes and columns the predicted classes, in the
            order of `classes`.
    """

    model_config = ConfigDict(frozen=True)

    accuracy: Estimate | None
    error_rate: Estimate | None
    classes: dict[str, LiveClass] | None
    confusion_matrix: list[list[int]] | None


def newest(cohorts: Sequence[Cohort], count: int) -> list[Cohort]:
    """Return the newest cohorts in the order of time."""
    return sorted(cohorts, key=lambda cohort: cohort.start)[-count:]


def quality_of(
    cohorts: Sequence[Cohort], schema: Schema, baseline: Mapping[str, float] = _NO_METRICS
) -> LiveQuality:
    """Measure the quality of a version over its cohorts.

    Args:
        cohorts: cohorts of one version, in any order; may be empty.
        schema: schema of the run that made the version.
        baseline: metrics of the version on its held-out rows.
    """
    predictions = sum(cohort.predictions for cohort in cohorts)
    labelled = sum(cohort.shown.labelled for cohort in cohorts)
    metrics_of = _regression_metrics if schema.classes is None else _classification_metrics
    return LiveQuality(
        since=min((cohort.start for cohort in cohorts), default=None),
        until=max((cohort.end for cohort in cohorts), default=None),
        cohorts=len(cohorts),
        predictions=predictions,
        labelled=labelled,
        coverage=_ratio(labelled, predictions),
        label_delay_s=_ratio(
            sum(cohort.shown.delay_sum for cohort in cohorts),
            sum(cohort.shown.delay_n for cohort in cohorts),
        ),
        metrics=metrics_of(cohorts, labelled),
        baseline=dict(baseline),
    )


def class_report_of(cohorts: Sequence[Cohort], schema: Schema) -> LiveClassReport:
    """Measure the errors of a version over its cohorts, with 95 % confidence intervals."""
    labelled = sum(cohort.shown.labelled for cohort in cohorts)
    errors = sum(cohort.shown.errors for cohort in cohorts)
    error_rate = share_estimate(errors, labelled, CONFIDENCE)
    if schema.classes is None:
        return LiveClassReport(
            accuracy=None, error_rate=error_rate, classes=None, confusion_matrix=None
        )
    matrix = _confusion_matrix(cohorts, len(schema.classes))
    return LiveClassReport(
        accuracy=share_estimate(labelled - errors, labelled, CONFIDENCE),
        error_rate=error_rate,
        classes=_classes(matrix, schema.classes),
        confusion_matrix=matrix.tolist(),
    )


def _ratio(total: float, count: int) -> float | None:
    return total / count if count else None


def _classification_metrics(cohorts: Sequence[Cohort], labelled: int) -> dict[str, float]:
    errors = sum(cohort.shown.errors for cohort in cohorts)
    losses = sum(cohort.shown.loss_sum for cohort in cohorts)
    metrics = {
        "accuracy": _ratio(labelled - errors, labelled),
        "log_loss": _ratio(losses, sum(cohort.shown.loss_n for cohort in cohorts)),
    }
    return {name: value for name, value in metrics.items() if value is not None}


def _regression_metrics(cohorts: Sequence[Cohort], labelled: int) -> dict[str, float]:
    if not labelled:
        return {}
    squares = sum(cohort.shown.square_sum for cohort in cohorts)
    return {
        "rmse": (squares / labelled) ** 0.5,
        "mae": sum(cohort.shown.abs_sum for cohort in cohorts) / labelled,
        "bias": sum(cohort.shown.error_sum for cohort in cohorts) / labelled,
    }


def _confusion_matrix(cohorts: Iterable[Cohort], n_classes: int) -> Integers:
    """Return the confusion matrix, with one more row and column if an unknown class occurs."""
    counts = sum((Counter(cohort.shown.confusion) for cohort in cohorts), Counter())
    has_unknown = any(code < 0 for codes in counts for code in codes)
    matrix = np.zeros((n_classes + has_unknown, n_classes + has_unknown), dtype=np.int64)
    for (actual, predicted), count in counts.items():
        matrix[actual, predicted] += count  # code −1 is the last row or column
    return matrix


def _classes(matrix: Integers, classes: Sequence[str]) -> dict[str, LiveClass]:
    texts = (*classes, UNKNOWN_CLASS_TEXT)[: len(matrix)]
    correct, support, predicted = (
        counts.tolist() for counts in (matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0))
    )
    return {
        text: LiveClass(
            support=support[code],
            predicted=predicted[code],
            precision=share_estimate(correct[code], predicted[code], CONFIDENCE),
            recall=share_estimate(correct[code], support[code], CONFIDENCE),
        )
        for code, text in enumerate(texts)
    }
