"""Quality drift: when the test raises an alarm, when it must not, and what the alarm states."""

from __future__ import annotations

import doctest
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from refit.domain.model_settings import MonitoringSettings
from refit.domain.monitoring import quality_drift
from refit.domain.monitoring.baseline import Baseline, ClassBaseline
from refit.domain.monitoring.cohort import Cohort, Matured, Shown
from refit.domain.monitoring.detectors import detectors_of, tolerated_error_rate
from refit.domain.monitoring.quality_drift import judge_quality, log_evidence_after_each

if TYPE_CHECKING:
    from refit.domain.monitoring.verdict import QualityVerdict

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
LATER = START + 5000 * HOUR
SETTINGS = MonitoringSettings(
    label_age_s=8 * 3600, label_wait_s=24 * 3600, cohort_s=3600, season_s=0
)
# Labels are complete at the label age; or never, so that delays stay unknown.
PROMPT = SETTINGS.model_copy(update={"label_wait_s": SETTINGS.label_age_s})
NEVER_COMPLETE = SETTINGS.model_copy(update={"label_wait_s": 10**9})


def baseline(errors: int = 800, rows: int = 10_000, **classes: tuple[int, int]) -> Baseline:
    named = {name: ClassBaseline(support=n, missed=k) for name, (n, k) in classes.items()}
    return Baseline(
        task="classification",
        rows_of="new",
        rows=rows,
        errors=errors,
        classes=named or None,
        quality={},
    )


def with_settings(**changes: Any) -> MonitoringSettings:
    """Return the settings with changes that model.toml would not allow."""
    return SETTINGS.model_copy(update=changes)


def cohort(
    hour: int, predictions: int, in_time: tuple[int, int], by_now: tuple[int, int], files: int = 2
) -> Cohort:
    """Return a cohort without classes, from (labelled, errors) at the label age and now."""
    return Cohort(
        version=1,
        start=START + hour * HOUR,
        seconds=3600,
        predictions=predictions,
        files=frozenset(range(files)),
        shown=Shown(*by_now),
        matured=Matured(*in_time),
    )


def prompt(hour: int, n: int, errors: int, files: int = 2) -> Cohort:
    """Return a cohort whose labels all arrived in time."""
    return cohort(hour, n, (n, errors), (n, errors), files)


def with_classes(each: Cohort, counts: dict[int, tuple[int, int]]) -> Cohort:
    """Return a cohort with (labelled, errors) by class code, in time and now."""
    return replace(
        each,
        shown=replace(each.shown, classes=counts),
        matured=replace(each.matured, classes=counts),
    )


def steady(
    hours: int, error: float = 0.08, n: int = 100, seed: int = 1, begin: int = 0
) -> list[Cohort]:
    wrong = np.random.default_rng(seed).binomial(n, error, hours)
    return [prompt(begin + hour, n, int(k)) for hour, k in enumerate(wrong)]


def judged(
    cohorts: list[Cohort],
    held: Baseline | None = None,
    settings: MonitoringSettings = SETTINGS,
    now: datetime = LATER,
) -> QualityVerdict:
    held = held or baseline()
    return judge_quality(cohorts, tuple(held.classes or ()), held, settings, now)


def test_the_example_in_the_documentation_runs() -> None:
    result = doctest.testmod(quality_drift)
    assert (result.failed, result.attempted > 5) == (0, True)


def test_a_higher_error_rate_raises_an_alarm_that_states_the_numbers() -> None:
    verdict = judged(steady(100) + steady(10, 0.2, begin=100))
    assert verdict.drifted
    assert verdict.evidence >= verdict.threshold == 8760
    assert verdict.log10_evidence == pytest.approx(math.log10(verdict.evidence))
    assert verdict.since is not None
    assert abs(verdict.since - (START + 100 * HOUR)) <= HOUR
    assert verdict.alarm_cohort is not None
    assert START + 100 * HOUR <= verdict.alarm_cohort <= START + 104 * HOUR
    assert verdict.error_rate == verdict.errors / verdict.counted
    assert verdict.labels == verdict.counted >= 900
    assert verdict.tolerated_error_rate < 0.09 < verdict.error_rate
    assert verdict.held_back is None
    for part in ("Drift", f"{verdict.errors:,} of {verdict.counted:,}", "8.00%", "2026-01-05"):
        assert part in verdict.sentence


def test_a_slow_rise_is_detected_before_its_end() -> None:
    shares = np.linspace(0.08, 0.16, 600)
    wrong = np.random.default_rng(3).binomial(100, shares)
    ramp = [prompt(200 + hour, 100, int(k)) for hour, k in enumerate(wrong)]
    verdict = judged(steady(200) + ramp[:300])
    assert verdict.drifted


def test_the_collapse_of_one_class_is_detected_at_constant_accuracy() -> None:
    names = [f"c{code}" for code in range(10)]
    held = baseline(**{name: (1000, 80) for name in names})
    generator = np.random.default_rng(4)

    def cohort_of(hour: int, collapsed: bool) -> Cohort:
        shares = dict.fromkeys(range(10), 0.08)
        if collapsed:  # the other nine classes improve by as much
            shares = dict.fromkeys(range(10), 0.02) | {7: 0.6}
        counts = {code: (10, int(generator.binomial(10, shares[code]))) for code in range(10)}
        return with_classes(prompt(hour, 100, sum(k for _, k in counts.values())), counts)

    before = [cohort_of(hour, collapsed=False) for hour in range(50)]
    after = [cohort_of(50 + hour, collapsed=True) for hour in range(12)]
    assert not judged(before, held).drifted
    verdict = judged(before + after, held)
    assert verdict.drifted
    assert verdict.class_name == "c7"
    assert "'c7'" in verdict.sentence
    blind = held.model_copy(update={"classes": None})
    assert not judged(before + after, blind).drifted  # the accuracy alone does not show the drift


def test_labels_of_a_random_tenth_of_the_predictions_are_enough() -> None:
    generator = np.random.default_rng(5)

    def sampled(hour: int, error: float) -> Cohort:
        labelled = int(generator.binomial(1000, 0.1))
        wrong = int(generator.binomial(labelled, error))
        return cohort(hour, 1000, (labelled, wrong), (labelled, wrong))

    cohorts = [sampled(hour, 0.08 if hour < 100 else 0.2) for hour in range(106)]
    assert not judged(cohorts[:100]).drifted
    verdict = judged(cohorts)
    assert verdict.drifted
    assert verdict.coverage == pytest.approx(0.1, abs=0.02)
    assert verdict.counted == verdict.labels


def test_live_labels_lower_the_limit_of_a_version_with_few_held_out_rows() -> None:
    few = baseline(errors=8, rows=100)
    rise = steady(60, 0.13, begin=400)
    assert judged(steady(400) + rise, few).drifted
    assert not judged(rise, few).drifted  # 13 % is possible according to the held-out rows alone


def test_a_regression_is_judged_by_errors_beyond_its_bound() -> None:
    held = Baseline(
        task="regression", rows_of="new", rows=2000, errors=200, error_bound=3.5, quality={}
    )
    assert not judged(steady(200, 0.1), held).drifted
    assert judged(steady(200, 0.1) + steady(20, 0.25, begin=200), held).drifted


def test_false_alarms_at_the_tolerated_error_rate_are_rarer_than_stated() -> None:
    settings = NEVER_COMPLETE.model_copy(update={"false_alarm_every": 200, "min_labels": 1})
    held = baseline()
    limit = tolerated_error_rate(held.errors, held.rows, settings.tolerance)
    runs, cohorts = 300, 200
    crossed = 0
    for run in range(runs):
        seen = steady(cohorts, limit, n=40, seed=1000 + run)
        logs = log_evidence_after_each(seen, (), held, settings)
        crossed += bool((logs >= math.log(settings.false_alarm_every)).any())
    # If the time until a false alarm were exponential with a mean of 200 cohorts, 63 % of the runs
    # would have one.
    assert 0 < crossed / runs < 0.63


def test_a_year_of_hourly_cohorts_without_a_change_raises_no_alarm() -> None:
    assert max(judged(steady(8760, seed=seed)).evidence for seed in range(5)) < 8760
    seen = steady(8760, seed=9)
    assert log_evidence_after_each(seen, (), baseline(), PROMPT).max() < math.log(8760)


def test_an_improved_model_raises_no_alarm() -> None:
    verdict = judged(steady(500, 0.02))
    assert not verdict.drifted
    assert verdict.evidence < 1


def test_a_model_that_was_better_for_a_while_may_return_to_its_held_out_error() -> None:
    assert not judged(steady(1000, 0.04) + steady(500, 0.08, begin=1000)).drifted


def test_daily_variation_below_the_limit_raises_no_alarm() -> None:
    hours = np.arange(24 * 60)
    shares = 0.075 + 0.01 * np.sin(2 * np.pi * hours / 24)  # error rates of up to 8.5 %
    wrong = np.random.default_rng(6).binomial(400, shares)
    cohorts = [prompt(int(hour), 400, int(k)) for hour, k in zip(hours, wrong, strict=True)]
    assert log_evidence_after_each(cohorts, (), baseline(), PROMPT).max() < math.log(8760)


def test_errors_that_are_labelled_sooner_raise_no_alarm() -> None:
    for seed in range(5):
        predictions = late_labels(seed, change=160)
        assert all(not judged_at(predictions, hour).drifted for hour in range(10, 161, 10)), (
            f"false alarm with seed {seed}"
        )


def test_a_rise_is_detected_although_errors_are_labelled_sooner() -> None:
    predictions = late_labels(7, change=100)
    assert next(hour for hour in range(101, 161) if judged_at(predictions, hour).drifted) < 120


def test_counting_only_the_labels_that_have_arrived_would_raise_a_false_alarm() -> None:
    """This is the control of the two tests above: the delays are selective enough to mislead."""
    predictions = late_labels(7, change=160)
    cohorts = [
        prompt(hour, each.matured.labelled, each.matured.errors)
        for hour, each in enumerate(cohorts_at(predictions, 100))
    ]
    assert judged(cohorts).drifted


def late_labels(seed: int, change: int) -> dict[str, Any]:
    """Return 160 hours of 100 predictions with average label delays of 20 h, of errors 4 h."""
    generator = np.random.default_rng(seed)
    hour = np.repeat(np.arange(160), 100)
    wrong = generator.random(len(hour)) < np.where(hour < change, 0.08, 0.2)
    delay = generator.exponential(20, len(hour))
    delay[wrong] /= 5
    return {"hour": hour, "wrong": wrong, "delay": delay}


def cohorts_at(predictions: dict[str, Any], now: int) -> list[Cohort]:
    hours, wrong, delay = predictions["hour"], predictions["wrong"], predictions["delay"]

    def counted(known: Any) -> list[int]:
        return np.bincount(hours[known], minlength=160).tolist()

    in_time, by_now = delay <= 8, hours + delay <= now
    columns = (in_time, in_time & wrong, by_now, by_now & wrong)
    return [
        cohort(hour, 100, (a, b), (c, d))
        for hour, (a, b, c, d) in enumerate(zip(*map(counted, columns), strict=True))
    ]


def judged_at(predictions: dict[str, Any], now: int) -> QualityVerdict:
    settings = with_settings(label_wait_s=80 * 3600)
    return judged(cohorts_at(predictions, now), settings=settings, now=START + now * HOUR)


def test_three_wrong_labels_raise_no_alarm() -> None:
    flawless = baseline(errors=0, rows=10_000)
    verdict = judged([prompt(hour, 1, 1) for hour in range(3)], flawless)
    assert not verdict.drifted
    assert verdict.held_back is not None
    assert "min_labels is 50" in verdict.held_back
    assert verdict.sentence.startswith("Held back")
    assert judged([*steady(10, 0.0), prompt(10, 3, 3)], flawless).drifted  # with enough labels


def test_fifty_thousand_identical_rows_of_one_file_raise_no_alarm() -> None:
    replayed = prompt(100, 50_000, 50_000, files=1)
    for after in (0, 1, 20):
        verdict = judged([*steady(100), replayed, *steady(after, begin=101)])
        assert not verdict.drifted
        assert verdict.held_back is not None
        assert "one capture file" in verdict.held_back
    assert judged([*steady(100), prompt(100, 50_000, 50_000)]).drifted


def test_one_file_that_spans_two_cohorts_raises_no_alarm() -> None:
    halves = [prompt(100 + half, 25_000, 25_000, files=1) for half in range(2)]
    assert not judged(steady(100) + halves).drifted


def test_drift_is_detected_with_one_capture_file_per_cohort() -> None:
    cohorts = [
        replace(each, files=frozenset({7})) for each in steady(100) + steady(20, 0.3, begin=100)
    ]
    assert judged(cohorts).drifted


def test_an_alarm_is_held_back_when_too_few_predictions_are_labelled() -> None:
    cohorts = [
        replace(each, predictions=100_000)
        for each in steady(100, n=200) + steady(20, 0.6, n=200, begin=100)
    ]
    verdict = judged(cohorts)
    assert not verdict.drifted
    assert verdict.held_back is not None
    assert "min_coverage" in verdict.held_back
    assert judged(cohorts, settings=with_settings(min_coverage=0.001)).drifted


def test_a_cohort_younger_than_the_label_age_is_left_out() -> None:
    cohorts = steady(100) + steady(10, 0.9, begin=100)
    now = START + 100 * HOUR + timedelta(hours=9) - timedelta(seconds=1)
    young = judged(cohorts, now=now)
    assert (young.cohorts, young.drifted) == (100, False)
    assert judged(cohorts, now=now + HOUR).drifted


def test_before_the_first_prediction_reaches_the_label_age_there_is_no_evidence() -> None:
    verdict = judged(steady(5), now=START)
    assert (verdict.evidence, verdict.since, verdict.error_rate) == (0.0, None, None)
    assert not verdict.drifted
    assert verdict.tolerated_error_rate == pytest.approx(0.0865, abs=1e-4)
    assert verdict.sentence == "No prediction has reached the label age yet."


def test_predictions_without_any_label_raise_no_alarm() -> None:
    silent = [cohort(hour, 50, (0, 0), (0, 0)) for hour in range(300)]
    verdict = judged(silent)
    assert not verdict.drifted
    assert "no label arrived in time" in verdict.sentence


def test_unlabelled_predictions_count_as_correct_until_delays_are_known() -> None:
    cohorts = [replace(each, predictions=150) for each in steady(10)]
    verdict = judged(cohorts)
    assert verdict.counted == 1500
    assert verdict.labels == 1000
    assert "500 predictions without a label count as correct" in verdict.sentence


def test_the_allowance_for_delays_costs_nothing_when_all_labels_are_prompt() -> None:
    held = baseline(errors=800, rows=10**4)
    cohorts = steady(60) + steady(10, 0.2, begin=60)
    with_learning = judged(cohorts, held, PROMPT)
    assert with_learning.selectivity == 1
    assert with_learning.counted == with_learning.labels
    assert with_learning.log10_evidence == pytest.approx(
        judged(cohorts, held, NEVER_COMPLETE).log10_evidence
    )


def test_corrected_labels_change_the_verdict() -> None:
    cohorts = steady(100) + steady(10, 0.2, begin=100)
    assert judged(cohorts).drifted
    corrected = cohorts[:100] + [prompt(100 + hour, 100, 8) for hour in range(10)]
    assert not judged(corrected).drifted


def test_an_alarm_ends_when_the_error_rate_recovers() -> None:
    bad = steady(100) + steady(8, 0.2, begin=100)
    assert judged(bad).drifted
    assert not judged(bad + steady(100, begin=108)).drifted


def test_later_cohorts_do_not_change_the_evidence_of_earlier_ones() -> None:
    held = baseline(errors=8, rows=100)
    cohorts = steady(40, 0.1) + steady(20, 0.15, begin=40)
    whole = log_evidence_after_each(cohorts, (), held, PROMPT)
    for hour in (1, 2, 5, 41, 60):
        evidence = judged(cohorts[:hour], held, PROMPT).log10_evidence
        assert evidence == pytest.approx(whole[hour - 1] / math.log(10))


def test_a_class_with_few_held_out_rows_has_no_detector() -> None:
    held = baseline(rare=(19, 0), common=(20, 0))
    detectors = detectors_of(held, ("rare", "common"))
    assert [each.class_name for each in detectors] == [None, "common"]
    assert [each.class_code for each in detectors] == [None, 1]
    assert sum(each.weight for each in detectors) == 1


def test_a_model_whose_tolerated_error_rate_is_one_raises_no_alarm() -> None:
    assert not judged(steady(50, 1.0), baseline(errors=100, rows=100)).drifted
    assert not judged(steady(50, 1.0), baseline(errors=0, rows=0)).drifted


def test_the_limit_is_the_larger_of_bound_and_tolerance() -> None:
    assert tolerated_error_rate(800, 10_000, 0.0) == pytest.approx(0.08653, abs=1e-5)
    assert tolerated_error_rate(800, 10_000, 0.02) == pytest.approx(0.1)
    assert tolerated_error_rate(80_000, 1_000_000, 0.005) == pytest.approx(0.085)


cells = st.integers(1, 60).flatmap(
    lambda n: st.tuples(st.just(n), st.integers(0, n)).flatmap(
        lambda pair: st.tuples(st.just(pair[0]), st.just(pair[1]), st.integers(0, pair[1]))
    )
)
"""Number of predictions, of labelled predictions, and of errors in a cohort."""


def cohorts_of(rows: list[tuple[int, int, int]], min_files: int = 1) -> list[Cohort]:
    return [
        with_classes(cohort(hour, n, (k, e), (k, e), min_files + hour % 3), {0: (k, e)})
        for hour, (n, k, e) in enumerate(rows)
    ]


@hypothesis_settings(max_examples=40)
@given(rows=st.lists(cells, min_size=1, max_size=30), order=st.randoms(use_true_random=False))
def test_the_order_in_which_cohorts_are_given_does_not_matter(
    rows: list[tuple[int, int, int]], order: Any
) -> None:
    held = baseline(errors=10, rows=100, a=(100, 10))
    cohorts = cohorts_of(rows)
    verdict = judged(cohorts, held)
    order.shuffle(cohorts)
    assert judged(cohorts, held) == verdict


@hypothesis_settings(max_examples=40)
@given(rows=st.lists(cells, min_size=1, max_size=30), at=st.integers(0, 29))
def test_evidence_is_never_negative_and_one_more_error_never_lowers_it(
    rows: list[tuple[int, int, int]], at: int
) -> None:
    """Every cohort has two files or more.

    Of cohorts with one file, the verdict reports the evidence without their cap until the evidence
    with the cap reaches the threshold.
    """
    held = baseline(errors=10, rows=100, a=(100, 10))
    before = judged(cohorts_of(rows, min_files=2), held, NEVER_COMPLETE)
    assert before.evidence >= 0
    assert before.drifted == (before.alarm_cohort is not None)
    at %= len(rows)
    n, k, e = rows[at]
    if e < k:
        more_errors = [*rows[:at], (n, k, e + 1), *rows[at + 1 :]]
        worse = judged(cohorts_of(more_errors, min_files=2), held, NEVER_COMPLETE)
        assert worse.log10_evidence is not None
        assert before.log10_evidence is not None
        assert worse.log10_evidence >= before.log10_evidence - 1e-9
