"""The quality of a version on its live traffic, from the counters of its cohorts.

quality_of(cohorts, schema)                   over all cohorts
quality_of(newest(cohorts, 24), schema)       over a window
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from refit.domain.monitoring.verdict import LiveQuality, TrendPoint
from refit.domain.quality_metrics import USUAL_METRIC

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refit.domain.monitoring.cohort import Cohort
    from refit.domain.schema import Schema

_NO_METRICS: Mapping[str, float] = MappingProxyType({})


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


def trend_of(cohorts: Sequence[Cohort], schema: Schema) -> tuple[TrendPoint, ...]:
    """Return the usual metric of each cohort."""
    points = []
    for cohort in cohorts:
        quality = quality_of([cohort], schema)
        points.append(
            TrendPoint(
                start=cohort.start,
                predictions=quality.predictions,
                labelled=quality.labelled,
                value=quality.metrics.get(USUAL_METRIC[schema.task]),
            )
        )
    return tuple(points)


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
