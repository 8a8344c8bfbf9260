"""Seasons of the inputs: a morning is no drift, and what no season explains is found at once."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refit.domain.model_settings import MonitoringSettings
from refit.domain.monitoring.baseline import Baseline, ScoreBin
from refit.domain.monitoring.cohort import Cohort, Matured, Shown
from refit.domain.monitoring.input_counts import Columns, InputCounter, columns_of, merged
from refit.domain.monitoring.input_drift import chance_of
from refit.domain.monitoring.input_histograms import inputs_record
from refit.domain.monitoring.input_seasons import (
    InputSpan,
    check_inputs,
    compared_season_s,
    input_verdict_of,
    missed_share,
)
from refit.domain.monitoring.input_totals import InputTotals
from refit.domain.monitoring.report_violations import violations_of_inputs
from refit.domain.monitoring.unseen_values import unseen_threshold
from refit.domain.schema import Feature, Schema
from refit.domain.season_lengths import DAY_S, WEEK_S
from refit.tabular.profile import profile_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray
    from refit.domain.monitoring.input_counts import InputCounts
    from refit.domain.monitoring.input_drift import Finding

    Matrix = NDArray[np.float64]

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROWS = 300
SCHEMA = Schema(
    task="classification",
    label="kind",
    features=(
        Feature(name="warmth", type="number"),
        Feature(name="load", type="number"),
        Feature(name="colour", type="category", values=("red", "green")),
    ),
    classes=("cat", "dog"),
)
BASELINE = Baseline(
    task="classification",
    rows_of="new",
    rows=2000,
    errors=500,
    quality={},
    scores=tuple(
        ScoreBin(rows=100, right=5 * number, probability_sum=5.0 * number) for number in range(20)
    ),
)


def settings_of(season_s: int = DAY_S, **changes: Any) -> MonitoringSettings:
    return MonitoringSettings(cohort_s=3600, season_s=season_s, **changes)


def inputs_at(hours: NDArray[np.int64], seed: int, shift: float = 0.0) -> Matrix:
    """Return a row for each hour: warmth and colour follow the time of the day."""
    random = np.random.default_rng(seed)
    angle = 2 * np.pi * hours / 24
    is_day = random.random(len(hours)) < 0.5 + 0.4 * np.sin(angle)
    warmth = random.normal(2 * np.sin(angle) + shift, 1)
    return np.column_stack([warmth, random.normal(0, 1, len(hours)), is_day])


@cache
def columns() -> Columns:
    rows = 20_000
    features = inputs_at(np.random.default_rng(1).integers(0, 24, rows), seed=2)
    sample = np.column_stack([np.zeros(rows), features])
    return columns_of(profile_of(SCHEMA, Counter(train=rows), Counter(), sample), BASELINE)


def counted(matrix: Matrix, sure: float | None = None) -> InputCounts:
    counter = InputCounter(columns())
    even = np.linspace(0.025, 0.975, 20)[np.arange(len(matrix)) % 20]
    counter.add(matrix, None, even if sure is None else np.full(len(matrix), sure))
    return counter.counts()


def hour_of(hour: int, rows: int = ROWS, **changes: Any) -> InputCounts:
    return counted(inputs_at(np.full(rows, hour), seed=10 + hour, **changes))


def cohorts_of(predictions: Sequence[int], cohort_s: int = 3600) -> list[Cohort]:
    """Return a cohort for each number above 0, one after the other."""
    return [
        Cohort(
            version=1,
            start=MONDAY + index * timedelta(seconds=cohort_s),
            seconds=cohort_s,
            predictions=number,
            files=frozenset({1, 2}),
            shown=Shown(),
            matured=Matured(),
        )
        for index, number in enumerate(predictions)
        if number
    ]


def checked(
    hours: Sequence[InputCounts | None], settings: MonitoringSettings
) -> tuple[InputSpan, list[Finding]]:
    """Check the last of some consecutive hours; None is an hour without predictions."""
    last = hours[-1]
    assert last is not None
    season_s = compared_season_s(settings)
    start = MONDAY + (len(hours) - 1) * HOUR
    if not season_s:
        span, season = InputSpan.of_cohort(start, settings), last
    else:
        cohorts = cohorts_of([hour.rows if hour else 0 for hour in hours])
        span = InputSpan.of_season(start, MONDAY, cohorts, settings)
        total = merged(hour for hour in hours[-(season_s // 3600) :] if hour)
        assert total is not None
        season = total
    return span, check_inputs(span, columns(), last, season, settings)


def flags(findings: Iterable[Finding]) -> set[tuple[str, str]]:
    return {(each.name, each.check) for each in findings if each.flagged}


ORDINARY = [hour_of(hour) for hour in range(72)]


def test_a_day_in_which_the_inputs_move_with_the_hour_raises_no_warning() -> None:
    for length in range(1, 73):
        _, findings = checked(ORDINARY[:length], settings_of(input_effect=1e-9))
        assert flags(findings) == set()


def test_without_a_season_the_same_hours_are_reported_as_shifts() -> None:
    flagged = [flags(checked(ORDINARY[:length], settings_of(0))[1]) for length in range(1, 73)]
    assert sum(("warmth", "distribution") in each for each in flagged) > 60
    assert not any(("load", "distribution") in each for each in flagged)


def test_cohorts_as_long_as_the_season_are_compared_each_by_itself() -> None:
    settings = MonitoringSettings(cohort_s=DAY_S, season_s=DAY_S)
    assert compared_season_s(settings) == 0
    assert compared_season_s(settings_of(WEEK_S)) == WEEK_S
    assert compared_season_s(MonitoringSettings(cohort_s=DAY_S, season_s=WEEK_S)) == WEEK_S


def test_a_real_shift_is_found_within_a_season() -> None:
    moved = [hour_of(hour, shift=0.8) for hour in range(48, 72)]
    found_after = [
        hours
        for hours in range(1, 25)
        if ("warmth", "distribution")
        in flags(checked([*ORDINARY[:48], *moved[:hours]], settings_of())[1])
    ]
    assert found_after
    assert found_after[0] < 24
    assert found_after[-1] == 24


def test_numbers_out_of_the_training_range_are_found_within_the_hour() -> None:
    matrix = inputs_at(np.full(ROWS, 5), seed=1)
    matrix[:60, 1] = 1e6
    span, findings = checked([*ORDINARY[:5], counted(matrix)], settings_of())
    assert span.compared_from == MONDAY + timedelta(days=1)
    assert flags(findings) == {("load", "unseen numbers")}
    (violation,) = violations_of_inputs(findings, span.season_s)
    assert violation.constraint_check_type == "baseline_drift_check"
    assert (violation.value, violation.n) == (0.2, ROWS)
    assert violation.description == (
        "20.00% of the values of this cohort lie below, or above, all values of the training data "
        "(limit 5.00% for 300 values). No part of a day explains it: the training data has none of "
        "them."
    )


def test_missing_values_and_unknown_texts_that_training_never_had_are_found_within_the_hour() -> (
    None
):
    matrix = inputs_at(np.full(ROWS, 5), seed=1)
    matrix[:60, 0] = np.nan
    matrix[:60, 2] = np.nan  # the API encodes unknown texts as missing
    _, findings = checked([counted(matrix)], settings_of())
    assert flags(findings) == {("warmth", "unseen missing"), ("colour", "unseen missing")}
    types = {it.feature_name: it for it in violations_of_inputs(findings, DAY_S)}
    assert types["warmth"].constraint_check_type == "completeness_check"
    assert types["colour"].constraint_check_type == "categorical_values_check"
    assert "missing or never seen in training" in types["colour"].description


def test_missing_values_of_a_column_that_had_some_may_be_a_season() -> None:
    sample = np.column_stack([np.zeros(5000), inputs_at(np.arange(5000) % 24, seed=2)])
    sample[::100, 1] = np.nan
    gaps = columns_of(profile_of(SCHEMA, Counter(train=5000), Counter(), sample), BASELINE)
    matrix = inputs_at(np.full(ROWS, 5), seed=1)
    matrix[:60, 0] = np.nan
    counter = InputCounter(gaps)
    counter.add(matrix)
    span = InputSpan(MONDAY, MONDAY, MONDAY + HOUR, DAY_S)
    findings = check_inputs(span, gaps, counter.counts(), counter.counts(), settings_of())
    assert flags(findings) == set()
    assert [it.check for it in findings if it.name == "warmth" and it.is_unseen] == [
        "unseen numbers"
    ]


def test_a_number_in_a_column_that_was_empty_in_training_is_unseen() -> None:
    sample = np.column_stack([np.zeros(20_000), inputs_at(np.arange(20_000) % 24, seed=2)])
    sample[:, 2] = np.nan
    empty = columns_of(profile_of(SCHEMA, Counter(train=20_000), Counter(), sample), BASELINE)
    counter = InputCounter(empty)
    counter.add(inputs_at(np.full(ROWS, 5), seed=1))
    span = InputSpan(MONDAY, MONDAY, MONDAY + HOUR, DAY_S)
    findings = check_inputs(span, empty, counter.counts(), counter.counts(), settings_of())
    assert flags(findings) == {("load", "unseen numbers")}


def test_a_night_whose_extremes_the_training_data_has_not_seen_is_no_drift() -> None:
    # 500 training rows hold 21 of this hour: the hour's largest values were not among them.
    random = np.random.default_rng(3)
    false, false_by_all_rows = 0, 0
    for _ in range(400):
        hours = random.integers(0, 24, 500)
        values = np.where(hours == 3, random.normal(50, 1, 500), random.normal(0, 1, 500))
        share = float(np.mean(random.normal(50, 1, 1000) > values.max()))
        false += share > unseen_threshold(1000, 500 / 24, 1 / 8760, 0.05)
        false_by_all_rows += share > unseen_threshold(1000, 500, 1 / 8760, 0.05)
    assert false == 0
    assert false_by_all_rows > 40, "the control"


@given(
    st.integers(1, 10**6),
    st.floats(0.01, 10**6),
    st.floats(1e-12, 0.1),
)
def test_the_threshold_of_unseen_values_bounds_their_chance(
    n: int, reference_n: float, chance: float
) -> None:
    threshold = unseen_threshold(n, reference_n, chance, 0.05)
    assert 0.05 <= threshold <= 1
    more = int(threshold * n) + 1  # the smallest number of values above the threshold
    assert more > n or (n / (n + reference_n)) ** more <= chance * (1 + 1e-6)


@pytest.mark.parametrize("season_s", [DAY_S, WEEK_S])
def test_a_cohort_is_compared_with_its_part_of_the_training_rows_of_a_day(season_s: int) -> None:
    settings = settings_of(season_s, input_effect=1e-9)
    _, findings = checked(ORDINARY[:1], settings)
    thresholds = {it.threshold for it in findings if it.is_unseen}
    chance = chance_of(columns(), settings)
    assert thresholds == {unseen_threshold(ROWS, 20_000 / 24, chance, 1e-9)}


def test_without_values_nothing_is_unseen() -> None:
    assert unseen_threshold(0, 100, 0.01, 0.05) == 1
    assert unseen_threshold(100, 0, 0.01, 0.05) == 1


def test_before_the_first_whole_season_no_distribution_is_flagged() -> None:
    moved = [hour_of(hour, shift=2.0) for hour in range(24)]
    span, findings = checked(moved[:23], settings_of())
    assert span.compared_from == MONDAY + timedelta(days=1)
    assert ("warmth", "distribution") not in flags(findings)
    span, findings = checked(moved, settings_of())
    assert span.compared_from is None
    assert ("warmth", "distribution") in flags(findings)


def test_histograms_are_shown_before_a_season_is_whole_but_not_flagged() -> None:
    moved = [hour_of(hour, shift=2.0) for hour in range(5)]
    span, findings = checked(moved, settings_of())
    total = merged(moved)
    assert total is not None
    record = inputs_record(span, columns(), total, findings)
    shown = {column.name: column for column in record.columns}
    assert (record.since, record.until) == (MONDAY, MONDAY + 5 * HOUR)
    assert record.rows == sum(shown["warmth"].live) == 5 * ROWS
    assert shown["warmth"].value > shown["warmth"].threshold
    assert not any(column.flagged for column in record.columns)


def test_an_unseen_value_stands_with_the_histogram_of_its_column() -> None:
    matrix = inputs_at(np.full(ROWS, 5), seed=1)
    matrix[:60, 1] = 1e6
    hours = [*ORDINARY[:5], counted(matrix)]
    span, findings = checked(hours, settings_of())
    total = merged(hours)
    assert total is not None
    unseen = {it.name: it.unseen for it in inputs_record(span, columns(), total, findings).columns}
    assert unseen == {"load": 0.2, "warmth": 0, "colour": 0, "score": 0}


def estimate(hours: Sequence[InputCounts | None], settings: MonitoringSettings) -> float | None:
    span, findings = checked(hours, settings)
    season_s = compared_season_s(settings) or 3600
    total = merged(hour for hour in hours[-(season_s // 3600) :] if hour)
    assert total is not None
    violations = violations_of_inputs(findings, span.season_s)
    verdict = input_verdict_of(span, columns(), total, BASELINE, violations, settings)
    assert verdict.rows == total.rows
    return verdict.estimated_accuracy


def test_accuracy_is_estimated_over_a_whole_season_and_not_before() -> None:
    sure = [0.975 if hour % 24 < 12 else 0.525 for hour in range(48)]
    hours = [counted(inputs_at(np.full(ROWS, 5), seed=hour), sure[hour]) for hour in range(48)]
    assert estimate(hours[:23], settings_of()) is None
    for length in range(24, 48):
        assert estimate(hours[:length], settings_of()) == pytest.approx(0.725, abs=0.01)
    assert estimate(hours[:23], settings_of(0)) == pytest.approx(0.5, abs=0.02)


def test_an_outage_raises_the_thresholds_until_a_season_without_one_has_passed() -> None:
    # Half of the second day is missing: the warm half. What is left is colder than the training.
    outage: list[InputCounts | None] = [*ORDINARY[:24], *[None] * 12, *ORDINARY[36:]]
    for length in range(37, 60):
        span, findings = checked(outage[:length], settings_of(input_effect=1e-9))
        assert span.missed > 0
        assert flags(findings) == set()
    assert checked(outage[:48], settings_of())[0].missed == pytest.approx(0.5)
    assert estimate(outage[:48], settings_of()) is None
    assert checked(outage[:60], settings_of())[0].missed == 0
    assert estimate(outage[:60], settings_of()) is not None


def test_a_shift_that_no_outage_explains_is_found_during_one() -> None:
    moved: list[InputCounts | None] = [hour_of(hour, shift=6.0) for hour in range(24, 48)]
    span, findings = checked([*ORDINARY[:24], *moved[:10], None, *moved[11:]], settings_of())
    assert span.missed == pytest.approx(1 / 24, abs=0.001)
    assert ("warmth", "distribution") in flags(findings)


def missed(predictions: Sequence[int], season_s: int) -> float:
    until = MONDAY + len(predictions) * HOUR
    return missed_share(cohorts_of(predictions), until, 3600, season_s)


def test_nights_without_predictions_are_no_outage() -> None:
    day = [0] * 8 + [50] * 16
    assert missed(day * 3, DAY_S) == 0


def test_few_missing_predictions_are_chance() -> None:
    assert missed([3] * 24 + [0, 0] + [3] * 22, DAY_S) == 0
    assert missed([3] * 24 + [0] * 4 + [3] * 20, DAY_S) == pytest.approx(4 / 24)


def test_an_outage_longer_than_the_season_is_one() -> None:
    assert missed([10] * 24 + [0] * 40 + [10] * 4, DAY_S) == pytest.approx(20 / 24)


def test_an_outage_counts_as_far_as_it_lies_within_the_season() -> None:
    assert missed([10] * 24 + [0] * 12 + [10] * 20, DAY_S) == pytest.approx(4 / 24)
    assert missed([10] * 24 + [0] * 12 + [10] * 24, DAY_S) == 0


def test_an_outage_in_the_first_week_is_known_by_the_day_before() -> None:
    assert missed([10] * 24 + [0] * 12 + [10] * 132, WEEK_S) == pytest.approx(12 / 168)
    assert missed([10] * 24 + [0] * 12 + [10] * 12, DAY_S) == pytest.approx(0.5)
    assert missed([10] * 12 + [0] * 12 + [10] * 12, DAY_S) == 0, "no such hours are known yet"


def test_no_predictions_are_no_outage() -> None:
    assert missed([0] * 24, DAY_S) == 0


def test_a_number_out_of_range_and_a_shift_of_the_same_column_are_one_violation() -> None:
    far = inputs_at(np.full(ROWS, 5), seed=1)
    far[:, 0] = 1e6
    day = [counted(far)] * 24
    span, findings = checked(day, settings_of())
    assert flags(findings) >= {("warmth", "distribution"), ("warmth", "unseen numbers")}
    violations = violations_of_inputs(findings, span.season_s)
    keys = [(it.feature_name, it.constraint_check_type) for it in violations]
    assert len(keys) == len(set(keys))


def test_a_season_is_the_difference_of_two_totals() -> None:
    first = InputTotals(MONDAY, ORDINARY[0])
    second = first.plus(ORDINARY[1])
    third = second.plus(ORDINARY[2])
    expected = merged(ORDINARY[1:3])
    assert expected is not None
    season = third.since_then(first)
    assert (season.rows, season.slots.tolist()) == (expected.rows, expected.slots.tolist())
    assert third.since == MONDAY
    assert season.slots.tolist() == third.since_then(first).slots.tolist()
    assert third.since_then(third).rows == 0
    assert int(first.since_then(third).slots.min()) == 0, "no count is negative"


def test_totals_are_read_back_as_they_were_written() -> None:
    totals = InputTotals(MONDAY, ORDINARY[0])
    back = InputTotals.from_bytes(totals.to_bytes())
    assert (back.since, back.counts.rows, back.counts.layout) == (
        MONDAY,
        ROWS,
        ORDINARY[0].layout,
    )
    assert back.counts.slots.tolist() == ORDINARY[0].slots.tolist()
    assert back.to_bytes() == totals.to_bytes()
