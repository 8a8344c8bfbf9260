"""Choose the probability from which on the positive class is predicted, by what errors cost.

The threshold is chosen on validation rows, or on out-of-fold rows if there are folds. Neither the
trees nor the held-out metrics use them.
For calibrated probabilities the best threshold is known without any rows, fp / (fp + fn), but
boosted trees that stopped early on few rows are often not calibrated. It decides between thresholds
that cost the same.

Source: Elkan (2001), The Foundations of Cost-Sensitive Learning, IJCAI, theorem 1, for the best
threshold of calibrated probabilities; Sheng and Ling (2006), Thresholding for Making Classifiers
Cost-Sensitive, AAAI, for the choice on rows that were not trained on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from refit.domain.errors import SettingsInvalid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refit.domain.evaluation.resampling import Floats
    from refit.domain.model_settings import Costs

_EQUAL = 1e-9  # costs that differ by less, relative to the largest, are equal


@dataclass(frozen=True)
class ChosenThreshold:
    """A threshold, and the mean cost of a row at it."""

    threshold: float
    expected_cost: float


def cheapest_threshold(
    positives: NDArray[np.bool_],
    scores: Floats,
    costs: Costs,
    weights: Floats,
    kind: str = "validation",
) -> ChosenThreshold:
    """Return the threshold with the smallest cost on the rows.

    It lies in the middle between two neighbouring probabilities, or at fp / (fp + fn) if that lies
    between them, so a rounding error of a probability changes no prediction.

    Args:
        positives: (n_rows,) whether a row is of the positive class.
        scores: (n_rows,) probability of the positive class, 0 to 1.
        costs: of both errors.
        weights: (n_rows,) weights of the rows.
        kind: of the rows, for the error.

    Raises:
        SettingsInvalid: when all rows are of one class, so no threshold is better than another.
    """
    if positives.all() or not positives.any():
        which = "are all" if positives.all() else "have no row"
        raise SettingsInvalid(
            f"model.toml: [prediction] costs: the {len(scores):,} {kind} rows {which} of the "
            "positive class, so they cannot choose a threshold: set [prediction] threshold, raise "
            "[data] validation_fraction, or drop more rows"
        )
    distinct, group = np.unique(scores, return_inverse=True)
    positive = np.bincount(group, weights=weights * positives, minlength=len(distinct))
    negative = np.bincount(group, weights=weights * ~positives, minlength=len(distinct))
    # Cut k predicts the positive class from the k-th distinct probability on.
    missed = np.append(0.0, np.cumsum(positive))
    false_alarms = negative.sum() - np.append(0.0, np.cumsum(negative))
    cost = costs.false_negative * missed + costs.false_positive * false_alarms
    low, high = np.append(0.0, distinct), np.append(distinct, 1.0)
    ideal = costs.false_positive / (costs.false_positive + costs.false_negative)
    cost[high <= low] = np.inf  # no threshold between 0 and 1 cuts there
    cheapest = np.flatnonzero(cost <= cost.min() + _EQUAL * max(1.0, abs(cost.min())))
    away = np.maximum(0.0, np.maximum(low[cheapest] - ideal, ideal - high[cheapest]))
    cut = int(cheapest[away.argmin()])
    is_between = low[cut] < ideal < high[cut]
    threshold = ideal if is_between else (low[cut] + high[cut]) / 2
    return ChosenThreshold(float(threshold), float(cost[cut] / weights.sum()))
