"""Evidence that an error rate has risen above a limit m, computed by betting against that limit.

A bet on an alternative error rate q > m multiplies its stake by q/m at every error and by
(1 − q)/(1 − m) at every correct prediction. While the true error rate is at most m, no bet gains on
average, whatever the order or dependence of the predictions and however often they are checked.
When the true error rate is q, the stake grows exponentially. One new unit is staked at every
cohort, and no stake is ever withdrawn. The evidence M is the sum of all stakes. The mean of M over
alternatives and classes is evidence, too.

While the error rate stays within the limit, E[M after t cohorts] ≤ t. So the average number of
cohorts until M first reaches a threshold c is at least c.

Source: Shin, Ramdas, Rinaldo, "E-detectors: a nonparametric framework for sequential change
detection" (arXiv 2203.03532), section 2; Shiryaev-Roberts form. Everything is kept in logarithms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refit.domain.evaluation.resampling import Floats, Integers

    Flags = NDArray[np.bool_]

LARGEST_LIMIT = 1 - 1e-9
"""Limits stay below 1, because the odds of an error rate of 1 are infinite."""

ALTERNATIVES = 20
_SMALLEST_STEP = math.log(1.08)
_LARGEST_LOG_ODDS = math.log(0.95 / 0.05)
_HALVINGS = 50
_DEVIATIONS = 12


@dataclass(frozen=True)
class CountedPredictions:
    """The predictions that decide the bets, in the order of time.

    Attributes:
        counted: (n_cohorts,) number of counted predictions, ≥ errors.
        errors: (n_cohorts,) number of wrong predictions among them.
        selectivity: (n_cohorts,) ≥ 0, probability that a wrong prediction is counted, divided by
            the probability that a correct one is; 1 where both are equally likely.
    """

    counted: Integers
    errors: Integers
    selectivity: Floats


def upper_bound(errors: int, rows: int, confidence: float) -> float:
    """Return the exact one-sided upper confidence bound of an error rate; 1 without rows.

    Args:
        errors: number of errors, 0 to rows.
        rows: number of rows, ≥ 0.
        confidence: confidence level, within (0, 1).

    Source: Clopper and Pearson (1934), Biometrika 26:404.
    """
    if errors >= rows:
        return 1.0
    # The probabilities of far fewer errors are too small to change the sum.
    fewest = max(0, errors - int(_DEVIATIONS * math.sqrt(errors)))
    wrong = np.arange(fewest, errors + 1)
    right = rows - wrong
    log_ways = np.cumsum(np.log((right[:-1]) / wrong[1:]))
    log_ways = np.append(0.0, log_ways) + (
        math.lgamma(rows + 1) - math.lgamma(fewest + 1) - math.lgamma(rows - fewest + 1)
    )
    low, high = errors / rows, 1.0
    for _ in range(_HALVINGS):
        share = (low + high) / 2
        log_chances = log_ways + wrong * math.log(share) + right * math.log1p(-share)
        low, high = (share, high) if np.exp(log_chances).sum() > 1 - confidence else (low, share)
    return high


def chernoff_bounds(successes: Floats, trials: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Return lower and upper confidence bounds of many shares at once, each one-sided.

    The interval is about a fifth wider than that of Clopper and Pearson and, like it, valid for any
    sample size. Without trials the bounds are 0 and 1.

    Args:
        successes: array of any shape, 0 to trials.
        trials: array of the same shape, ≥ 0.
        confidence: confidence level of each bound, within (0, 1).

    Source: Chernoff's bound, n · KL(share, bound) = ln(1/(1 − confidence)); Boucheron, Lugosi,
    Massart, Concentration Inequalities (2013), section 2.2.
    """
    share = np.divide(successes, trials, out=np.full(trials.shape, 0.5), where=trials > 0)
    reach = -math.log1p(-confidence)
    bounds = []
    for end in (0.0, 1.0):
        inside, outside = share.copy(), np.full(share.shape, end)
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2
            too_far = trials * _divergence(share, middle) > reach
            outside = np.where(too_far, middle, outside)
            inside = np.where(too_far, inside, middle)
        bounds.append(outside)
    return bounds[0], bounds[1]


def _divergence(share: Floats, other: Floats) -> Floats:
    """Return the Kullback-Leibler divergence of two Bernoulli distributions."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ones = np.where(share > 0, share * np.log(share / other), 0.0)
        zeros = np.where(share < 1, (1 - share) * np.log((1 - share) / (1 - other)), 0.0)
    total: Floats = ones + zeros
    return total


def raised_odds(rates: Floats, factor: float) -> Floats:
    """Return error rates, within (0, 1), whose odds are `factor` times as high."""
    if factor == 1:
        return rates
    raised: Floats = factor * rates / (1 + (factor - 1) * rates)
    return np.minimum(raised, LARGEST_LIMIT)


def alternatives_to(limits: Floats) -> Floats:
    """Return the error rates that are bet on: evenly spaced in log odds above the highest limit.

    Each bet keeps its odds ratio to the limit when the limit falls, so that its product over a
    season is fair (seasons.py).

    Args:
        limits: (n_cohorts,) tolerated error rates, within (0, 1).

    Returns:
        (n_cohorts, ALTERNATIVES) error rates above the limit. If the limit is close to 1, they all
        equal the limit, and the bets neither win nor lose.
    """
    highest = float(limits.max(initial=0.0))
    room = max(_LARGEST_LOG_ODDS - math.log(highest / (1 - highest)), 0.0) if highest else 0.0
    smallest = min(_SMALLEST_STEP, room / 2)
    ratios = np.exp(smallest + (room - smallest) * np.linspace(0, 1, ALTERNATIVES))
    limit = limits[:, None]
    return np.where(room > 0, ratios * limit / (1 + (ratios - 1) * limit), limit)


def log_gains(predictions: CountedPredictions, limits: Floats, alternatives: Floats) -> Floats:
    """Return the logarithm of the factor by which each cohort multiplies the stake of each bet.

    Where a wrong prediction is ρ times as likely to be counted as a correct one, a true error rate
    m is observed as ρm/(ρm + 1 − m). The bet is then on ρq/(ρq + 1 − q) against that rate.

    Args:
        predictions: counted predictions of n_cohorts cohorts.
        limits: (n_cohorts,) the tolerated error rates m, within (0, 1).
        alternatives: (n_cohorts, n_bets) the alternatives q, at or above the limit.

    Returns:
        (n_cohorts, n_bets).
    """
    counted, errors = predictions.counted[:, None], predictions.errors[:, None]
    limit, excess = limits[:, None], predictions.selectivity[:, None] - 1
    gains: Floats = errors * np.log(alternatives / limit)
    gains += (counted - errors) * np.log((1 - alternatives) / (1 - limit))
    gains -= counted * np.log((1 + excess * alternatives) / (1 + excess * limit))
    return gains


def log_evidence(gains: Floats, counted: Integers | Flags) -> Floats:
    """Return the logarithm of the sum of the stakes of each bet after each cohort.

    M_t = L_t · (1 + M_{t−1}). Nothing is staked on a cohort without counted predictions, so missing
    labels do not change the evidence.

    Args:
        gains: (n_cohorts, n_bets) ln L_t.
        counted: (n_cohorts, n_bets or 1) number of counted predictions.

    Returns:
        (n_cohorts, n_bets); −∞ before the first stake.
    """
    sums = np.cumsum(gains, axis=0)
    stakes = np.where(counted > 0, gains - sums, -np.inf)
    evidence: Floats = sums + np.logaddexp.accumulate(stakes, axis=0)
    return evidence


def log_mean(logs: Floats, weights: Floats) -> Floats:
    """Return the logarithm of the weighted mean over the last axis; −∞ where all values are −∞.

    Args:
        logs: (…, n) logarithms.
        weights: (n,) ≥ 0, adding up to at most 1.
    """
    peak = logs.max(axis=-1, keepdims=True, initial=-np.inf)
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = np.where(np.isfinite(peak), np.exp(logs - peak), 0.0)
        mean: Floats = peak[..., 0] + np.log(scaled @ weights)
    return np.where(np.isfinite(peak[..., 0]), mean, -np.inf)
