"""Drift of inputs and answers without labels: significant for its size, and large enough."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refit.domain.monitoring.baseline import Baseline
from refit.domain.monitoring.baseline_measures import classification_baseline_of
from refit.domain.monitoring.input_counts import Columns, InputCounter, columns_of
from refit.domain.monitoring.input_drift import (
    Finding,
    InputRule,
    InputVerdict,
    estimated_accuracy,
    judge_inputs,
    threshold_of,
)
from refit.domain.schema import Feature, Schema
from refit.tabular.profile import profile_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

COLOURS = ("red", "green", "blue")
SCHEMA = Schema(
    task="classification",
    label="kind",
    features=(
        Feature(name="width", type="number"),
        Feature(name="height", type="number"),
        Feature(name="colour", type="category", values=COLOURS),
    ),
    classes=("cat", "dog"),
)


def world(rows: int, seed: int, shift: float = 0.0) -> Matrix:
    generator = np.random.default_rng(seed)
    return np.column_stack(
        [
            generator.normal(shift, 1, rows),
            generator.exponential(1, rows),
            generator.choice(3, rows, p=[0.5, 0.3, 0.2]),
        ]
    )


def held_out() -> Baseline:
    generator = np.random.default_rng(3)
    sure = generator.uniform(0.5, 1, 4000)
    labels = generator.integers(0, 2, 4000)
    right = generator.random(4000) < sure
    return classification_baseline_of(
        labels, np.where(right, labels, 1 - labels), sure, ("cat", "dog"), {}
    )


BASELINE = held_out()


def columns() -> Columns:
    sample = np.column_stack([np.zeros(20_000), world(20_000, seed=1)])
    return columns_of(profile_of(SCHEMA, Counter(train=20_000), Counter(), sample), BASELINE)


COLUMNS = columns()


def judged(
    matrix: Matrix,
    predicted: Matrix | None = None,
    sure: Matrix | None = None,
    rule: InputRule | None = None,
) -> InputVerdict:
    counter = InputCounter(COLUMNS)
    counter.add(matrix, predicted, sure)
    return judge_inputs(COLUMNS, counter.counts(), BASELINE, rule or InputRule())


def finding(verdict: InputVerdict, name: str, check: str = "distribution") -> Finding:
    return next(each for each in verdict.findings if (each.name, each.check) == (name, check))


def flags(verdict: InputVerdict) -> set[tuple[str, str]]:
    return {(each.name, each.check) for each in verdict.flagged}


def test_the_same_world_is_never_flagged_however_often_one_looks() -> None:
    rule = InputRule(effect=1e-9)  # significance alone: the floor hides no false flag
    for seed in range(300):
        assert flags(judged(world(100 + seed % 7 * 300, seed + 10), rule=rule)) == set()


def test_a_shift_of_one_feature_is_flagged_on_that_feature_alone() -> None:
    verdict = judged(world(2000, seed=2, shift=0.4))
    assert flags(verdict) == {("width", "distribution")}
    assert verdict.largest_shift > 1
    assert finding(verdict, "width").value == pytest.approx(0.16, abs=0.04)


def test_a_significant_shift_below_the_floor_is_not_worth_a_word() -> None:
    moved = world(200_000, seed=2, shift=0.1)
    assert flags(judged(moved)) == set()
    assert flags(judged(moved, rule=InputRule(effect=0.01))) == {("width", "distribution")}


def test_a_large_shift_in_a_few_rows_is_not_significant() -> None:
    verdict = judged(world(10, seed=4, shift=0.8))
    assert finding(verdict, "width").threshold > 0.5
    assert flags(verdict) == set()


def test_values_out_of_the_range_of_training_are_a_shift_that_says_so() -> None:
    matrix = world(1000, seed=5)
    matrix[:300, 1] = 1e6
    found = finding(judged(matrix), "height")
    assert found.flagged
    assert found.outside == pytest.approx(0.3, abs=0.01)


def test_missing_values_break_completeness_and_not_the_distribution() -> None:
    matrix = world(2000, seed=6)
    matrix[::5, 0] = np.nan
    verdict = judged(matrix)
    assert flags(verdict) == {("width", "completeness")}
    assert finding(verdict, "width", "completeness").value == pytest.approx(0.2)


def test_a_categorys_shares_are_compared_text_by_text() -> None:
    matrix = world(2000, seed=7)
    matrix[:, 2] = np.where(np.arange(2000) % 4 == 0, 2, matrix[:, 2])
    found = finding(judged(matrix), "colour")
    assert found.flagged
    assert found.category
    assert found.value == pytest.approx(0.2, abs=0.03)


def test_texts_never_seen_in_training_show_as_missing() -> None:
    matrix = world(2000, seed=8)
    matrix[::3, 2] = np.nan  # so the API encodes them
    assert ("colour", "completeness") in flags(judged(matrix))


def test_answers_and_scores_are_held_against_the_held_out_ones() -> None:
    generator = np.random.default_rng(9)
    steady = judged(
        world(1000, seed=9),
        generator.integers(0, 2, 1000).astype(float),
        generator.uniform(0.5, 1, 1000),
    )
    assert flags(steady) == set()
    moved = judged(world(1000, seed=9), np.zeros(1000), np.full(1000, 0.55))
    assert flags(moved) == {("prediction", "distribution"), ("score", "distribution")}


def test_named_features_are_told_as_critical() -> None:
    verdict = judged(world(2000, seed=2, shift=1), rule=InputRule(critical=("width",)))
    assert [each.critical for each in verdict.flagged] == [True]
    assert not finding(verdict, "height").critical


def test_deequs_distance_and_the_indices_are_reported_beside_it() -> None:
    steady, moved = judged(world(2000, seed=11)), judged(world(2000, seed=11, shift=1))
    same, other = finding(steady, "width"), finding(moved, "width")
    assert same.robust_distance == 0
    assert other.robust_distance == pytest.approx(
        other.value - 1.8 * math.sqrt(1 / 2000 + 1 / 20_000)
    )
    assert same.psi is not None
    assert other.psi is not None
    assert same.js is not None
    assert other.js is not None
    assert 0 <= same.psi < 0.1
    assert other.psi > 0.5
    assert 0 <= same.js < 0.02
    assert 0.1 < other.js <= 1


def test_a_feature_called_score_is_not_taken_for_the_scores() -> None:
    named = Schema(
        task="classification",
        label="kind",
        features=(Feature(name="score", type="number"),),
        classes=("cat", "dog"),
    )
    sample = np.column_stack([np.zeros(1000), world(1000, seed=1)[:, 0]])
    own = columns_of(profile_of(named, Counter(train=1000), Counter(), sample), BASELINE)
    counter = InputCounter(own)
    counter.add(np.zeros((10, 1)), None, np.full(10, 0.99))
    verdict = judge_inputs(own, counter.counts(), BASELINE, InputRule())
    assert verdict.estimated_accuracy == pytest.approx(0.99, abs=0.03)


def test_nothing_is_said_of_no_rows() -> None:
    verdict = judged(np.empty((0, 3)))
    assert flags(verdict) == set()
    assert verdict.estimated_accuracy is None


def test_the_constant_is_that_of_64_features_looked_at_hourly_for_a_year() -> None:
    chance = 1 / (64 * 8760)
    assert threshold_of(10, 10**12, chance, 0) * math.sqrt(10) == pytest.approx(2.64, abs=0.005)


def test_estimated_accuracy_is_what_such_scores_were_worth() -> None:
    generator = np.random.default_rng(12)
    for low in (0.5, 0.8):
        sure = generator.uniform(low, 1, 20_000)
        found = judged(world(20_000, seed=12), None, sure).estimated_accuracy
        assert found == pytest.approx((low + 1) / 2, abs=0.02)


def test_a_score_that_was_never_held_out_counts_as_it_says() -> None:
    scores = np.zeros(20, dtype=np.int64)
    scores[2] = 5
    assert estimated_accuracy(scores, BASELINE) == pytest.approx(0.125)


@given(st.lists(st.tuples(*[st.integers(-9, 9).map(float)] * 2, st.integers(0, 3)), max_size=50))
def test_every_figure_stays_in_its_range(rows: list[tuple[float, float, int]]) -> None:
    matrix = np.array(rows, dtype=float).reshape(-1, 3)
    for found in judged(matrix).findings:
        assert 0 <= found.value <= 1 + 1e-9
        assert found.threshold > 0
        assert 0 <= found.missing <= 1
        assert found.outside is None or 0 <= found.outside <= 1
        assert found.psi is None or found.psi >= 0
        assert found.js is None or 0 <= found.js <= 1 + 1e-9
        assert found.flagged == (found.value > found.threshold)
