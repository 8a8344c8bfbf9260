"""Statistics of rows under many weightings at once: class counts, rankings and medians.

Every function takes weights of shape (n_weightings, n_rows) and returns one value for each
weighting, so the value on all rows, on resamples and with row weights comes from the same code.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
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


@dataclass(frozen=True)
class Ranking:
    """How well scores rank the positive rows above the others.

    Attributes:
        positives: (n_rows,) whether a row is positive.
        scores: (n_rows,) higher is more likely positive.
    """

    positives: np.ndarray[tuple[int], np.dtype[np.bool_]]
    scores: Floats

    @cached_property
    def _sorted(self) -> tuple[Integers, Floats, Integers | None]:
        """Rows by falling score, whether they are positive, and the starts of equal scores."""
        order = np.argsort(-self.scores, kind="stable")
        falling = self.scores[order]
        starts = np.flatnonzero(np.append(True, falling[1:] != falling[:-1]))
        is_tied = len(starts) < len(order)
        return order, self.positives[order].astype(np.float64), starts if is_tied else None

    def areas(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return ROC AUC and average precision; NaN without positive (or negative) rows.

        Equal scores count half in the ROC AUC. The average precision is the mean of the precision
        at each threshold, weighted by the gain in recall, without interpolation.

        Source: Hanley and McNeil (1982), Radiology 143:29; scikit-learn's `roc_auc_score` and
        `average_precision_score`.
        """
        order, is_positive, starts = self._sorted
        both = weights[:, order]
        positive = both * is_positive
        if starts is not None:
            both = np.add.reduceat(both, starts, axis=1)
            positive = np.add.reduceat(positive, starts, axis=1)
        found = np.cumsum(positive, axis=1)
        taken = np.cumsum(both, axis=1)
        all_positive, total = found[:, -1], taken[:, -1]
        with np.errstate(invalid="ignore", divide="ignore"):
            above = ((both - positive) * (found - positive / 2)).sum(axis=1)
            area = above / (all_positive * (total - all_positive))
            precision = np.divide(found, taken, out=np.zeros_like(found), where=taken > 0)
            average = (precision * positive).sum(axis=1) / all_positive
        return area, average


@dataclass(frozen=True)
class Median:
    """The weighted median of values."""

    values: Floats

    @cached_property
    def _sorted(self) -> tuple[Integers, Floats]:
        order = np.argsort(self.values, kind="stable")
        return order, self.values[order]

    def under(self, weights: Floats) -> Floats:
        """Return the median under each weighting: where half of the weight lies on either side.

        If the half falls between two values, their mean.
        """
        order, values = self._sorted
        below = np.cumsum(weights[:, order], axis=1)
        half = below[:, -1:] / 2
        last = len(values) - 1
        lower = np.minimum((below < half).sum(axis=1), last)
        # A value without weight cannot be the upper of the two.
        upper = np.minimum((below <= half).sum(axis=1), last)
        median: Floats = (values[lower] + values[upper]) / 2
        return median
