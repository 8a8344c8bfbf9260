"""Drift checks: the verdict is stored and published as metrics, and people are notified once."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from refit.domain.inferences.cohort_key import cohort_start
from refit.domain.inferences.label_records import LabelRecord
from refit.domain.moments import iso, utc_now
from refit.domain.monitoring.input_counts import InputCounter, columns_of
from refit.domain.monitoring.verdict import NOTIFICATION_TIMEOUT, Verdict
from refit.domain.naming import ModelKeys
from refit.domain.retraining.state import PendingRetraining, RetrainingState, RetrainingStatus
from refit.handlers import check_drift as check_drift_handler
from refit.usecases.check_drift import check_drift
from refit.usecases.record_labels import record_labels

from tests.integration.monitoring.live_model import (
    BASELINE,
    COHORT_S,
    MODEL,
    PROFILE,
    SETTINGS,
    ago,
    count_cohort,
    go_live,
)
from tests.support.aws_stack import CONTEXT
from tests.support.events import sample

if TYPE_CHECKING:
    from datetime import datetime

    from tests.support.aws_stack import Stack


@pytest.fixture
def live(stack: Stack) -> Stack:
    go_live(1)
    stack.messages(stack.bus_queue)
    return stack


def check(stack: Stack) -> Verdict:
    assert handled("check_drift") == {"batchItemFailures": []}
    return stored(stack)


def handled(event: str) -> Any:
    return check_drift_handler.handler(sample(event), CONTEXT)


def stored(stack: Stack) -> Verdict:
    verdict = stack.services.monitoring.verdict(MODEL)
    assert verdict is not None
    return verdict


def healthy(cohorts: int = 5) -> None:
    for index in range(cohorts):
        count_cohort(1, ago(30 - index), labelled=100, errors=5)


def worse(cohorts: int = 5) -> None:
    for index in range(cohorts):
        count_cohort(1, ago(20 - index), labelled=100, errors=60)


def take_back() -> None:
    """Correct the labels, so that the counted errors become correct predictions."""
    for index in range(5):
        count_cohort(1, ago(20 - index), labelled=0, errors=-60)


def drift_events(stack: Stack) -> list[dict[str, Any]]:
    events = stack.messages(stack.bus_queue)
    return [event["detail"] for event in events if event["detail-type"] == "Drift Detected"]


def gauges(capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    values: dict[str, float] = {}
    for line in capsys.readouterr().out.splitlines():
        content = json.loads(line)
        if "_aws" not in content:
            continue
        assert content["Model"] == MODEL
        (metrics,) = content["_aws"]["CloudWatchMetrics"]
        (metric,) = metrics["Metrics"]
        values[metric["Name"]] = content[metric["Name"]][0]
    return values


def test_a_version_as_good_as_its_baseline_has_no_drift(live: Stack) -> None:
    healthy()
    verdict = check(live)
    assert not verdict.drifted
    assert (verdict.quality.labels, verdict.quality.cohorts, verdict.quality.errors) == (500, 5, 25)
    assert verdict.quality.sentence.startswith("No drift: 25 of 500 predictions are wrong (5.00%)")
    assert (verdict.live.labelled, verdict.live.metrics["accuracy"]) == (500, 0.95)
    assert verdict.live.baseline["accuracy"] == 0.95
    assert drift_events(live) == []
    assert live.messages(live.retrain_queue) == []


EVENT_KEYS = set(
    "prefix model version run raised_at drifted log10_evidence threshold labels cohorts since "
    "counted errors error_rate bar baseline_error coverage selectivity class_name alarm_cohort "
    "season_s within_s "
    "held_back sentence".split()
)


def test_a_version_that_became_worse_raises_one_alarm_with_its_reason(live: Stack) -> None:
    worse()
    verdict = check(live)
    assert verdict.drifted
    assert verdict.alarm is not None
    (event,) = drift_events(live)
    assert (event["model"], event["version"], event["run"]) == (MODEL, 1, "run1")
    assert set(event) == EVENT_KEYS
    assert event["drifted"]
    assert event["sentence"] == verdict.quality.sentence
    assert (event["labels"], event["errors"], event["cohorts"]) == (500, 300, 5)
    assert event["log10_evidence"] > np.log10(event["threshold"])
    assert event["bar"] < event["error_rate"]
    (notice,) = live.messages(live.notices_queue)
    assert notice["Subject"] == "Refit: drift of digits version 1"
    assert verdict.quality.sentence in notice["Message"]
    assert live.messages(live.retrain_queue) == [{"model": MODEL}]


def test_an_active_alarm_is_not_notified_again_and_enqueues_a_retraining_step(
    live: Stack,
) -> None:
    worse()
    raised = check(live).alarm
    live.messages(live.retrain_queue)
    assert len(drift_events(live)) == 1
    again = check(live).alarm
    assert again is not None
    assert raised is not None
    assert (again.raised_at, again.notified) == (raised.raised_at, True)
    assert drift_events(live) == []
    assert live.messages(live.retrain_queue) == [{"model": MODEL}]


def test_an_alarm_that_corrections_take_back_is_kept(live: Stack) -> None:
    worse()
    raised = check(live).alarm
    take_back()
    verdict = check(live)
    assert not verdict.drifted
    assert verdict.alarm is not None
    assert raised is not None
    assert (verdict.alarm.raised_at, verdict.alarm.sentence) == (raised.raised_at, raised.sentence)
    assert verdict.alarm.taken_back_at == verdict.checked_at


def test_an_alarm_after_one_that_was_taken_back_is_notified(live: Stack) -> None:
    worse()
    check(live)
    take_back()
    check(live)
    drift_events(live)
    for index in range(5):
        count_cohort(1, ago(20 - index), labelled=0, errors=60)
    verdict = check(live)
    assert verdict.alarm is not None
    assert verdict.alarm.taken_back_at is None
    assert len(drift_events(live)) == 1


def test_a_new_version_starts_with_no_alarm_and_no_evidence(live: Stack) -> None:
    worse()
    check(live)
    go_live(2)
    verdict = check(live)
    assert (verdict.version, verdict.drifted) == (2, False)
    assert verdict.quality.cohorts == 0
    assert verdict.quality.log10_evidence is None


def test_late_errors_of_the_old_version_do_not_affect_the_new_one(live: Stack) -> None:
    go_live(2)
    worse()  # counters of version 1
    assert not check(live).drifted


def test_predictions_younger_than_the_label_age_are_not_judged(live: Stack) -> None:
    count_cohort(1, ago(0.5), labelled=500, errors=400)
    verdict = check(live)
    assert (verdict.drifted, verdict.quality.cohorts) == (False, 0)
    assert verdict.live.labelled == 500, "live quality includes young predictions"


def test_two_concurrent_checks_notify_of_an_alarm_once(live: Stack) -> None:
    worse()
    events = live.services.client("dynamodb").meta.events
    concurrent = []

    def check_concurrently(**_: Any) -> None:
        if not concurrent:
            concurrent.append(1)
            handled("check_drift")

    events.register("before-call.dynamodb.UpdateItem", check_concurrently)
    check(live)
    assert concurrent
    assert len(drift_events(live)) == 1


def test_an_older_check_does_not_overwrite_a_newer_one(live: Stack) -> None:
    worse()
    newer = check(live)
    take_back()
    check_drift(live.at(newer.checked_at - timedelta(seconds=1)), MODEL)
    assert stored(live) == newer


class BrokenBus:
    """A client of EventBridge that fails."""

    def put_events(self, **_: Any) -> None:
        raise RuntimeError("gone")


def test_an_alarm_that_was_not_notified_is_notified_by_a_later_check(live: Stack) -> None:
    worse()
    with pytest.raises(RuntimeError):
        check_drift(live.with_clients(events=BrokenBus()), MODEL)
    raised = stored(live)
    assert raised.alarm is not None
    check(live)
    assert drift_events(live) == [], "the check that raised the alarm may still be notifying"
    later = raised.checked_at + NOTIFICATION_TIMEOUT + timedelta(seconds=1)
    check_drift(live.at(later), MODEL)
    verdict = stored(live)
    assert len(drift_events(live)) == 1
    assert verdict.alarm is not None
    assert (verdict.alarm.notified, verdict.alarm.raised_at) == (True, raised.alarm.raised_at)


def count_inputs(
    stack: Stack,
    moment: datetime,
    values: np.ndarray,
    name: str = "a",
    predicted: np.ndarray | None = None,
) -> None:
    counter = InputCounter(columns_of(PROFILE, BASELINE))
    classes = np.zeros(len(values), dtype=np.int64) if predicted is None else predicted
    counter.add(values.reshape(-1, 1), classes)
    key = ModelKeys(MODEL).input_counts(1, cohort_start(moment, COHORT_S), name)
    stack.services.bucket.put(key, counter.counts().to_bytes())


def test_shifted_inputs_are_reported_with_numbers_and_start_no_retraining(live: Stack) -> None:
    random = np.random.default_rng(1)
    count_cohort(1, ago(10), labelled=0, errors=0)
    for part in ("a", "b"):  # two capture files of one cohort
        count_inputs(live, ago(10), random.uniform(0.5, 1.5, 500), part)
    verdict = check(live)
    assert verdict.inputs is not None
    assert verdict.inputs.rows == 1000
    assert "f0" in [shift.feature_name for shift in verdict.inputs.shifts]
    key = ModelKeys(MODEL).violations(1, cohort_start(ago(10), COHORT_S))
    violations = {violation["feature_name"]: violation for violation in live.get(key)["violations"]}
    assert violations["f0"]["constraint_check_type"] == "baseline_drift_check"
    assert violations["f0"]["value"] > violations["f0"]["threshold"]
    assert violations["f0"]["n"] == 1000
    assert live.messages(live.retrain_queue) == []


def test_inputs_like_the_training_data_cause_no_violations(live: Stack) -> None:
    random = np.random.default_rng(1)
    count_cohort(1, ago(10), labelled=0, errors=0)
    predicted = np.arange(1000) % 2
    count_inputs(live, ago(10), random.uniform(0, 1, 1000), predicted=predicted)
    verdict = check(live)
    assert verdict.inputs is not None
    assert (verdict.inputs.rows, verdict.inputs.flagged) == (1000, 0)
    assert not [key for key in live.keys(f"{MODEL}/monitoring/") if key.endswith("violations.json")]


def test_the_inputs_of_a_cohort_are_judged_once(live: Stack) -> None:
    rows = {10: 50, 8: 60}
    for minutes, count in rows.items():
        count_cohort(1, ago(minutes), labelled=0, errors=0)
        count_inputs(live, ago(minutes), np.full(count, 0.5))
    count_cohort(1, ago(0), labelled=0, errors=0)  # this cohort is not closed yet
    count_inputs(live, ago(0), np.full(70, 0.5))
    assert counts_read_by_a_check(live) == [input_counts(minutes) for minutes in rows]
    assert counts_read_by_a_check(live) == []
    verdict = stored(live)
    assert verdict.inputs is not None
    assert (verdict.inputs.cohort, verdict.inputs.rows) == (cohort_start(ago(8), COHORT_S), 60)


def input_counts(minutes: float) -> str:
    return ModelKeys(MODEL).input_counts(1, cohort_start(ago(minutes), COHORT_S), "a")


def counts_read_by_a_check(stack: Stack) -> list[str]:
    """Run a check, and return the keys of the input counts that it read, in order."""
    keys: list[str] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        if params["Key"].endswith(".npz"):
            keys.append(params["Key"])

    events = stack.services.client("s3").meta.events
    events.register("provide-client-params.s3.GetObject", note)
    check(stack)
    events.unregister("provide-client-params.s3.GetObject", note)
    return keys


def test_a_quality_violation_is_stored_with_those_of_the_inputs(live: Stack) -> None:
    worse()
    for index in range(5):
        count_inputs(live, ago(20 - index), np.full(100, 0.5))
    check(live)
    names = [
        [violation["feature_name"] for violation in live.get(key)["violations"]]
        for key in live.keys(f"{MODEL}/monitoring/")
        if key.endswith("violations.json")
    ]
    assert ["f0", "prediction"] in [sorted(cohort) for cohort in names]
    assert ["accuracy", "f0", "prediction"] in [sorted(cohort) for cohort in names]


def test_every_check_publishes_the_metrics_of_alarms_and_dashboard(
    live: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    healthy()
    count_inputs(live, ago(30), np.full(100, 0.5))
    table = live.services.model_table
    counters = {"held": 3, "last_label_at": iso(utc_now())}
    table.apply(table.put_request({"pk": f"MODEL#{MODEL}", "sk": "LABELS"} | counters))
    check(live)
    values = gauges(capsys)
    assert values["Accuracy"] == pytest.approx(95)
    assert values["BaselineAccuracy"] == 95
    assert values["LabelCoverage"] == 100
    assert values["ErrorRate"] == pytest.approx(5)
    assert 5 < values["ToleratedErrorRate"] < 100
    assert values["LiveVersion"] == 1
    assert 0 <= values["DriftEvidence"] < 4
    assert values["QualityDrift"] == 0
    assert values["InputDrift"] == 2
    assert values["HeldLabels"] == 3
    assert 0 <= values["LabelSilenceSeconds"] < 60
    assert 0 <= values["CaptureSilenceSeconds"] < 60, "silence is counted since the promotion"
    assert (values["RetrainingPendingSeconds"], values["RetrainingBlocked"]) == (0, 0)


def test_the_gauges_of_the_alarms_reflect_the_state(
    live: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    worse()
    pending = PendingRetraining(why="too few labels", since=ago(10))
    state = RetrainingState(state=RetrainingStatus.BLOCKED, pending=pending)
    live.services.monitoring.save_retraining(MODEL, state)
    check(live)
    values = gauges(capsys)
    assert values["QualityDrift"] == 1
    assert values["DriftEvidence"] > 4
    assert values["RetrainingBlocked"] == 1
    assert values["RetrainingPendingSeconds"] == pytest.approx(600, abs=60)


def test_a_model_that_is_not_captured_has_no_silence_gauge(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    go_live(1, SETTINGS | {"monitoring": {"capture": "off"}})
    check(stack)
    assert "CaptureSilenceSeconds" not in gauges(capsys)


def test_held_labels_expire_although_nothing_is_captured(stack: Stack) -> None:
    go_live(1, SETTINGS | {"monitoring": {"capture": "off"}})
    record = LabelRecord("never-captured", "dog", None)
    record_labels(stack.services, MODEL, [record])
    week_later = utc_now() + timedelta(days=8)
    check_drift(stack.at(week_later), MODEL)
    assert stack.services.labels.load(MODEL, ["never-captured"]) == {}
    assert len(stack.keys(f"{MODEL}/quarantine/ground-truth/")) == 1


def test_every_check_of_a_model_that_is_not_idle_enqueues_a_retraining_step(live: Stack) -> None:
    state = RetrainingState(state=RetrainingStatus.COOLING)
    live.services.monitoring.save_retraining(MODEL, state)
    check(live)
    assert live.messages(live.retrain_queue) == [{"model": MODEL}]


def test_the_schedule_checks_every_model(live: Stack) -> None:
    live.services.models.begin_run("letters", "r", "drop", None)
    handled("check_drift_scheduled")
    messages = live.messages(live.detect_queue)
    assert sorted(message["model"] for message in messages) == [MODEL, "letters"]


def test_a_model_without_a_live_version_is_skipped(stack: Stack) -> None:
    handled("check_drift")
    assert stack.services.monitoring.verdict(MODEL) is None
