"""The arithmetic of bets, compared with SciPy and with its own guarantee."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refit.domain.monitoring.evidence import (
    CountedPredictions,
    chernoff_lower,
    chernoff_upper,
    log_evidence,
    log_gains,
    log_mean,
    odds_ratios,
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
    none = np.zeros(1)
    assert chernoff_lower(none, none, 0.99)[0] == 0
    assert chernoff_upper(none, none, 0.99)[0] == 1


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_chernoffs_bounds_keep_their_confidence_level(share: float) -> None:
    trials = np.full(4000, 50.0)
    successes = np.random.default_rng(1).binomial(50, share, 4000).astype(float)
    low = chernoff_lower(successes, trials, 0.95)
    high = chernoff_upper(successes, trials, 0.95)
    assert (low > share).mean() <= 0.05
    assert (high < share).mean() <= 0.05
    assert (high - low).mean() < 0.6


def test_chernoffs_bounds_of_the_shares_zero_and_one_include_these_shares() -> None:
    successes, trials = np.array([0.0, 20.0]), np.array([20.0, 20.0])
    low = chernoff_lower(successes, trials, 0.99)
    high = chernoff_upper(successes, trials, 0.99)
    assert low[0] == 0
    assert high[0] == pytest.approx(1 - 0.01 ** (1 / 20))
    assert low[1] == pytest.approx(0.01 ** (1 / 20))
    assert high[1] == 1


@given(st.integers(1, 10**9), st.floats(0, 1), st.sampled_from([0.5, 0.99, 0.999, 1 - 1e-9]))
def test_chernoffs_bound_is_never_below_the_exact_one(
    rows: int, share: float, confidence: float
) -> None:
    errors = min(round(share * rows), rows - 1)
    exact = float(beta.ppf(confidence, errors + 1, rows - errors))
    bound = chernoff_upper(np.array([errors]), np.array([rows]), confidence)[0]
    assert exact * (1 - 1e-9) <= bound <= 1
    divergence = sum(
        part * math.log(part / other)
        for part, other in ((errors / rows, bound), (1 - errors / rows, 1 - bound))
        if part and other
    )
    assert divergence * rows == pytest.approx(-math.log1p(-confidence), rel=1e-3)


@given(st.lists(shares, min_size=1, max_size=5), st.integers(2, 20))
def test_the_bets_ascend_from_the_limit_to_nearly_one(limits: list[float], count: int) -> None:
    ratios = odds_ratios(np.array(limits), 1.08, count)
    assert ratios.shape == (count,)
    assert (ratios >= 1).all()
    assert (np.diff(ratios) >= 0).all()
    odds = ratios * max(limits) / (1 - max(limits))
    assert (odds / (1 + odds) <= max(0.95, *limits) + 1e-9).all()


@given(limit=shares, factor=st.floats(1, 50))
def test_raised_odds_are_a_multiple_of_the_odds(limit: float, factor: float) -> None:
    raised = raised_odds(np.array([limit]), factor)[0]
    assert raised / (1 - raised) == pytest.approx(factor * limit / (1 - limit), rel=1e-6)


def test_with_a_limit_near_one_a_bet_neither_wins_nor_loses() -> None:
    limits = np.array([0.99])
    predictions = CountedPredictions(np.array([500]), np.array([500]), np.ones(1))
    assert (log_gains(predictions, limits, odds_ratios(limits, 1.08, 20)) == 0).all()


@given(limit=shares, counted=st.integers(1, 40), selectivity=st.floats(1, 10))
def test_at_the_limit_no_bet_gains_on_average(
    limit: float, counted: int, selectivity: float
) -> None:
    errors = np.arange(counted + 1)
    predictions = CountedPredictions(
        np.full(counted + 1, counted), errors, np.full(counted + 1, selectivity)
    )
    limits = np.full(counted + 1, limit)
    gains = np.exp(log_gains(predictions, limits, odds_ratios(limits, 1.08, 20)))
    seen = selectivity * limit / (selectivity * limit + 1 - limit)  # error rate among the labelled
    ways = np.array([math.comb(counted, k) for k in errors], dtype=float)
    chances = ways * seen**errors * (1 - seen) ** (counted - errors)
    assert chances @ gains == pytest.approx(np.ones(20), rel=1e-6)


@given(
    cohorts=st.lists(
        st.tuples(
            st.integers(0, 30), st.integers(0, 30), st.sampled_from([0.1, 0.4]), st.floats(1, 3)
        ),
        min_size=1,
        max_size=6,
    )
)
def test_the_gain_is_the_likelihood_ratio_of_the_observed_error_rates(
    cohorts: list[tuple[int, int, float, float]],
) -> None:
    errors, correct, limits, rho = (np.array(column) for column in zip(*cohorts, strict=True))
    predictions = CountedPredictions(errors + correct, errors, rho)
    ratios = np.array([1.5, 4.0])
    gains = log_gains(predictions, limits, ratios)
    bets = ratios * limits[:, None] / (1 + (ratios - 1) * limits[:, None])

    def observed(rate: np.ndarray) -> np.ndarray:
        return rho[:, None] * rate / (rho[:, None] * rate + 1 - rate)

    limit, bet = observed(limits[:, None]), observed(bets)
    expected = errors[:, None] * np.log(bet / limit)
    expected = expected + correct[:, None] * np.log((1 - bet) / (1 - limit))
    assert gains == pytest.approx(expected, rel=1e-6, abs=1e-9)


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


@pytest.mark.parametrize("spread", [1.0, 30.0, 3000.0])
def test_the_evidence_of_many_cohorts_of_any_size_is_exact(spread: float) -> None:
    gains = np.random.default_rng(3).normal(0, spread, (1000, 2))
    found = log_evidence(gains, np.ones((1000, 1)))
    log_stakes = np.full(2, -np.inf)
    for index, gain in enumerate(gains):
        log_stakes = gain + np.logaddexp(0, log_stakes)
        assert found[index] == pytest.approx(log_stakes, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("spread", [1.0, 30.0, 3000.0])
@pytest.mark.parametrize("last", [1, 24, 1000, 2000])
def test_the_evidence_after_the_last_cohorts_is_the_end_of_that_after_all(
    spread: float, last: int
) -> None:
    generator = np.random.default_rng(4)
    gains = generator.normal(-spread / 10, spread, (1000, 3))
    counted = generator.integers(0, 2, (1000, 1))
    gains *= counted
    found = log_evidence(gains, counted, last)
    assert found == pytest.approx(log_evidence(gains, counted)[-last:], rel=1e-9, abs=1e-9)


def test_a_mean_of_logarithms_is_weighted() -> None:
    logs = np.log(np.array([[2.0, 4.0], [1.0, 1.0]])) + 900
    assert log_mean(logs, np.array([0.75, 0.25])) == pytest.approx([900 + math.log(2.5), 900.0])
    assert log_mean(np.full((1, 2), -np.inf), np.array([0.5, 0.5]))[0] == -np.inf
