"""Compare challenger and champion on the same rows, so that easy and hard rows cancel out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from refit.domain.evaluation.measured_rows import ClassifiedRows, NumberRows
from refit.domain.evaluation.metrics import row_weights, wilson_interval
from refit.domain.evaluation.report import Comparison
from refit.domain.evaluation.resampling import (
    bootstrap_p_value,
    measured_once,
    percentile_interval,
    resampled,
)
from refit.domain.quality_metrics import JUDGING, METRICS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.evaluation.outcomes import ClassOutcome
    from refit.domain.evaluation.resampling import Floats, Integers, Measured


@dataclass(frozen=True)
class _ClassCounts:
    """What one row can change: the rows of the class that matters, and of how many classes."""

    support: Integers
    predicted: Integers
    positive: int | None

    def largest_step(self, metric: str) -> float | None:
        """Return the most by which one row more or less wrong changes a metric of classes."""
        occurring = self.support > 0
        support, predicted = self.support[occurring], self.predicted[occurring]
        averaged = len(support)
        if self.positive is not None and metric != "balanced_accuracy":
            support = self.support[self.positive : self.positive + 1]
            predicted = self.predicted[self.positive : self.positive + 1]
            averaged = 1
        steps = {
            "balanced_accuracy": 1 / np.maximum(support, 1),
            "recall": 1 / np.maximum(support, 1),
            "precision": 1 / np.maximum(predicted, 1),
            "f1": 2 / np.maximum(support + predicted, 1),
        }
        if metric == "accuracy":
            return 1 / int(self.support.sum())
        return float(steps[metric].max()) / averaged if metric in steps else None


def compare_classifiers(
    labels: Integers,
    challenger: ClassOutcome,
    champion: ClassOutcome,
    confidence: float,
    weights: Floats | None = None,
    positive: int | None = None,
) -> dict[str, Comparison]:
    """Compare two classifiers by every judging metric that is defined on the rows.

    Accuracy is compared by McNemar's test if the rows have no weights; everything else by the
    paired bootstrap.

    Args:
        labels: (n_rows,) class indices, n_rows ≥ 1.
        challenger: its predictions of these rows.
        champion: its predictions of these rows.
        confidence: of the intervals, two-sided.
        weights: (n_rows,) weights of the rows; None: all rows count the same.
        positive: index of the positive class, or None.
    """
    n_classes = 1 + int(max(labels.max(), challenger.predicted.max(), champion.predicted.max()))
    n_classes = max(n_classes, 1 + (positive or 0))
    weighted = row_weights(weights, len(labels))
    pair = [
        ClassifiedRows(labels, outcome, n_classes, weighted, positive)
        for outcome in (challenger, champion)
    ]
    comparisons = _bootstrap_comparisons(pair, confidence)
    if weights is None:
        comparisons["accuracy"] = _accuracies(labels, challenger, champion, confidence)
    counts = _ClassCounts(
        np.bincount(labels, minlength=n_classes),
        np.bincount(champion.predicted, minlength=n_classes),
        positive,
    )
    return {
        name: compared.model_copy(update={"one_row": counts.largest_step(name)})
        for name, compared in comparisons.items()
    }


def _accuracies(
    labels: Integers, challenger: ClassOutcome, champion: ClassOutcome, confidence: float
) -> Comparison:
    right, champion_right = challenger.predicted == labels, champion.predicted == labels
    both = int(np.count_nonzero(right & champion_right))
    won = int(np.count_nonzero(right & ~champion_right))
    lost = int(np.count_nonzero(~right & champion_right))
    rows = len(labels)
    low, high = paired_share_interval(both, won, lost, rows - both - won - lost, confidence)
    return Comparison(
        challenger=(both + won) / rows,
        champion=(both + lost) / rows,
        advantage=(won - lost) / rows,
        low=low,
        high=high,
        p_value=mcnemar_mid_p(won, lost),
        method="mcnemar mid-p",
    )


def compare_regressions(
    labels: Floats,
    challenger: Floats,
    champion: Floats,
    confidence: float,
    weights: Floats | None = None,
) -> dict[str, Comparison]:
    """Compare two regressions by every judging metric by the paired bootstrap.

    Args:
        labels: (n_rows,), n_rows ≥ 1.
        challenger: (n_rows,) its predictions.
        champion: (n_rows,) its predictions.
        confidence: of the intervals, two-sided.
        weights: (n_rows,) weights of the rows; None: all rows count the same.
    """
    weighted = row_weights(weights, len(labels))
    return _bootstrap_comparisons(
        [NumberRows(labels, predictions, weighted) for predictions in (challenger, champion)],
        confidence,
    )


def _bootstrap_comparisons(pair: Sequence[Measured], confidence: float) -> dict[str, Comparison]:
    """Compare challenger and champion on the same resamples of the rows."""
    values = [measured_once(model) for model in pair]
    replicates = resampled(pair)
    has_spread = len(pair[0].row_weights) > 1
    comparisons = {}
    for name in JUDGING:
        if not all(name in measured and np.isfinite(measured[name]) for measured in values):
            continue
        sign = 1 if METRICS[name].higher_is_better else -1
        challenger, champion = (float(measured[name]) for measured in values)
        advantage = sign * (challenger - champion)
        differences = sign * (replicates[0][name] - replicates[1][name])
        differences = differences[np.isfinite(differences)]
        low, high, p_value = None, None, 1.0
        if has_spread and len(differences):
            bounds = percentile_interval(differences, confidence)
            low, high = min(bounds[0], advantage), max(bounds[1], advantage)
            p_value = bootstrap_p_value(differences)
        comparisons[name] = Comparison(
            challenger=challenger,
            champion=champion,
            advantage=advantage,
            low=low,
            high=high,
            p_value=p_value,
            method="paired bootstrap",
        )
    return comparisons


def mcnemar_mid_p(won: int, lost: int) -> float:
    """Return the two-sided mid-p value of McNemar's test that two classifiers are equally accurate.

    The test uses only rows on which exactly one of the two is right; if both are equally good, each
    such row is a coin toss. The mid-p value counts half of the observed outcome: its error rate
    stays at the nominal level, where the exact test is conservative.

    Args:
        won: rows on which only the first is right.
        lost: rows on which only the second is right.

    Returns:
        0 to 1; 1 when they never differ.

    Source: Fagerland, Lydersen and Laake (2013), BMC Medical Research Methodology 13:91,
    section "The McNemar mid-p test".
    """
    tosses, fewer = won + lost, min(won, lost)
    steps = np.arange(fewer + 1, dtype=np.float64)
    # ln C(n, k) by adding ln((n − k + 1)/k); the tail is then summed relative to its last term.
    growth = np.log((tosses - steps[1:] + 1) / steps[1:])
    relative = np.concatenate([[0.0], np.cumsum(growth)])
    weights = np.exp(relative - relative[-1])
    last = _toss_probability(tosses, fewer)
    return min(1.0, 2 * last * (float(weights.sum()) - 0.5))


def _toss_probability(tosses: int, heads: int) -> float:
    """Return the probability of exactly that many heads in tosses of a fair coin."""
    return math.exp(
        math.lgamma(tosses + 1)
        - math.lgamma(heads + 1)
        - math.lgamma(tosses - heads + 1)
        - tosses * math.log(2)
    )


def paired_share_interval(
    both: int, won: int, lost: int, neither: int, confidence: float
) -> tuple[float, float]:
    """Return the interval of the difference of two shares over the same rows, first − second.

    Combines the Wilson intervals of the two shares with their correlation.

    Args:
        both: rows on which both are right.
        won: rows on which only the first is right.
        lost: rows on which only the second is right.
        neither: rows on which neither is right; the four add up to at least 1.
        confidence: two-sided, within (0, 1).

    Source: Newcombe (1998), Statistics in Medicine 17:2635, method 10.
    """
    rows = both + won + lost + neither
    first, second = (both + won) / rows, (both + lost) / rows
    low1, high1 = wilson_interval(both + won, rows, confidence)
    low2, high2 = wilson_interval(both + lost, rows, confidence)
    correlation = _correlation(both, won, lost, neither)

    def combined(below: float, above: float) -> float:
        # Only rounding can make this negative, since the correlation is at most 1.
        return math.sqrt(max(0.0, below**2 - 2 * correlation * below * above + above**2))

    difference = first - second
    low = difference - combined(first - low1, high2 - second)
    high = difference + combined(high1 - first, second - low2)
    return max(-1.0, low), min(1.0, high)


def _correlation(both: int, won: int, lost: int, neither: int) -> float:
    """Return Newcombe's continuity-corrected phi; 0 where a margin is empty."""
    margins = (both + won) * (lost + neither) * (both + lost) * (won + neither)
    if not margins:
        return 0.0
    product, half = both * neither - won * lost, (both + won + lost + neither) / 2
    corrected = max(product - half, 0.0) if product > 0 else product
    return corrected / math.sqrt(margins)
