"""Statistics of rows under many weightings at once: class counts, rankings and medians.

Every function takes weights of shape (n_weightings, n_rows) and returns one value for each
weighting, so the value on all rows, on resamples and with row weights comes from the same code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refit.domain.evaluation.resampling import Floats, Integers


@dataclass(frozen=True)
class ClassShares:
    """Precision, recall and F1 per class in the last axis, NaN where undefined, and averages."""

    precision: Floats
    recall: Floats
    f1: Floats
    averages: dict[str, Floats]


def class_shares(hits: Floats, support: Floats, predicted: Floats) -> ClassShares:
    """Compute precision, recall and F1 per class and their averages from counts.

    Averages are over the classes that occur among the labels; a class that occurs and is never
    predicted has precision 0 there (scikit-learn's `zero_division=0` over the labels' classes).

    Args:
        hits: (…, n_classes) rows of a class that were predicted correctly.
        support: (…, n_classes) rows of a class.
        predicted: (…, n_classes) rows predicted to be of a class.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = hits / predicted
        recall = hits / support
        f1 = 2 * hits / (support + predicted)
        occurs = support > 0
        weights = {
            "macro": occurs / occurs.sum(axis=-1, keepdims=True),
            "weighted": support / support.sum(axis=-1, keepdims=True),
        }
    averages = {
        f"{kind}_{name}": (np.where(occurs, np.nan_to_num(values), 0.0) * weight).sum(axis=-1)
        for kind, weight in weights.items()
        for name, values in (("precision", precision), ("recall", recall), ("f1", f1))
    }
    return ClassShares(precision, recall, f1, averages)


class Grouping:
    """Adds up the weights of the rows of each class."""

    def __init__(self, classes: Integers, n_classes: int) -> None:
        """Sort the rows by class.

        Args:
            classes: (n_rows,) class indices.
            n_classes: number of classes.
        """
        self._n_classes = n_classes
        self._order = np.argsort(classes, kind="stable")
        self._owners, self._starts = np.unique(classes[self._order], return_index=True)

    def sums(self, weights: Floats) -> Floats:
        """Return (n_weightings, n_classes)."""
        sums = np.zeros((len(weights), self._n_classes))
        if len(self._order):
            sums[:, self._owners] = np.add.reduceat(weights[:, self._order], self._starts, axis=1)
        return sums


class Ranking:
    """Ranks rows by a score, to measure how well it separates positive rows from the others."""

    def __init__(self, scores: Floats) -> None:
        """Sort the rows; (n_rows,) a higher score is more likely positive."""
        self._order = np.argsort(-scores, kind="stable")
        falling = scores[self._order]
        starts = np.flatnonzero(np.append(True, falling[1:] != falling[:-1]))
        self._starts = starts if len(starts) < len(scores) else None

    def areas(self, weights: Floats, positives: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Return ROC AUC and average precision; NaN without positive (or negative) rows.

        Equal scores count half in the ROC AUC. The average precision is the mean of the precision
        at each threshold, weighted by the gain in recall, without interpolation.

        Args:
            weights: (n_weightings, n_rows).
            positives: (n_rows,) or (n_weightings, n_rows), whether a row is positive.

        Source: Hanley and McNeil (1982), Radiology 143:29; scikit-learn's `roc_auc_score` and
        `average_precision_score`.
        """
        both = weights[:, self._order]
        positive = both * positives[..., self._order]
        if self._starts is not None:
            both = np.add.reduceat(both, self._starts, axis=1)
            positive = np.add.reduceat(positive, self._starts, axis=1)
        found = np.cumsum(positive, axis=1)
        taken = np.cumsum(both, axis=1)
        all_positive, total = found[:, -1], taken[:, -1]
        with np.errstate(invalid="ignore", divide="ignore"):
            above = ((both - positive) * (found - positive / 2)).sum(axis=1)
            area = above / (all_positive * (total - all_positive))
            precision = np.divide(found, taken, out=np.zeros_like(found), where=taken > 0)
            average = (precision * positive).sum(axis=1) / all_positive
        return area, average


def weighted_mean(values: Floats, weights: Floats) -> Floats:
    """Return the mean under each weighting; NaN without any weight.

    Args:
        values: (n_rows,) or (n_weightings, n_rows).
        weights: (n_weightings, n_rows).
    """
    sums = weights @ values if values.ndim == 1 else np.einsum("wr,wr->w", weights, values)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Floats = sums / weights.sum(axis=1)
    return mean


def weighted_median(values: Floats, weights: Floats) -> Floats:
    """Return the value with half of the weight on either side, under each weighting.

    If the half falls between two values, their mean. The arguments are those of `weighted_mean`.
    """
    order = np.argsort(values, axis=-1, kind="stable")
    rising = np.take_along_axis(values, order, axis=-1)
    if values.ndim == 1:
        below = np.cumsum(weights[:, order], axis=1)
    else:
        below = np.cumsum(np.take_along_axis(weights, order, axis=1), axis=1)
    half, last = below[:, -1:] / 2, values.shape[-1] - 1
    lower = np.minimum((below < half).sum(axis=1), last)
    # Not the next value, which may have no weight.
    upper = np.minimum((below <= half).sum(axis=1), last)
    if values.ndim > 1:
        rows = np.arange(len(values))
        median: Floats = (rising[rows, lower] + rising[rows, upper]) / 2
    else:
        median = (rising[lower] + rising[upper]) / 2
    return median
