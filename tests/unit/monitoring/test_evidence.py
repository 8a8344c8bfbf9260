"""The arithmetic of bets, compared with SciPy and with its own guarantee."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refit.domain.monitoring.evidence import (
    ALTERNATIVES,
    CountedPredictions,
    alternatives_to,
    chernoff_bounds,
    log_evidence,
    log_gains,
    log_mean,
    raised_odds,
    upper_bound,
)
from scipy.stats import beta

shares = st.floats(0.001, 0.95)


@given(rows=st.integers(1, 3000), part=st.floats(0, 1), confidence=st.sampled_from([0.9, 0.99]))
def test_the_upper_bound_equals_that_of_clopper_and_pearson(
    rows: int, part: float, confidence: float
) -> None:
    errors = int(part * rows)
    exact = 1.0 if errors == rows else beta.ppf(confidence, errors + 1, rows - errors)
    assert upper_bound(errors, rows, confidence) == pytest.approx(exact, rel=1e-6)


def test_the_upper_bound_is_exact_for_a_million_rows() -> None:
    exact = beta.ppf(0.99, 80_001, 920_000)
    assert upper_bound(80_000, 1_000_000, 0.99) == pytest.approx(exact, rel=1e-6)


def test_without_rows_the_bounds_are_zero_and_one() -> None:
    assert upper_bound(0, 0, 0.99) == 1
    low, high = chernoff_bounds(np.zeros(1), np.zeros(1), 0.99)
    assert (low[0], high[0]) == (0, 1)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_chernoffs_bounds_keep_their_confidence_level(share: float) -> None:
    trials = np.full(4000, 50.0)
    successes = np.random.default_rng(1).binomial(50, share, 4000).astype(float)
    low, high = chernoff_bounds(successes, trials, 0.95)
    assert (low > share).mean() <= 0.05
    assert (high < share).mean() <= 0.05
    assert (high - low).mean() < 0.6


def test_chernoffs_bounds_of_the_shares_zero_and_one_include_these_shares() -> None:
    low, high = chernoff_bounds(np.array([0.0, 20.0]), np.array([20.0, 20.0]), 0.99)
    assert low[0] == 0
    assert high[0] == pytest.approx(1 - 0.01 ** (1 / 20))
    assert low[1] == pytest.approx(0.01 ** (1 / 20))
    assert high[1] == 1


@given(st.lists(shares, min_size=1, max_size=5))
def test_the_alternatives_ascend_from_the_limit_to_nearly_one(limits: list[float]) -> None:
    found = alternatives_to(np.array(limits))
    assert found.shape == (len(limits), ALTERNATIVES)
    assert (found >= np.array(limits)[:, None]).all()
    assert (np.diff(found, axis=1) >= 0).all()
    assert (found < 1).all()


@given(st.lists(shares, min_size=2, max_size=5))
def test_a_bet_keeps_its_odds_ratio_when_the_limit_changes(limits: list[float]) -> None:
    limit = np.array(limits)[:, None]
    found = alternatives_to(np.array(limits))
    ratios = found / (1 - found) / (limit / (1 - limit))
    assert ratios == pytest.approx(np.broadcast_to(ratios[0], ratios.shape), rel=1e-6)


@given(limit=shares, factor=st.floats(1, 50))
def test_raised_odds_are_a_multiple_of_the_odds(limit: float, factor: float) -> None:
    raised = raised_odds(np.array([limit]), factor)[0]
    assert raised / (1 - raised) == pytest.approx(factor * limit / (1 - limit), rel=1e-6)


def test_with_a_limit_near_one_a_bet_neither_wins_nor_loses() -> None:
    limits = np.array([0.99])
    predictions = CountedPredictions(np.array([500]), np.array([500]), np.ones(1))
    assert (log_gains(predictions, limits, alternatives_to(limits)) == 0).all()


@given(limit=shares, counted=st.integers(1, 40), selectivity=st.floats(1, 10))
def test_at_the_limit_no_bet_gains_on_average(
    limit: float, counted: int, selectivity: float
) -> None:
    errors = np.arange(counted + 1)
    predictions = CountedPredictions(
        np.full(counted + 1, counted), errors, np.full(counted + 1, selectivity)
    )
    limits = np.full(counted + 1, limit)
    gains = np.exp(log_gains(predictions, limits, alternatives_to(limits)))
    seen = selectivity * limit / (selectivity * limit + 1 - limit)  # error rate among the labelled
    ways = np.array([math.comb(counted, k) for k in errors], dtype=float)
    chances = ways * seen**errors * (1 - seen) ** (counted - errors)
    assert chances @ gains == pytest.approx(np.ones(ALTERNATIVES), rel=1e-6)


def test_the_evidence_is_the_sum_of_the_stakes_of_every_cohort() -> None:
    gains = np.random.default_rng(2).normal(0, 1, (6, 3))
    counted = np.array([1, 1, 0, 1, 1, 1])
    gains[2] = 0
    found = np.exp(log_evidence(gains, counted[:, None]))
    stakes = np.zeros(3)
    for index, gain in enumerate(np.exp(gains)):
        stakes = gain * (stakes + (counted[index] > 0))
        assert found[index] == pytest.approx(stakes)


def test_missing_labels_do_not_change_the_evidence() -> None:
    found = log_evidence(np.zeros((50, 1)), np.zeros((50, 1), dtype=int))
    assert (found == -np.inf).all()


def test_evidence_too_large_for_a_float_is_kept_as_a_logarithm() -> None:
    found = log_evidence(np.array([[5000.0], [-5000.0]]), np.array([[1], [1]]))
    assert found[:, 0] == pytest.approx([5000.0, 0.0])


def test_a_mean_of_logarithms_is_weighted() -> None:
    logs = np.log(np.array([[2.0, 4.0], [1.0, 1.0]])) + 900
    assert log_mean(logs, np.array([0.75, 0.25])) == pytest.approx([900 + math.log(2.5), 900.0])
    assert log_mean(np.full((1, 2), -np.inf), np.array([0.5, 0.5]))[0] == -np.inf
