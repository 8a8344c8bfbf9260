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

_LARGEST_LOG_ODDS = math.log(0.95 / 0.05)
_NEWTON_STEPS = 8
_DEVIATIONS = 8
_CHUNK = 256
_CACHED = 1024  # cohorts of a size that stays in the processor's cache
_MOST_SPREAD = 600.0  # exp(−600) is a number still
_BELOW_ONE = 1 - 2**-53
_NEGLIGIBLE = 80.0  # exp(−80) is lost when it is added to 1, ten billion times over
_LOWEST = float(np.finfo(np.float64).min)


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
    # The logarithm of the sum is concave: from a bound that is too large, no step goes too far.
    bound = float(chernoff_upper(np.array([errors]), np.array([rows]), confidence)[0])
    for _ in range(_NEWTON_STEPS):
        chances = np.exp(log_ways + wrong * math.log(bound) + right * math.log1p(-bound))
        total = float(chances.sum())
        slope = float(chances[-1]) / total * (rows - errors) / (1 - bound)
        bound += math.log(total / (1 - confidence)) / slope
    return bound


def chernoff_upper(
    successes: Floats | Integers, trials: Floats | Integers, confidence: float
) -> Floats:
    """Return one-sided upper confidence bounds of many shares at once; 1 without trials.

    The interval is about a fifth wider than that of Clopper and Pearson and, like it, valid for any
    sample size.

    Args:
        successes: array of any shape, 0 to trials.
        trials: array of the same shape, ≥ 0.
        confidence: confidence level, within (0, 1).

    Source: Chernoff's bound, n · KL(share, bound) = ln(1/(1 − confidence)); Boucheron, Lugosi,
    Massart, Concentration Inequalities (2013), section 2.2.
    """
    bounds = np.ones(trials.shape)
    is_open = successes < trials
    share = successes[is_open] / trials[is_open]
    reach = -math.log1p(-confidence) / trials[is_open]
    entropy = _entropy(share)
    # Two bounds that are too large. The divergence is convex: no step from them goes too far.
    bound = np.minimum(
        share + reach + np.sqrt(reach * (reach + 2 * share)),
        -np.expm1(-(reach + entropy) / (1 - share)),
    )
    for _ in range(_NEWTON_STEPS):
        bound = np.minimum(bound, _BELOW_ONE)
        divergence = -share * np.log(bound) - (1 - share) * np.log1p(-bound) - entropy
        bound -= (divergence - reach) * bound * (1 - bound) / (bound - share)
    bounds[is_open] = bound
    return bounds


def chernoff_lower(
    successes: Floats | Integers, trials: Floats | Integers, confidence: float
) -> Floats:
    """Return one-sided lower confidence bounds; 0 without trials. See `chernoff_upper`."""
    return 1 - chernoff_upper(trials - successes, trials, confidence)


def _entropy(share: Floats) -> Floats:
    """Return the entropy of Bernoulli distributions, in nats, of shares below 1."""
    log_share = np.log(share, out=np.zeros_like(share), where=share > 0)
    entropy: Floats = -share * log_share - (1 - share) * np.log1p(-share)
    return entropy


def raised_odds(rates: Floats, factor: float) -> Floats:
    """Return error rates, within (0, 1), whose odds are `factor` times as high."""
    if factor == 1:
        return rates
    raised: Floats = factor * rates / (1 + (factor - 1) * rates)
    return np.minimum(raised, LARGEST_LIMIT)


def odds_ratios(limits: Floats, smallest: float, count: int) -> Floats:
    """Return (count,) bets, as ratios of odds to the tolerated ones, evenly spaced in log odds.

    The largest is a bet on an error rate of 95 % at the highest limit. If that limit is close to 1,
    all ratios are 1, and the bets neither win nor lose.

    Args:
        limits: (n_cohorts,), n_cohorts ≥ 1, tolerated error rates, within (0, 1).
        smallest: the smallest ratio, > 1.
        count: number of bets.
    """
    highest = float(limits.max())
    room = max(_LARGEST_LOG_ODDS - math.log(highest / (1 - highest)), 0.0)
    first = min(math.log(smallest), room / 2)
    ratios: Floats = np.exp(np.linspace(first, room, count))
    return ratios


def log_gains(predictions: CountedPredictions, limits: Floats, ratios: Floats) -> Floats:
    """Return the logarithm of the factor by which each cohort multiplies the stake of each bet.

    A bet on an error rate q whose odds are r times those of the limit m multiplies its stake by
    q/m = r/(1 + (r − 1)m) at an error, and by (1 − q)/(1 − m) = 1/(1 + (r − 1)m) otherwise. Where a
    wrong prediction is ρ times as likely to be counted as a correct one, the true error rate m is
    observed as ρm/(ρm + 1 − m), and the bet is made against that rate.

    Args:
        predictions: counted predictions of n_cohorts cohorts.
        limits: (n_cohorts,) the tolerated error rates m, within (0, 1).
        ratios: (n_bets,) the odds ratios r, ≥ 1.

    Returns:
        (n_cohorts, n_bets).
    """
    selectivity = predictions.selectivity
    # Both change seldom, and logarithms are expensive.
    is_new = np.append(True, (np.diff(limits) != 0) | (np.diff(selectivity) != 0))
    limit, rho = limits[is_new, None], selectivity[is_new, None]
    prices = np.log1p((rho * ratios - 1) * limit) - np.log1p((rho - 1) * limit)
    price_of = np.cumsum(is_new) - 1
    log_ratios = np.log(ratios)
    gains = np.empty((len(limits), len(ratios)))
    for start in range(0, len(limits), _CACHED):
        rows = slice(start, start + _CACHED)
        part = gains[rows]
        np.multiply(predictions.errors[rows, None], log_ratios, out=part)
        part -= predictions.counted[rows, None] * prices[price_of[rows]]
    return gains


def log_evidence(gains: Floats, counted: Integers | Flags, last: int | None = None) -> Floats:
    """Return the logarithm of the sum of the stakes of each bet after each cohort.

    M_t = L_t · (1 + M_{t−1}). Nothing is staked on a cohort without counted predictions, so missing
    labels do not change the evidence.

    Args:
        gains: (n_cohorts, n_bets) ln L_t.
        counted: (n_cohorts, n_bets or 1) number of counted predictions.
        last: number of cohorts, from the end, after which the evidence is wanted; None for all,
            which takes several times as long.

    Returns:
        (n_cohorts or last, n_bets); −∞ before the first stake.
    """
    total = np.zeros((len(gains) + 1, gains.shape[1]))
    sums = np.cumsum(gains, axis=0, out=total[1:])
    # A unit that is staked on a cohort has missed the gains before it.
    missed = total[:-1]
    is_staked = counted > 0
    if not is_staked.all():
        missed = np.where(is_staked, missed, np.inf)
    first = 0 if last is None else max(len(gains) - last, 0)
    evidence = _log_cumulative_sum(-missed[first:], _log_sum_of_stakes(missed[:first]))
    evidence += sums[first:]
    return evidence


def _log_sum_of_stakes(missed: Floats) -> Floats:
    """Return the logarithm of the sum of exp(−missed) along the first axis."""
    lowest = np.minimum(missed.min(axis=0, initial=np.inf), -_LOWEST)
    # The stakes of months ago have shrunk to nothing.
    matters = (missed < lowest + _NEGLIGIBLE).any(axis=1)
    missed = missed[int(matters.argmax()) if len(matters) else 0 :]
    with np.errstate(divide="ignore"):  # before the first stake
        total: Floats = np.log(np.exp(lowest - missed).sum(axis=0)) - lowest
    return total


def _log_cumulative_sum(logs: Floats, before: Floats) -> Floats:
    """Return the logarithm of the cumulative sum, along the first axis, of numbers of any size.

    `np.logaddexp.accumulate` gives the same, and takes four times as long.

    Args:
        logs: (n, n_bets).
        before: (n_bets,) logarithm of the sum before the first of them.
    """
    sums = np.empty_like(logs)
    for start in range(0, len(logs), _CHUNK):
        chunk = np.vstack([before, logs[start : start + _CHUNK]])
        is_number = np.isfinite(chunk)
        peak = np.maximum(chunk.max(axis=0), _LOWEST)
        lowest = np.where(is_number, chunk, peak).min(axis=0)
        if (peak - lowest).max() < _MOST_SPREAD:
            with np.errstate(divide="ignore"):  # before the first stake
                part = np.log(np.cumsum(np.exp(chunk - peak), axis=0)) + peak
        else:
            part = np.logaddexp.accumulate(chunk, axis=0)
        sums[start : start + _CHUNK] = part[1:]
        before = part[-1]
    return sums


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
