"""How good a version is on what it really answered: figures from the counters of its cohorts.

quality_of(cohorts, schema)                 over all of them
quality_of(newest(cohorts, 24), schema)     over a window
bucket_of(cohort, schema)                   a cohort as the test of quality drift reads it
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from refit.domain.evaluation.metrics import share_estimate
from refit.domain.evaluation.report import Estimate
from refit.domain.monitoring.bucket import Bucket

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from refit.domain.evaluation.resampling import Integers
    from refit.domain.monitoring.cohort import Cohort
    from refit.domain.schema import Schema

CONFIDENCE = 0.95

NO_SUCH_CLASS = "?"
"""Stands for a class that the version does not know. No class is called so: `?` is a missing
value (`schema.MISSING_TEXTS`)."""


class Figures(BaseModel):
    """A part of the figures of a version."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class LiveClass(Figures):
    """How one class is recognised among the labelled predictions.

    Attributes:
        support: labelled predictions of this class.
        predicted: labelled predictions that were said to be of it.
        precision: None when it was never predicted.
        recall: None when no label is of it.
    """

    support: int
    predicted: int
    precision: Estimate | None
    recall: Estimate | None


class LiveQuality(Figures):
    """A version's quality over some of its cohorts.

    Attributes:
        since: start of the first cohort; None without any.
        until: end of the last one.
        cohorts: how many there are.
        predictions: captured ones.
        labelled: those of them that have a label.
        coverage: labelled / predictions; None without any.
        label_delay_s: mean seconds from a prediction to its first label; None without a label.
        metrics: accuracy and, where probabilities were captured, log_loss; or rmse, mae and bias
            in the label's unit. Empty without a label.
        accuracy: with its interval; None for a regression and without a label.
        error_rate: wrong answers; of a regression, those further off than nine tenths of the
            held-out ones were.
        classes: by the class's text; None for a regression.
        confusion_matrix: rows actual, columns predicted, in the order of `classes`.
    """

    since: datetime | None
    until: datetime | None
    cohorts: int
    predictions: int
    labelled: int
    coverage: float | None
    label_delay_s: float | None
    metrics: dict[str, float]
    accuracy: Estimate | None
    error_rate: Estimate | None
    classes: dict[str, LiveClass] | None
    confusion_matrix: list[list[int]] | None


def newest(cohorts: Sequence[Cohort], count: int) -> list[Cohort]:
    """Return the cohorts that began last, in the order of time."""
    return sorted(cohorts, key=lambda cohort: cohort.start)[-count:]


def quality_of(cohorts: Sequence[Cohort], schema: Schema) -> LiveQuality:
    """Measure a version over cohorts of it.

    Args:
        cohorts: of one version, in any order; none is allowed.
        schema: of the run that made the version.
    """
    shown = [cohort.shown for cohort in cohorts]
    predictions = sum(cohort.predictions for cohort in cohorts)
    labelled = sum(part.labelled for part in shown)
    errors = sum(part.errors for part in shown)
    matrix = None if schema.classes is None else _matrix(cohorts, len(schema.classes))
    if matrix is None:
        metrics = _regression_metrics(cohorts, labelled)
    else:
        metrics = _classification_metrics(cohorts, labelled, errors)
    return LiveQuality(
        since=min((cohort.start for cohort in cohorts), default=None),
        until=max((cohort.end for cohort in cohorts), default=None),
        cohorts=len(cohorts),
        predictions=predictions,
        labelled=labelled,
        coverage=_ratio(labelled, predictions),
        label_delay_s=_ratio(
            sum(part.delay_sum for part in shown), sum(part.delay_n for part in shown)
        ),
        metrics=metrics,
        accuracy=None if matrix is None else _share(labelled - errors, labelled),
        error_rate=_share(errors, labelled),
        classes=None if matrix is None else _classes(matrix, schema),
        confusion_matrix=None if matrix is None else matrix.tolist(),
    )


def _ratio(total: float, count: int) -> float | None:
    return total / count if count else None


def _share(part: int, of: int) -> Estimate | None:
    return share_estimate(part, of, CONFIDENCE)


def _classification_metrics(
    cohorts: Iterable[Cohort], labelled: int, errors: int
) -> dict[str, float]:
    losses = sum(cohort.shown.loss_sum for cohort in cohorts)
    found = {
        "accuracy": _ratio(labelled - errors, labelled),
        "log_loss": _ratio(losses, sum(cohort.shown.loss_n for cohort in cohorts)),
    }
    return {name: value for name, value in found.items() if value is not None}


def _regression_metrics(cohorts: Iterable[Cohort], labelled: int) -> dict[str, float]:
    if not labelled:
        return {}
    squares = sum(cohort.shown.square_sum for cohort in cohorts)
    return {
        "rmse": (squares / labelled) ** 0.5,
        "mae": sum(cohort.shown.abs_sum for cohort in cohorts) / labelled,
        "bias": sum(cohort.shown.error_sum for cohort in cohorts) / labelled,
    }


def _matrix(cohorts: Iterable[Cohort], n_classes: int) -> Integers:
    """Return the confusion matrix: one row and column more where a class is not known."""
    cells = sum((Counter(cohort.shown.confusion) for cohort in cohorts), Counter())
    unknown = any(code < 0 for cell in cells for code in cell)
    matrix = np.zeros((n_classes + unknown, n_classes + unknown), dtype=np.int64)
    for (actual, predicted), count in cells.items():
        matrix[actual, predicted] += count  # code −1 is the last
    return matrix


def _classes(matrix: Integers, schema: Schema) -> dict[str, LiveClass]:
    texts = (*(schema.classes or ()), NO_SUCH_CLASS)[: len(matrix)]
    hits, support, predicted = (
        counts.tolist() for counts in (matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0))
    )
    return {
        text: LiveClass(
            support=support[code],
            predicted=predicted[code],
            precision=_share(hits[code], predicted[code]),
            recall=_share(hits[code], support[code]),
        )
        for code, text in enumerate(texts)
    }


def bucket_of(cohort: Cohort, schema: Schema) -> Bucket:
    """Return a cohort as the test of quality drift reads it: classes by their texts."""
    return Bucket(
        start=cohort.start,
        predictions=cohort.predictions,
        files=len(cohort.files),
        labelled=cohort.matured.labelled,
        errors=cohort.matured.errors,
        classes=_by_text(cohort.matured.classes, schema),
        labelled_by_now=cohort.shown.labelled,
        errors_by_now=cohort.shown.errors,
        classes_by_now=_by_text(cohort.shown.classes, schema),
    )


def _by_text(classes: Mapping[int, tuple[int, int]], schema: Schema) -> dict[str, tuple[int, int]]:
    texts = schema.classes or ()
    return {
        texts[code] if 0 <= code < len(texts) else NO_SUCH_CLASS: counts
        for code, counts in classes.items()
    }
