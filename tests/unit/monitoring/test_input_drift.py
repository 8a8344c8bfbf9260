"""Input drift: a shift is flagged if it is significant and at least as large as the minimum."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refit.domain.model_settings import MonitoringSettings
from refit.domain.monitoring.baseline_measures import classification_baseline_of
from refit.domain.monitoring.input_counts import Columns, InputCounter, InputCounts, columns_of
from refit.domain.monitoring.input_drift import (
    Finding,
    check_columns,
    estimated_accuracy,
    expected_accuracy,
    threshold_of,
)
from refit.domain.monitoring.input_seasons import InputSpan, input_verdict_of
from refit.domain.monitoring.violations import Violation
from refit.domain.schema import Feature, Schema
from refit.tabular.profile import profile_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from refit.domain.monitoring.baseline import Baseline

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


def sampled_rows(rows: int, seed: int, shift: float = 0.0) -> Matrix:
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
    sample = np.column_stack([np.zeros(20_000), sampled_rows(20_000, seed=1)])
    return columns_of(profile_of(SCHEMA, Counter(train=20_000), Counter(), sample), BASELINE)


COLUMNS = columns()


def counted(
    matrix: Matrix, predicted: Matrix | None = None, sure: Matrix | None = None
) -> InputCounts:
    counter = InputCounter(COLUMNS)
    counter.add(matrix, predicted, sure)
    return counter.counts()


def checked(
    matrix: Matrix,
    predicted: Matrix | None = None,
    sure: Matrix | None = None,
    **settings: Any,
) -> list[Finding]:
    counts = counted(matrix, predicted, sure)
    return check_columns(COLUMNS, counts, MonitoringSettings(**settings))


def finding(findings: list[Finding], name: str, check: str = "distribution") -> Finding:
    return next(each for each in findings if (each.name, each.check) == (name, check))


def flags(findings: list[Finding]) -> set[tuple[str, str]]:
    return {(each.name, each.check) for each in findings if each.flagged}


def test_unchanged_inputs_are_not_flagged_in_many_checks() -> None:
    # The minimum effect is so small that only significance decides.
    for seed in range(300):
        assert (
            flags(checked(sampled_rows(100 + seed % 7 * 300, seed + 10), input_effect=1e-9))
            == set()
        )


def test_a_shift_of_one_feature_is_flagged_on_that_feature_alone() -> None:
    findings = checked(sampled_rows(2000, seed=2, shift=0.4))
    assert flags(findings) == {("width", "distribution")}
    assert finding(findings, "width").value == pytest.approx(0.16, abs=0.04)


def test_a_significant_shift_below_the_minimum_effect_is_not_flagged() -> None:
    moved = sampled_rows(200_000, seed=2, shift=0.1)
    assert flags(checked(moved)) == set()
    assert flags(checked(moved, input_effect=0.01)) == {("width", "distribution")}


def test_a_large_shift_in_a_few_rows_is_not_significant() -> None:
    findings = checked(sampled_rows(10, seed=4, shift=0.8))
    assert finding(findings, "width").threshold > 0.5
    assert flags(findings) == set()


def test_a_shift_reports_the_share_of_values_outside_the_training_range() -> None:
    matrix = sampled_rows(1000, seed=5)
    matrix[:300, 1] = 1e6
    found = finding(checked(matrix), "height")
    assert found.flagged
    assert found.outside == pytest.approx(0.3, abs=0.01)


def test_missing_values_are_flagged_as_incomplete_and_not_as_a_shift() -> None:
    matrix = sampled_rows(2000, seed=6)
    matrix[::5, 0] = np.nan
    findings = checked(matrix)
    assert flags(findings) == {("width", "completeness")}
    assert finding(findings, "width", "completeness").value == pytest.approx(0.2)


def test_the_share_of_each_text_of_a_category_is_compared() -> None:
    matrix = sampled_rows(2000, seed=7)
    matrix[:, 2] = np.where(np.arange(2000) % 4 == 0, 2, matrix[:, 2])
    found = finding(checked(matrix), "colour")
    assert found.flagged
    assert found.category
    assert found.value == pytest.approx(0.2, abs=0.03)


def test_texts_that_were_not_in_the_training_data_are_reported_as_missing() -> None:
    matrix = sampled_rows(2000, seed=8)
    matrix[::3, 2] = np.nan  # the API encodes unknown texts as missing
    assert ("colour", "completeness") in flags(checked(matrix))


def test_predictions_and_scores_are_compared_with_the_held_out_ones() -> None:
    generator = np.random.default_rng(9)
    steady = checked(
        sampled_rows(1000, seed=9),
        generator.integers(0, 2, 1000).astype(float),
        generator.uniform(0.5, 1, 1000),
    )
    assert flags(steady) == set()
    moved = checked(sampled_rows(1000, seed=9), np.zeros(1000), np.full(1000, 0.55))
    assert flags(moved) == {("prediction", "distribution"), ("score", "distribution")}


def test_named_features_are_reported_as_critical() -> None:
    findings = checked(sampled_rows(2000, seed=2, shift=1), critical_features=("width",))
    assert [each.critical for each in findings if each.flagged] == [True]
    assert not finding(findings, "height").critical


def test_robust_distance_psi_and_js_are_reported_with_each_finding() -> None:
    steady, moved = (
        checked(sampled_rows(2000, seed=11)),
        checked(sampled_rows(2000, seed=11, shift=1)),
    )
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


def test_a_feature_named_score_is_not_confused_with_the_scores() -> None:
    named = Schema(
        task="classification",
        label="kind",
        features=(Feature(name="score", type="number"),),
        classes=("cat", "dog"),
    )
    sample = np.column_stack([np.zeros(1000), sampled_rows(1000, seed=1)[:, 0]])
    own = columns_of(profile_of(named, Counter(train=1000), Counter(), sample), BASELINE)
    counter = InputCounter(own)
    counter.add(np.zeros((10, 1)), None, np.full(10, 0.99))
    assert estimated_accuracy(own, counter.counts(), BASELINE) == pytest.approx(0.99, abs=0.03)


def test_without_rows_nothing_is_flagged() -> None:
    nothing = np.empty((0, 3))
    assert flags(checked(nothing)) == set()
    assert estimated_accuracy(COLUMNS, counted(nothing), BASELINE) is None


def test_the_threshold_of_64_features_checked_hourly_for_a_year_is_2_64_over_root_n() -> None:
    chance = 1 / (64 * 8760)
    assert threshold_of(10, 10**12, chance, 0) * math.sqrt(10) == pytest.approx(2.64, abs=0.005)


def test_estimated_accuracy_follows_the_held_out_accuracy_of_each_score() -> None:
    generator = np.random.default_rng(12)
    for low in (0.5, 0.8):
        sure = generator.uniform(low, 1, 20_000)
        found = estimated_accuracy(
            COLUMNS, counted(sampled_rows(20_000, seed=12), None, sure), BASELINE
        )
        assert found == pytest.approx((low + 1) / 2, abs=0.02)


def test_a_score_without_held_out_rows_is_used_as_its_own_accuracy() -> None:
    scores = np.zeros(20, dtype=np.int64)
    scores[2] = 5
    assert expected_accuracy(scores, BASELINE) == pytest.approx(0.125)


@given(st.lists(st.tuples(*[st.integers(-9, 9).map(float)] * 2, st.integers(0, 3)), max_size=50))
def test_every_figure_stays_in_its_range(rows: list[tuple[float, float, int]]) -> None:
    matrix = np.array(rows, dtype=float).reshape(-1, 3)
    for found in checked(matrix):
        assert 0 <= found.value <= 1 + 1e-9
        assert found.threshold > 0
        assert 0 <= found.missing <= 1
        assert found.outside is None or 0 <= found.outside <= 1
        assert found.psi is None or found.psi >= 0
        assert found.js is None or 0 <= found.js <= 1 + 1e-9
        assert found.flagged == (found.value > found.threshold)


def test_the_verdict_names_the_shifts_that_exceed_their_limits_most() -> None:
    counts = counted(sampled_rows(10, seed=1))
    limits = {"a": 0.2, "b": 0.1, "c": 0.4}
    violations = [
        Violation(
            feature_name=name,
            constraint_check_type="baseline_drift_check",
            description="…",
            value=0.5,
            threshold=threshold,
            n=10,
        )
        for name, threshold in limits.items()
    ]
    start = datetime(2026, 1, 1, tzinfo=UTC)
    settings = MonitoringSettings(season_s=0)
    span = InputSpan.of_cohort(start, settings)
    verdict = input_verdict_of(span, COLUMNS, counts, BASELINE, violations, settings)
    assert [shift.feature_name for shift in verdict.shifts] == ["b", "a", "c"]
    assert (verdict.cohort, verdict.rows, verdict.flagged) == (start, 10, 3)
    assert (verdict.since, verdict.until) == (start, start + timedelta(hours=1))
