"""From counters to a verdict: stored, measured, and told once."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from refit.domain.inferences.tally import cohort_start
from refit.domain.monitoring.baseline import Baseline
from refit.domain.monitoring.input_counts import InputCounter, columns_of
from refit.domain.monitoring.verdict import TELLING, Verdict
from refit.domain.naming import ModelKeys
from refit.domain.retraining.state import Owed, Retraining, State
from refit.handlers import check_drift as detect_drift
from refit.stores import retraining, s3, store
from refit.stores.clients import client
from refit.usecases import check_drift as watching

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


def look() -> Verdict:
    assert detect_drift.handler(sample("check_drift"), CONTEXT) == {"batchItemFailures": []}
    found = retraining.load_verdict(MODEL)
    assert found is not None
    return found


def healthy(cohorts: int = 5) -> None:
    for place in range(cohorts):
        count_cohort(1, ago(30 - place), labelled=100, errors=5)


def worse(cohorts: int = 5) -> None:
    for place in range(cohorts):
        count_cohort(1, ago(20 - place), labelled=100, errors=60)


def take_back() -> None:
    """Correct the labels: what was counted as an error was right."""
    for place in range(5):
        count_cohort(1, ago(20 - place), labelled=0, errors=-60)


def told(stack: Stack) -> list[dict[str, Any]]:
    events = stack.messages(stack.bus_queue)
    return [event["detail"] for event in events if event["detail-type"] == "Drift Detected"]


def gauges(capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for line in capsys.readouterr().out.splitlines():
        content = json.loads(line)
        if "_aws" not in content:
            continue
        assert content["Model"] == MODEL
        (metrics,) = content["_aws"]["CloudWatchMetrics"]
        (metric,) = metrics["Metrics"]
        found[metric["Name"]] = content[metric["Name"]][0]
    return found


def test_a_version_as_good_as_its_baseline_is_told_to_be_so(live: Stack) -> None:
    healthy()
    found = look()
    assert found.quality is not None
    assert not found.drifted
    assert (found.quality.labels, found.quality.cohorts, found.quality.errors) == (500, 5, 25)
    assert found.quality.sentence.startswith("No drift: 25 of 500 answers are wrong (5.00%)")
    assert (found.live.labelled, found.live.metrics["accuracy"]) == (500, 0.95)
    assert found.live.baseline["accuracy"] == 0.95
    assert told(live) == []
    assert live.messages(live.retrain_queue) == []


def test_a_version_that_became_worse_raises_one_alarm_that_says_why(live: Stack) -> None:
    worse()
    found = look()
    assert found.quality is not None
    assert found.drifted
    assert found.alarm is not None
    (event,) = told(live)
    assert (event["model"], event["version"], event["run"]) == (MODEL, 1, "run1")
    assert event["drifted"]
    assert event["sentence"] == found.quality.sentence
    assert (event["labels"], event["errors"], event["cohorts"]) == (500, 300, 5)
    assert event["log10_evidence"] > np.log10(event["threshold"])
    assert event["bar"] < event["error_rate"]
    (notice,) = live.messages(live.notices_queue)
    assert notice["Subject"] == "Refit: digits version 1 drifts"
    assert found.quality.sentence in notice["Message"]
    assert live.messages(live.retrain_queue) == [{"model": MODEL}]


def test_an_alarm_that_stands_is_not_told_again_and_still_asks_for_a_retraining(
    live: Stack,
) -> None:
    worse()
    raised = look().alarm
    live.messages(live.retrain_queue)
    assert len(told(live)) == 1
    again = look().alarm
    assert again is not None
    assert raised is not None
    assert (again.raised_at, again.told) == (raised.raised_at, True)
    assert told(live) == []
    assert live.messages(live.retrain_queue) == [{"model": MODEL}]


def test_an_alarm_that_corrections_take_back_stays_noted(live: Stack) -> None:
    worse()
    raised = look().alarm
    take_back()
    found = look()
    assert not found.drifted
    assert found.alarm is not None
    assert raised is not None
    assert (found.alarm.raised_at, found.alarm.sentence) == (raised.raised_at, raised.sentence)
    assert found.alarm.taken_back_at == found.looked_at


def test_an_alarm_after_one_that_was_taken_back_is_told(live: Stack) -> None:
    worse()
    look()
    take_back()
    look()
    told(live)
    for place in range(5):
        count_cohort(1, ago(20 - place), labelled=0, errors=60)
    found = look()
    assert found.alarm is not None
    assert found.alarm.taken_back_at is None
    assert len(told(live)) == 1


def test_a_new_version_starts_with_no_alarm_and_no_evidence(live: Stack) -> None:
    worse()
    look()
    go_live(2)
    found = look()
    assert (found.version, found.drifted) == (2, False)
    assert found.quality is not None
    assert found.quality.cohorts == 0
    assert found.quality.log10_evidence is None


def test_late_errors_of_the_old_version_do_not_indict_the_new_one(live: Stack) -> None:
    go_live(2)
    worse()  # of version 1
    assert not look().drifted


def test_predictions_younger_than_the_label_age_are_not_judged(live: Stack) -> None:
    count_cohort(1, ago(0.5), labelled=500, errors=400)
    found = look()
    assert found.quality is not None
    assert (found.drifted, found.quality.cohorts) == (False, 0)
    assert found.live.labelled == 500, "they are shown at once"


def test_two_looks_at_once_tell_an_alarm_once(live: Stack) -> None:
    worse()
    events = client("dynamodb").meta.events
    seen = []

    def other(**_: Any) -> None:
        if not seen:
            seen.append(1)
            detect_drift.handler(sample("check_drift"), CONTEXT)

    events.register("before-call.dynamodb.UpdateItem", other)
    look()
    assert seen
    assert len(told(live)) == 1


def test_an_older_look_does_not_overwrite_a_newer_one(
    live: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    worse()
    newer = look()
    earlier = newer.looked_at - timedelta(seconds=1)
    monkeypatch.setattr(detect_drift, "_this_moment", lambda: earlier)
    take_back()
    assert look() == newer


def test_an_alarm_that_was_left_untold_is_told_by_a_later_look(
    live: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    worse()
    with monkeypatch.context() as broken:
        broken.setattr(detect_drift.bus, "publish", _gone)
        with pytest.raises(RuntimeError):
            look_without_answer()
    raised = retraining.load_verdict(MODEL)
    assert raised is not None
    assert raised.alarm is not None
    look()
    assert told(live) == [], "whoever raised it may still be at it"
    later = raised.looked_at + TELLING + timedelta(seconds=1)
    monkeypatch.setattr(detect_drift, "_this_moment", lambda: later)
    found = look()
    assert len(told(live)) == 1
    assert found.alarm is not None
    assert (found.alarm.told, found.alarm.raised_at) == (True, raised.alarm.raised_at)


def _gone(*_: Any) -> None:
    raise RuntimeError("gone")


def look_without_answer() -> None:
    detect_drift._look(MODEL)


def count_inputs(start: datetime, values: np.ndarray, name: str = "a") -> None:
    baseline = Baseline.model_validate(BASELINE.model_dump())
    counter = InputCounter(columns_of(PROFILE, baseline))
    counter.add(values.reshape(-1, 1), np.zeros(len(values), dtype=np.int64))
    cohort = cohort_start(start, COHORT_S)
    key = ModelKeys(MODEL).input_counts(1, cohort, name)
    s3.put_bytes(key, counter.counts().to_bytes())


def test_inputs_that_moved_are_told_with_numbers_and_retrain_nothing(live: Stack) -> None:
    random = np.random.default_rng(1)
    count_cohort(1, ago(10), labelled=0, errors=0)
    for part in ("a", "b"):  # two capture files of one cohort
        count_inputs(ago(10), random.uniform(0.5, 1.5, 500), part)
    found = look()
    assert found.inputs is not None
    assert found.inputs.rows == 1000
    assert "f0" in [shift.feature_name for shift in found.inputs.shifts]
    key = ModelKeys(MODEL).violations(1, cohort_start(ago(10), COHORT_S))
    violations = {one["feature_name"]: one for one in live.get(key)["violations"]}
    assert violations["f0"]["constraint_check_type"] == "baseline_drift_check"
    assert violations["f0"]["value"] > violations["f0"]["threshold"]
    assert violations["f0"]["n"] == 1000
    assert live.messages(live.retrain_queue) == []


def test_inputs_as_in_training_leave_no_violations(live: Stack) -> None:
    random = np.random.default_rng(1)
    count_cohort(1, ago(10), labelled=0, errors=0)
    counter = InputCounter(columns_of(PROFILE, BASELINE))
    predicted = np.arange(1000) % 2
    counter.add(random.uniform(0, 1, (1000, 1)), predicted)
    start = cohort_start(ago(10), COHORT_S)
    s3.put_bytes(ModelKeys(MODEL).input_counts(1, start, "a"), counter.counts().to_bytes())
    found = look()
    assert found.inputs is not None
    assert (found.inputs.rows, found.inputs.flagged) == (1000, 0)
    assert not [key for key in live.keys(f"{MODEL}/monitoring/") if key.endswith(".json")]


def test_the_inputs_of_a_cohort_are_judged_once(
    live: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = []
    judge = watching.judge_inputs
    monkeypatch.setattr(
        watching, "judge_inputs", lambda *given: judged.append(given[1].rows) or judge(*given)
    )
    for minutes, rows in ((10, 50), (8, 60)):
        count_cohort(1, ago(minutes), labelled=0, errors=0)
        count_inputs(ago(minutes), np.full(rows, 0.5))
    count_cohort(1, ago(0), labelled=0, errors=0)  # not closed yet
    count_inputs(ago(0), np.full(70, 0.5))
    look()
    look()
    assert judged == [50, 60]


def test_the_violation_of_quality_stands_beside_those_of_the_inputs(live: Stack) -> None:
    worse()
    for place in range(5):
        count_inputs(ago(20 - place), np.full(100, 0.5))
    look()
    names = [
        [one["feature_name"] for one in live.get(key)["violations"]]
        for key in live.keys(f"{MODEL}/monitoring/")
        if key.endswith(".json")
    ]
    assert ["f0", "prediction"] in [sorted(some) for some in names]
    assert ["accuracy", "f0", "prediction"] in [sorted(some) for some in names]


def test_every_look_publishes_what_alarms_and_dashboard_show(
    live: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    healthy()
    count_inputs(ago(30), np.full(100, 0.5))
    client("dynamodb").update_item(
        TableName="models",
        Key={"pk": {"S": f"MODEL#{MODEL}"}, "sk": {"S": "LABELS"}},
        UpdateExpression="SET held = :held, last_label_at = :at",
        ExpressionAttributeValues={":held": {"N": "3"}, ":at": {"S": store.now()}},
    )
    look()
    found = gauges(capsys)
    assert found["Accuracy"] == pytest.approx(95)
    assert found["BaselineAccuracy"] == 95
    assert found["LabelCoverage"] == 100
    assert 0 <= found["DriftEvidence"] < 4
    assert found["QualityDrift"] == 0
    assert found["InputDrift"] == 2
    assert found["HeldLabels"] == 3
    assert 0 <= found["LabelSilenceSeconds"] < 60
    assert 0 <= found["CaptureSilenceSeconds"] < 60, "since the promotion: nothing was captured"
    assert (found["RetrainingOwedSeconds"], found["RetrainingBlocked"]) == (0, 0)


def test_the_alarms_gauges_move(live: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    worse()
    owed = Owed(why="too few labels", since=ago(10))
    retraining.save(MODEL, Retraining(state=State.BLOCKED, owed=owed))
    look()
    found = gauges(capsys)
    assert found["QualityDrift"] == 1
    assert found["DriftEvidence"] > 4
    assert found["RetrainingBlocked"] == 1
    assert found["RetrainingOwedSeconds"] == pytest.approx(600, abs=60)


def test_a_model_that_is_not_captured_is_not_called_silent(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    go_live(1, SETTINGS | {"monitoring": {"capture": "off"}})
    look()
    assert "CaptureSilenceSeconds" not in gauges(capsys)


def test_what_is_owed_or_blocked_asks_again_at_every_look(live: Stack) -> None:
    retraining.save(MODEL, Retraining(state=State.COOLING))
    look()
    assert live.messages(live.retrain_queue) == [{"model": MODEL}]


def test_the_schedule_looks_at_every_model(live: Stack) -> None:
    store.begin_run("letters", "r", "drop", "2026-11-20T10:00:00+00:00")
    detect_drift.handler(sample("check_drift_scheduled"), CONTEXT)
    assert sorted(it["model"] for it in live.messages(live.detect_queue)) == [MODEL, "letters"]


def test_a_model_without_a_live_version_is_passed_over(stack: Stack) -> None:
    detect_drift.handler(sample("check_drift"), CONTEXT)
    assert retraining.load_verdict(MODEL) is None


def test_a_version_made_without_a_baseline_is_shown_and_not_judged(stack: Stack) -> None:
    keys = go_live(1)
    client("s3").delete_object(Bucket=stack.bucket, Key=keys.baseline)
    worse()
    found = look()
    assert (found.quality, found.live.labelled) == (None, 500)
