"""Paired comparisons of two models, compared with exact definitions and published figures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refit.domain.evaluation.comparison import (
    compare_classifiers,
    compare_regressions,
    mcnemar_mid_p,
    paired_share_interval,
)
from refit.domain.evaluation.outcomes import ClassOutcome

no_deadline = settings(deadline=None)  # a busy machine is slow


def exact_mid_p(won: int, lost: int) -> float:
    trials, fewer = won + lost, min(won, lost)
    probabilities = [math.comb(trials, k) / 2**trials for k in range(fewer + 1)]
    return min(1.0, 2 * (sum(probabilities) - 0.5 * probabilities[-1]))


@no_deadline
@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_the_mid_p_value_of_a_binomial_test(won: int, lost: int) -> None:
    assert mcnemar_mid_p(won, lost) == pytest.approx(exact_mid_p(won, lost), rel=1e-9)


def test_mcnemar_gives_the_published_p_value() -> None:
    # Fagerland, Lydersen and Laake (2013): 1 and 7 discordant pairs.
    assert mcnemar_mid_p(1, 7) == pytest.approx(0.039, abs=0.0005)


def test_mcnemar_of_a_million_discordant_rows_agrees_with_the_normal_approximation() -> None:
    z = 2000 / math.sqrt(1_000_000)
    normal = math.erfc(z / math.sqrt(2))
    assert mcnemar_mid_p(501_000, 499_000) == pytest.approx(normal, rel=1e-3)
    assert mcnemar_mid_p(1_000_000, 0) == 0.0


def test_models_that_never_differ_have_a_p_value_of_1() -> None:
    assert mcnemar_mid_p(0, 0) == 1


@pytest.mark.parametrize(
    ("cells", "interval"),
    [((36, 12, 2, 0), (0.0569, 0.3404)), ((0, 0, 0, 54), (-0.0664, 0.0664))],
)
def test_the_interval_of_paired_shares_is_the_published_one(
    cells: tuple[int, int, int, int], interval: tuple[float, float]
) -> None:
    # Newcombe (1998), Statistics in Medicine 17:2635, method 10.
    assert paired_share_interval(*cells, 0.95) == pytest.approx(interval, abs=5e-4)


counts = st.tuples(*[st.integers(0, 200)] * 4).filter(any)


@no_deadline
@given(counts)
def test_the_interval_of_paired_shares_contains_the_difference_and_is_symmetric(
    cells: tuple[int, int, int, int],
) -> None:
    both, won, lost, neither = cells
    low, high = paired_share_interval(both, won, lost, neither, 0.95)
    difference = (won - lost) / sum(cells)
    assert -1 <= low <= difference + 1e-12
    assert difference - 1e-12 <= high <= 1
    mirrored = paired_share_interval(both, lost, won, neither, 0.95)
    assert mirrored == pytest.approx((-high, -low), abs=1e-12)


def outcome(predicted: list[int], losses: list[float]) -> ClassOutcome:
    rows = len(losses)
    probabilities = np.full((rows, 2), 0.5)
    return ClassOutcome(
        np.array(predicted), np.array(losses), np.zeros(rows), np.ones(rows), None, probabilities
    )


def test_the_advantage_is_positive_when_the_challenger_is_better() -> None:
    labels = np.array([0, 1, 1, 0])
    better, worse = outcome([0, 1, 1, 0], [0.1] * 4), outcome([0, 1, 0, 1], [0.9] * 4)
    compared = compare_classifiers(labels, better, worse, 0.95)
    assert compared["accuracy"].advantage == 0.5
    assert compared["log_loss"].advantage == pytest.approx(0.8)
    swapped = compare_classifiers(labels, worse, better, 0.95)
    assert swapped["accuracy"].advantage == -0.5
    assert swapped["log_loss"].advantage == pytest.approx(-0.8)


def test_a_model_does_not_differ_from_itself() -> None:
    generator = np.random.default_rng(2)
    labels, predictions = generator.normal(size=80), generator.normal(size=80)
    for compared in compare_regressions(labels, predictions, predictions, 0.95).values():
        assert (compared.advantage, compared.low, compared.high) == (0, 0, 0)
        assert compared.p_value == 1


def test_pairing_shows_a_small_difference_that_separate_intervals_hide() -> None:
    generator = np.random.default_rng(4)
    hard = generator.normal(scale=10, size=400)
    labels, noise = np.zeros(400), generator.normal(scale=0.2, size=400)
    compared = compare_regressions(labels, hard, hard * 1.02 + noise, 0.95)["rmse"]
    assert 0 < compared.low <= compared.advantage <= compared.high
    assert compared.p_value < 0.01


def test_one_row_has_no_interval_and_a_p_value_of_1() -> None:
    compared = compare_regressions(np.zeros(1), np.ones(1), np.full(1, 2.0), 0.95)["mae"]
    assert compared.advantage == 1
    assert (compared.low, compared.high, compared.p_value) == (None, None, 1)


def test_equally_good_models_are_rarely_significantly_different() -> None:
    generator = np.random.default_rng(1)
    labels = np.zeros(120)
    p_values = [
        compare_regressions(labels, generator.normal(size=120), generator.normal(size=120), 0.95)[
            "mae"
        ].p_value
        for _ in range(60)
    ]
    assert sum(p_value < 0.05 for p_value in p_values) <= 10  # 3 expected
