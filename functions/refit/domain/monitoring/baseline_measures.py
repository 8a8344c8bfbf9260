"""Measure the baseline of a version on held-out rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refit.domain.inferences.count_change import FULL_CONFUSION_CLASSES
from refit.domain.monitoring.baseline import (
    BINS,
    ERROR_QUANTILE,
    SCORE_BINS,
    Baseline,
    ClassBaseline,
    ScoreBin,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from refit.domain.evaluation.resampling import Floats, Integers
    from refit.domain.monitoring.baseline import RowsOf

_MAX_CONFUSIONS = 100


def classification_baseline_of(
    labels: Integers,
    predicted: Integers,
    probabilities: Floats | None,
    classes: Sequence[str],
    quality: Mapping[str, float],
    rows_of: RowsOf = "new",
) -> Baseline:
    """Measure a classifier on held-out rows.

    Args:
        labels: (n_rows,) class indices, n_rows ≥ 1.
        predicted: (n_rows,) class indices.
        probabilities: (n_rows,) the largest probability of each row; None when there are none.
        classes: texts of the classes, by index.
        quality: metrics of the classifier on the same rows.
        rows_of: which held-out rows these are.
    """
    wrong = labels != predicted
    support = np.bincount(labels, minlength=len(classes))
    missed = np.bincount(labels[wrong], minlength=len(classes))
    return Baseline(
        task="classification",
        rows_of=rows_of,
        rows=len(labels),
        errors=int(wrong.sum()),
        classes={
            text: ClassBaseline(support=int(rows), missed=int(errors))
            for text, rows, errors in zip(classes, support, missed, strict=True)
            if rows
        },
        confusions=_largest_confusions(labels[wrong], predicted[wrong], len(classes)),
        quality=dict(quality),
        predicted=dict(
            zip(classes, np.bincount(predicted, minlength=len(classes)).tolist(), strict=True)
        ),
        scores=None if probabilities is None else _score_bins(probabilities, ~wrong),
    )


def _largest_confusions(
    labels: Integers, predicted: Integers, n_classes: int
) -> tuple[tuple[int, int], ...]:
    """Return the pairs of classes with most wrong predictions, the largest first."""
    if n_classes <= FULL_CONFUSION_CLASSES:
        return ()
    pairs, counts = np.unique(np.stack([labels, predicted]), axis=1, return_counts=True)
    largest = np.argsort(-counts, kind="stable")[:_MAX_CONFUSIONS]
    return tuple((int(actual), int(answer)) for actual, answer in pairs[:, largest].T)


def regression_baseline_of(
    labels: Floats, predictions: Floats, quality: Mapping[str, float], rows_of: RowsOf = "new"
) -> Baseline:
    """Measure a regression on held-out rows.

    Args:
        labels: (n_rows,), n_rows ≥ 1.
        predictions: (n_rows,), in the unit of the labels, finite.
        quality: metrics of the regression on the same rows.
        rows_of: which held-out rows these are.
    """
    distances = np.abs(predictions - labels)
    # The bound is an order statistic, so the number of larger errors is binomial, as the interval
    # of Clopper and Pearson assumes.
    bound = float(np.quantile(distances, ERROR_QUANTILE, method="higher"))
    edges, counts = quantile_histogram(predictions)
    return Baseline(
        task="regression",
        rows_of=rows_of,
        rows=len(labels),
        errors=int((distances > bound).sum()),
        error_bound=bound,
        quality=dict(quality),
        prediction_edges=tuple(edges.tolist()),
        prediction_counts=tuple(counts.tolist()),
    )


def score_bin_of(probabilities: Floats) -> Integers:
    """Return the bin, 0 to 19, of each largest probability; 1 belongs to the last bin.

    Args:
        probabilities: (n_rows,) 0 to 1; float32 rounding beyond these bounds is allowed.
    """
    return np.clip((probabilities * SCORE_BINS).astype(np.int64), 0, SCORE_BINS - 1)


def quantile_histogram(values: Floats) -> tuple[Floats, Integers]:
    """Return up to 31 ascending quantile edges and one count more than edges, as in profile.json.

    Args:
        values: (n_values,) finite, n_values ≥ 1.
    """
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1], method="lower"))
    bins = np.searchsorted(edges, values, side="left")
    return edges, np.bincount(bins, minlength=len(edges) + 1)


def _score_bins(probabilities: Floats, right: NDArray[np.bool_]) -> tuple[ScoreBin, ...]:
    bins = score_bin_of(probabilities)
    rows = np.bincount(bins, minlength=SCORE_BINS)
    hits = np.bincount(bins[right], minlength=SCORE_BINS)
    sums = np.bincount(bins, weights=probabilities, minlength=SCORE_BINS)
    return tuple(
        ScoreBin(rows=int(count), right=int(hit), probability_sum=float(total))
        for count, hit, total in zip(rows, hits, sums, strict=True)
    )
