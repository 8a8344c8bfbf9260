"""Compare challenger and champion on the same rows, so that easy and hard rows cancel out."""

from __future__ import annotations

import math

import numpy as np

from refit.domain.evaluation.metrics import ClassOutcome, wilson_interval
from refit.domain.evaluation.report import Comparison
from refit.domain.evaluation.resampling import (
    Floats,
    Integers,
    bootstrap_p_value,
    percentile_interval,
    resampled_means,
)


def compare_classifiers(
    labels: Integers, challenger: ClassOutcome, champion: ClassOutcome, confidence: float
) -> dict[str, Comparison]:
    """Compare accuracy by McNemar's test and log loss by the paired bootstrap.

    Args:
        labels: (n_rows,) class indices, n_rows ≥ 1.
        challenger: its predictions of these rows.
        champion: its predictions of these rows.
        confidence: of the intervals, two-sided.
    """
    right, champion_right = challenger.predicted == labels, champion.predicted == labels
    both = int(np.count_nonzero(right & champion_right))
    won = int(np.count_nonzero(right & ~champion_right))
    lost = int(np.count_nonzero(~right & champion_right))
    rows = len(labels)
    low, high = paired_share_interval(both, won, lost, rows - both - won - lost, confidence)
    return {
        "accuracy": Comparison(
            challenger=(both + won) / rows,
            champion=(both + lost) / rows,
            advantage=(won - lost) / rows,
            low=low,
            high=high,
            p_value=mcnemar_mid_p(won, lost),
            method="mcnemar mid-p",
        ),
        "log_loss": _bootstrap_comparison(
            np.column_stack([challenger.losses, champion.losses]), confidence, root=False
        ),
    }


def compare_regressions(
    labels: Floats, challenger: Floats, champion: Floats, confidence: float
) -> dict[str, Comparison]:
    """Compare RMSE and MAE by the paired bootstrap.

    Args:
        labels: (n_rows,), n_rows ≥ 1.
        challenger: (n_rows,) its predictions.
        champion: (n_rows,) its predictions.
        confidence: of the intervals, two-sided.
    """
    errors = np.abs(np.column_stack([challenger - labels, champion - labels]))
    return {
        "rmse": _bootstrap_comparison(errors**2, confidence, root=True),
        "mae": _bootstrap_comparison(errors, confidence, root=False),
    }


def _bootstrap_comparison(losses: Floats, confidence: float, root: bool) -> Comparison:
    """Compare two mean losses (or their roots) of the same rows; columns challenger, champion."""
    means, resampled = losses.mean(axis=0), resampled_means(losses)
    if root:
        means, resampled = np.sqrt(means), np.sqrt(resampled)
    advantage = float(means[1] - means[0])
    differences = resampled[:, 1] - resampled[:, 0]
    if len(losses) < 2:  # one row has no spread
        low, high, p_value = None, None, 1.0
    else:
        bounds = percentile_interval(differences, confidence)
        low, high = min(bounds[0], advantage), max(bounds[1], advantage)
        p_value = bootstrap_p_value(differences)
    return Comparison(
        challenger=float(means[0]),
        champion=float(means[1]),
        advantage=advantage,
        low=low,
        high=high,
        p_value=p_value,
        method="paired bootstrap",
    )


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
