"""Metrics over folds: of each fold, their mean and their spread.

The spread is the standard deviation over the folds (n − 1). It says how much the metric depends on
which rows a model is trained on and measured on. It is no standard error of the mean: the models of
two folds share most of their training rows, so no unbiased estimate of that error exists.

Source: Bengio and Grandvalet (2004), No Unbiased Estimator of the Variance of K-Fold
Cross-Validation, Journal of Machine Learning Research 5:1089. This module does not import NumPy.
"""

from __future__ import annotations

from statistics import fmean, stdev
from typing import TYPE_CHECKING

from refit.domain.evaluation.report import FoldScores
from refit.domain.quality_metrics import METRICS, figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.evaluation.report import FoldMetrics


def fold_scores(each: Sequence[FoldMetrics]) -> FoldScores:
    """Return mean and spread of each metric.

    Args:
        each: at least two folds.
    """
    shared = [name for name in each[0].metrics if all(name in fold.metrics for fold in each)]
    values = {name: [fold.metrics[name] for fold in each] for name in shared}
    return FoldScores(
        rows=sum(fold.rows for fold in each),
        mean={name: fmean(of_folds) for name, of_folds in values.items()},
        spread={name: stdev(of_folds) for name, of_folds in values.items()},
        each=tuple(each),
    )


def folds_text(scores: FoldScores, metric: str) -> str | None:
    """Describe a metric over the folds in one line; None where a fold does not define it."""
    if metric not in scores.mean:
        return None
    table, spread = METRICS[metric], scores.spread[metric]
    shown = f"{100 * spread:.2f} points" if table.is_share else f"{spread:.4g}"
    return (
        f"Over {len(scores.each)} folds of the training rows, the {table.title} is "
        f"{figure(metric, scores.mean[metric])} out of fold, with a standard deviation of {shown}."
    )
