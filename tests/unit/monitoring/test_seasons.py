"""Seasons: what an ordinary day or week does is no drift, and what it does not explain is one."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError
from refit.domain.model_settings import MonitoringSettings
from refit.domain.monitoring.baseline import Baseline, ClassBaseline
from refit.domain.monitoring.cohort import ClassCounts, Cohort, Matured, Shown
from refit.domain.monitoring.detectors import tolerated_error_rate
from refit.domain.monitoring.evidence import odds_ratios
from refit.domain.monitoring.quality_drift import judge_quality, log_evidence_after_each
from refit.domain.monitoring.seasons import block_length, spans_of
from refit.domain.season_lengths import DAY_S, WEEK_S

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from refit.domain.monitoring.verdict import QualityVerdict

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
LATER = MONDAY + timedelta(days=4000)
ERROR = 0.08
DAYS = 60
DAY, WEEK = 24, 168


def settings_of(season_s: int, **changes: Any) -> MonitoringSettings:
    return MonitoringSettings(label_age_s=0, label_wait_s=0, season_s=season_s, **changes)


def held_out(errors: int = 400, rows: int = 5000, **classes: tuple[int, int]) -> Baseline:
    named = {name: ClassBaseline(support=n, missed=k) for name, (n, k) in classes.items()}
    return Baseline(
        task="classification",
        rows_of="new",
        rows=rows,
        errors=errors,
        quality={},
        classes=named or None,
    )


def season(hours: int, amplitude: float, length: int, phase: float = 0.0) -> NDArray[np.float64]:
    """Return factors around 1 that rise and fall once in `length` hours."""
    return 1 + amplitude * np.sin(2 * np.pi * np.arange(hours) / length + phase)


def cohort(hour: int, n: int, errors: int, files: int = 2) -> Cohort:
    return Cohort(
        version=1,
        start=MONDAY + hour * HOUR,
        seconds=3600,
        predictions=n,
        files=frozenset(range(files)),
        shown=Shown(n, errors),
        matured=Matured(n, errors),
    )


def drawn(
    error: NDArray[np.float64], n: int | NDArray[np.int64], seed: int, begin: int = 0
) -> list[Cohort]:
    """Return cohorts of n predictions whose errors are drawn; those without any are left out."""
    counts = np.broadcast_to(n, error.shape)
    wrong = np.random.default_rng(seed).binomial(counts, np.clip(error, 0, 1))
    return [
        cohort(begin + hour, int(total), int(k))
        for hour, (total, k) in enumerate(zip(counts, wrong, strict=True))
        if total
    ]


def first_alarm(
    cohorts: list[Cohort], settings: MonitoringSettings, held: Baseline | None = None
) -> int | None:
    """Return the index of the first cohort after which the evidence exceeds the threshold."""
    held = held or held_out()
    logs = log_evidence_after_each(cohorts, tuple(held.classes or ()), held, settings)
    exceeds = np.flatnonzero(logs >= math.log(settings.false_alarm_every))
    return int(exceeds[0]) if len(exceeds) else None


def judged(
    cohorts: list[Cohort], settings: MonitoringSettings, held: Baseline | None = None
) -> QualityVerdict:
    held = held or held_out()
    return judge_quality(cohorts, tuple(held.classes or ()), held, settings, LATER)


@pytest.mark.parametrize("n", [20, 200, 2000])
@pytest.mark.parametrize("amplitude", [0.5, 0.8])
def test_a_healthy_day_raises_no_alarm(n: int, amplitude: float) -> None:
    error = ERROR * season(DAYS * DAY, amplitude, DAY, phase=n)
    cohorts = drawn(error, n, seed=n)
    assert first_alarm(cohorts, settings_of(DAY_S)) is None
    assert first_alarm(cohorts, settings_of(WEEK_S)) is None


def test_without_a_season_the_same_day_raises_a_false_alarm() -> None:
    """This is the control of the test above."""
    cohorts = drawn(ERROR * season(DAYS * DAY, 0.5, DAY), 200, seed=1)
    assert first_alarm(cohorts, settings_of(0)) is not None


@pytest.mark.parametrize("n", [20, 200, 2000])
def test_a_healthy_week_of_days_raises_no_alarm_at_the_default(n: int) -> None:
    hours = DAYS * DAY
    error = ERROR * season(hours, 0.8, DAY, phase=1) * season(hours, 0.8, WEEK, phase=n)
    assert first_alarm(drawn(error, n, seed=n), settings_of(WEEK_S)) is None


def test_a_rise_is_detected_under_the_season_of_a_day() -> None:
    hours = 30 * DAY
    error = ERROR * season(hours, 0.5, DAY)
    error[20 * DAY :] += 0.08
    for seed in range(5):
        alarm = first_alarm(drawn(error, 200, seed), settings_of(DAY_S))
        assert alarm is not None
        assert 20 * DAY <= alarm < 21 * DAY


def test_a_collapse_is_detected_within_two_hours() -> None:
    error = np.full(20 * DAY, ERROR)
    error[15 * DAY :] += 0.4
    for season_s in (DAY_S, WEEK_S):
        alarm = first_alarm(drawn(error, 200, seed=3), settings_of(season_s))
        assert alarm is not None
        assert 15 * DAY <= alarm < 15 * DAY + 2


def test_a_rise_of_two_points_is_detected() -> None:
    error = np.full(50 * DAY, ERROR)
    error[20 * DAY :] += 0.02
    for seed in range(5):
        cohorts = drawn(error, 200, seed)
        for season_s in (0, DAY_S, WEEK_S):
            alarm = first_alarm(cohorts, settings_of(season_s), held_out(800, 10_000))
            assert alarm is not None
            assert alarm >= 20 * DAY


def test_in_the_first_season_only_what_no_day_explains_raises_an_alarm() -> None:
    bad_half = ERROR * season(DAY, 0.8, DAY)  # begins with the bad hours
    assert first_alarm(drawn(bad_half[:12], 2000, seed=1), settings_of(DAY_S)) is None
    collapsed = drawn(np.full(12, 0.5), 200, seed=1)
    verdict = judged(collapsed, settings_of(DAY_S))
    assert verdict.drifted
    assert (verdict.season_s, verdict.within_s) == (0, DAY_S)
    assert "is tolerated at single times of a day" in verdict.sentence
    assert verdict.sentence.endswith("Its first day is complete at 2026-01-06 00:00:00 UTC.")


def test_the_season_of_a_fraction_of_the_predictions_moves_no_bar() -> None:
    """A good half of the first day may not lower the limit for the bad half."""
    error = 0.09 * season(DAYS * DAY, 0.8, DAY, phase=math.pi)  # begins with the good hours
    cohorts = drawn(error, 2000, seed=2)
    assert first_alarm(cohorts, settings_of(DAY_S), held_out(8, 100)) is None


@pytest.mark.parametrize("gap", [12, 24 + 12, 3 * 24 + 12, 24])
def test_an_outage_in_the_good_hours_raises_no_alarm(gap: int) -> None:
    hours = DAYS * DAY
    error = ERROR * season(hours, 0.8, DAY)
    counts = np.full(hours, 2000)
    for day in range(5, DAYS, 5):
        counts[day * DAY + 12 : day * DAY + 12 + gap] = 0  # from the begin of the good half
    assert first_alarm(drawn(error, counts, seed=4), settings_of(DAY_S)) is None


def test_hours_that_never_have_predictions_are_no_outage() -> None:
    hours = 30 * DAY
    counts = np.where(np.arange(hours) % DAY < 8, 0, 200)
    error = np.full(hours, ERROR)
    error[20 * DAY :] += 0.08
    alarm = first_alarm(drawn(error, counts, seed=5), settings_of(DAY_S))
    assert alarm is not None
    assert 20 * 16 <= alarm < 22 * 16


def test_few_predictions_find_a_rise_although_many_hours_have_none() -> None:
    counts = np.random.default_rng(6).poisson(1, 100 * DAY)
    error = np.full(100 * DAY, ERROR)
    error[20 * DAY :] = 0.3
    cohorts = drawn(error, counts, seed=6)
    verdict = judged(cohorts, settings_of(DAY_S))
    assert verdict.drifted
    assert not judged(cohorts[: counts[: 20 * DAY].astype(bool).sum()], settings_of(DAY_S)).drifted


def test_traffic_with_a_season_raises_no_alarm() -> None:
    hours = DAYS * DAY
    error = ERROR * season(hours, 0.5, DAY) * season(hours, 0.3, WEEK, phase=2)
    counts = (400 * season(hours, 0.5, DAY) * season(hours, 0.5, WEEK)).astype(int)
    mean = float(error @ counts / counts.sum())  # the held-out rows are of the same traffic
    cohorts = drawn(error, counts, seed=7)
    assert first_alarm(cohorts, settings_of(WEEK_S), held_out(round(5000 * mean))) is None


def test_cohorts_of_whole_seasons_are_judged_as_without_a_season() -> None:
    days = [replace(cohort(24 * day, 4800, k), seconds=DAY_S) for day, k in enumerate([380] * 30)]
    worse = [*days[:25], *(replace(each, matured=Matured(4800, 700)) for each in days[25:])]
    off, day = (
        settings_of(season_s, cohort_s=DAY_S).model_copy(update={"label_wait_s": 10**9})
        for season_s in (0, DAY_S)
    )
    expected = judged(worse, off)
    assert expected.drifted
    assert judged(worse, day) == expected


def late(error: NDArray[np.float64], n: int, seed: int) -> list[Cohort]:
    """Return cohorts in which errors are labelled in time twice as often as correct predictions."""
    generator = np.random.default_rng(seed)
    cohorts = []
    for hour, share in enumerate(error):
        wrong = int(generator.binomial(n, share))
        errors_in_time = int(generator.binomial(wrong, 0.9))
        correct_in_time = int(generator.binomial(n - wrong, 0.45))
        cohorts.append(
            replace(
                cohort(hour, n, wrong),
                matured=Matured(errors_in_time + correct_in_time, errors_in_time),
            )
        )
    return cohorts


def test_errors_that_are_labelled_sooner_raise_no_alarm_in_a_season() -> None:
    error = ERROR * season(DAYS * DAY, 0.8, DAY)
    settings = settings_of(DAY_S)
    assert first_alarm(late(error, 400, seed=8), settings) is None
    error[40 * DAY :] += 0.16
    alarm = first_alarm(late(error, 400, seed=8), settings)
    assert alarm is not None
    assert 40 * DAY <= alarm < 43 * DAY


def test_a_class_whose_share_and_errors_have_a_season_raises_no_alarm() -> None:
    held = held_out(400, 5000, rare=(500, 40), common=(4500, 360))
    settings = settings_of(DAY_S)

    def of(rare_error: float) -> list[Cohort]:
        generator = np.random.default_rng(9)
        swing = season(30 * DAY, 0.5, DAY)
        cohorts = []
        for hour, factor in enumerate(swing):
            rare = int(generator.binomial(400, 0.1 * factor))
            error = rare_error if hour >= 20 * DAY else ERROR
            wrong = (
                int(generator.binomial(rare, min(error * factor, 1))),
                int(generator.binomial(400 - rare, ERROR * (2 - factor))),
            )
            counts = ClassCounts({0: (rare, wrong[0]), 1: (400 - rare, wrong[1])})
            cohorts.append(
                replace(
                    cohort(hour, 400, sum(wrong)),
                    shown=Shown(400, sum(wrong), classes=counts),
                    matured=Matured(400, sum(wrong), counts),
                )
            )
        return cohorts

    # Rare rows are more frequent when they are harder, in the held-out rows as well.
    held = held.model_copy(
        update={"classes": (held.classes or {}) | {"rare": ClassBaseline(support=500, missed=45)}}
    )
    assert first_alarm(of(ERROR), settings, held) is None
    verdict = judged(of(0.5), settings, held)
    assert (verdict.drifted, verdict.class_name) == (True, "rare")


def test_a_regression_whose_large_errors_have_a_season_raises_no_alarm() -> None:
    held = Baseline(
        task="regression", rows_of="new", rows=5000, errors=500, error_bound=3.5, quality={}
    )
    error = 0.1 * season(30 * DAY, 0.8, DAY)
    assert first_alarm(drawn(error, 200, seed=13), settings_of(DAY_S), held) is None
    error[20 * DAY :] += 0.1
    alarm = first_alarm(drawn(error, 200, seed=13), settings_of(DAY_S), held)
    assert alarm is not None
    assert 20 * DAY <= alarm < 21 * DAY


def test_corrected_labels_take_an_alarm_back() -> None:
    error = ERROR * season(22 * DAY, 0.5, DAY)
    error[20 * DAY :] += 0.16
    cohorts = drawn(error, 200, seed=10)
    settings = settings_of(DAY_S)
    assert judged(cohorts, settings).drifted
    corrected = [
        replace(each, shown=Shown(200, 16), matured=Matured(200, 16))
        if number >= 20 * DAY
        else each
        for number, each in enumerate(cohorts)
    ]
    assert not judged(corrected, settings).drifted


def test_the_alarm_says_which_part_spoke_and_since_when() -> None:
    error = ERROR * season(22 * DAY, 0.5, DAY)
    error[20 * DAY :] += 0.08
    verdict = judged(drawn(error, 200, seed=11), settings_of(DAY_S))
    assert verdict.drifted
    assert (verdict.season_s, verdict.within_s) == (DAY_S, 0)
    assert verdict.since is not None
    assert abs(verdict.since - (MONDAY + 20 * DAY * HOUR)) <= 8 * HOUR
    assert "is tolerated over a whole day." in verdict.sentence
    assert {(part.season_s, part.within_s) for part in verdict.parts} == {(DAY_S, 0), (0, DAY_S)}
    week = judged(drawn(error, 200, seed=11), settings_of(WEEK_S))
    spans = {(part.season_s, part.within_s) for part in week.parts}
    assert spans == {(WEEK_S, 0), (DAY_S, WEEK_S), (0, WEEK_S)}


def test_the_evidence_is_half_the_share_of_the_stakes_of_the_strongest_span() -> None:
    """Compare with the definition: a unit at every cohort, looked at after whole days."""
    cohorts = drawn(0.1 * season(60, 0.5, DAY), 20, seed=14)
    # Labels are never complete, so that the limit stays that of the held-out rows.
    settings = settings_of(DAY_S).model_copy(update={"label_wait_s": 10**9})
    held = held_out()
    limit = tolerated_error_rate(held.errors, held.rows, settings.tolerance)

    def mean_of_bets(limit: float, smallest: float, count: int, whole: int) -> list[float]:
        ratios = odds_ratios(np.array([limit]), smallest, count)
        stakes: list[Any] = []
        means = []
        for index, each in enumerate(cohorts):
            n, k = each.matured.labelled, each.matured.errors
            gain = ratios**k / (1 + (ratios - 1) * limit) ** n
            stakes = [stake * gain for stake in [*stakes, np.ones(count)]]
            ages = [index + 1 - begin for begin in range(len(stakes))]
            seen = [stake for stake, age in zip(stakes, ages, strict=True) if age % whole == 0]
            means.append(float(np.mean(sum(seen, np.zeros(count)))))
        return means

    swung = 2 * limit / (1 + limit)
    at_once = mean_of_bets(swung, 1.35, 10, whole=1)
    over_days = mean_of_bets(limit, 1.08, 20, whole=DAY)
    expected = [max(pair) / 2 / 2 for pair in zip(at_once, over_days, strict=True)]
    logs = log_evidence_after_each(cohorts, (), held, settings)
    assert np.exp(logs) == pytest.approx(expected, rel=1e-6)


def test_later_cohorts_do_not_change_the_evidence_of_earlier_ones() -> None:
    cohorts = drawn(ERROR * season(20 * DAY, 0.8, DAY), 200, seed=12)
    cohorts = cohorts[:100] + cohorts[110:]
    settings = settings_of(WEEK_S)
    whole = log_evidence_after_each(cohorts, (), held_out(), settings)
    for count in (1, 99, 100, 101, 130, 300):
        before = log_evidence_after_each(cohorts[:count], (), held_out(), settings)
        assert before[-1] == pytest.approx(whole[count - 1])


@pytest.mark.parametrize("season_s", [0, DAY_S, WEEK_S])
@pytest.mark.parametrize("hours", [5, 30, 100, 7 * DAY, 7 * DAY + 1, 500])
def test_a_verdict_shows_the_evidence_after_its_last_cohorts(season_s: int, hours: int) -> None:
    cohorts = drawn(ERROR * season(22 * DAY, 0.8, DAY), 200, seed=13)
    cohorts = (cohorts[:200] + cohorts[210:])[:hours]
    settings = settings_of(season_s)
    after_each = log_evidence_after_each(cohorts, (), held_out(), settings) / math.log(10)
    steps = judged(cohorts, settings).steps
    assert [step.start for step in steps] == [each.start for each in cohorts[-24:]]
    assert [step.log10_evidence for step in steps] == pytest.approx(after_each[-24:])


@pytest.mark.parametrize("season_s", [0, DAY_S, WEEK_S])
@pytest.mark.parametrize("hours", [10, 100])
def test_an_alarm_says_when_it_went_off_in_the_last_hours_or_days_ago(
    hours: int, season_s: int
) -> None:
    cohorts = drawn(np.append(np.full(300, ERROR), np.full(hours, 6 * ERROR)), 200, seed=14)
    settings = settings_of(season_s)
    after_each = log_evidence_after_each(cohorts, (), held_out(), settings)
    below = np.flatnonzero(after_each < math.log(settings.false_alarm_every))
    assert judged(cohorts, settings).alarm_cohort == cohorts[below[-1] + 1].start


@pytest.mark.parametrize(
    ("cohort_s", "season_s", "expected"),
    [
        (3600, 0, [(0, 1, 0)]),
        (3600, DAY_S, [(0, 2, DAY_S), (DAY_S, 1, 0)]),
        (3600, WEEK_S, [(0, 4, WEEK_S), (DAY_S, 2, WEEK_S), (WEEK_S, 1, 0)]),
        (DAY_S, WEEK_S, [(0, 2, WEEK_S), (WEEK_S, 1, 0)]),
        (WEEK_S, WEEK_S, [(0, 1, 0)]),
        (60, 7200, [(0, 2, 7200), (7200, 1, 0)]),
    ],
)
def test_each_season_longer_than_a_cohort_has_a_span(
    cohort_s: int, season_s: int, expected: list[tuple[int, float, int]]
) -> None:
    spans = spans_of(cohort_s, season_s, 2.0)
    assert [(span.season_s, span.swing, span.within_s) for span in spans] == expected
    assert sum(span.share for span in spans) == pytest.approx(1)


@given(st.sampled_from([1, 2, 5, 60, 300, 3600, 43_200, DAY_S]), st.sampled_from([DAY_S, WEEK_S]))
def test_a_season_has_a_whole_number_of_looks(cohort_s: int, season_s: int) -> None:
    length = block_length(cohort_s, season_s)
    assert season_s % length == 0
    assert length % cohort_s == 0
    assert season_s // length <= 24 * 7


@pytest.mark.parametrize(
    ("cohort_s", "season_s"), [(5000, DAY_S), (5000, WEEK_S), (7, WEEK_S), (129_600, DAY_S)]
)
def test_cohorts_that_do_not_fit_the_season_are_refused(cohort_s: int, season_s: int) -> None:
    with pytest.raises(ValidationError, match=f"cohort_s = {cohort_s} must divide season_s"):
        MonitoringSettings(cohort_s=cohort_s, season_s=season_s)


@hypothesis_settings(max_examples=25)
@given(
    errors=st.lists(st.floats(0, 1), min_size=DAY, max_size=DAY),
    counts=st.lists(st.integers(0, 300), min_size=DAY, max_size=DAY),
    seed=st.integers(0, 10**6),
)
def test_whatever_a_day_looks_like_it_is_no_drift_while_its_mean_is_the_held_out_one(
    errors: list[float], counts: list[int], seed: int
) -> None:
    """No bet is made on single cohorts here: their swing is as large as the day requires."""
    n, error = np.array(counts), np.array(errors)
    if not n.sum():
        return
    error *= min(1.0, 0.2 / max(float(error @ n / n.sum()), 1e-9))
    cohorts = drawn(np.tile(error, 30), np.tile(n, 30), seed)
    settings = settings_of(DAY_S, season_swing=100)
    held = held_out(1000, 5000)
    logs = log_evidence_after_each(cohorts, (), held, settings)
    # The chance of an alarm within 720 cohorts is 720 / (2 × 8,760) at most, at the tolerated rate.
    assert logs.max() < math.log(8760)
