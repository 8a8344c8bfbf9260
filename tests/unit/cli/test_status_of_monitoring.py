"""`refit status MODEL`: quality, evidence, inputs, labels and retraining of the live version."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from refit.domain.monitoring.verdict import (
    DriftAlarm,
    InputVerdict,
    LiveQuality,
    QualityVerdict,
    Verdict,
)
from refit.domain.monitoring.violations import Violation
from refit.domain.retraining.state import (
    PendingRetraining,
    RetrainingResult,
    RetrainingState,
    RetrainingStatus,
    UserCommand,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def digits(stack):
    stack.add_digits()
    return stack


def verdict(drifted: bool = False, **changes):
    """A verdict: 40 of 500 predictions are wrong."""
    quality = QualityVerdict(
        drifted=drifted,
        log10_evidence=4.5 if drifted else 1.97,
        threshold=8760,
        labels=500,
        cohorts=5,
        since=NOON,
        counted=500,
        errors=40,
        error_rate=0.08,
        tolerated_error_rate=0.06,
        baseline_error=0.05,
        coverage=0.5,
        selectivity=1.0,
        class_name=None,
        alarm_cohort=NOON if drifted else None,
        held_back=None,
        sentence="Drift: 40 of 500 answers are wrong." if drifted else "No drift: so far.",
    )
    live = LiveQuality(
        since=NOON,
        until=NOON + timedelta(hours=5),
        cohorts=5,
        predictions=1000,
        labelled=500,
        coverage=0.5,
        label_delay_s=90.0,
        metrics={"accuracy": 0.92, "log_loss": 0.31},
        baseline={"accuracy": 0.95},
    )
    found = Verdict(
        version=1, run="r1", checked_at=NOON, quality=quality, live=live, inputs=None, alarm=None
    )
    return {"verdict": found.model_copy(update=changes).model_dump(mode="json")}


def loop_of(result):
    return json.loads(result.stdout)["models"][0]["loop"]


def test_quality_is_compared_with_the_held_out_rows(refit, digits):
    digits.put_item("digits", "MONITOR", verdict())
    output = refit("status", "digits").stdout
    assert "accuracy 92.00% (held-out rows: 95.00%), log loss 0.31" in output
    assert "last check 2026-11-20 12:00:00 UTC" in " ".join(output.split())
    assert "500 labelled of 1,000 predictions, 5 cohorts, 2026-11-20 12:00:00 UTC to" in output
    assert "50.0% of the predictions are labelled, after 1:30 min on average" in output


def test_one_of_a_kind_is_named_in_the_singular(refit, digits):
    one = verdict()
    one["verdict"]["live"] |= {"labelled": 1, "predictions": 1, "cohorts": 1}
    digits.put_item("digits", "MONITOR", one)
    assert "1 labelled of 1 prediction, 1 cohort, " in refit("status", "digits").stdout


def test_evidence_is_shown_as_a_bar_and_in_words(refit, digits):
    digits.put_item("digits", "MONITOR", verdict())
    output = refit("status", "digits").stdout
    line = next(line for line in output.splitlines() if line.startswith("evidence"))
    assert line.count("█") == line.count("░") == 12, "log 93 is half of log 8,760"
    assert "93.3 of 8,760" in line
    assert "No drift: so far." in output


def test_an_alarm_fills_the_bar_and_stays_visible_when_it_is_withdrawn(refit, digits):
    alarm = DriftAlarm(
        version=1,
        raised_at=NOON,
        claimed_at=NOON,
        notified=True,
        sentence="Drift",
        taken_back_at=NOON + timedelta(hours=1),
    )
    digits.put_item("digits", "MONITOR", verdict(drifted=True, alarm=alarm))
    output = refit("status", "digits").stdout
    line = next(line for line in output.splitlines() if line.startswith("evidence"))
    assert line.count("█") == 24
    assert (
        "raised 2026-11-20 12:00:00 UTC, withdrawn 2026-11-20 13:00:00 UTC because of later"
        in output
    )
    loop = loop_of(refit("status", "digits", "--json"))
    assert loop["evidence"]["drifted"]
    assert loop["alarm"]["takenBackAt"] == "2026-11-20T13:00:00.000+00:00"


def test_before_the_first_cohort_there_is_no_evidence(refit, digits):
    empty = verdict()
    empty["verdict"]["quality"] |= {"log10_evidence": None, "cohorts": 0, "since": None}
    digits.put_item("digits", "MONITOR", empty)
    assert "0.0 of 8,760" in refit("status", "digits").stdout


def test_the_verdict_on_another_version_is_not_shown_for_this_one(refit, digits):
    digits.put_item("digits", "MONITOR", verdict(drifted=True, version=7))
    output = refit("status", "digits").stdout
    assert "no drift check of the live version yet" in output
    assert "40 of 500" not in output


def test_shifted_inputs_are_named_with_their_numbers(refit, digits):
    shift = Violation(
        constraint_check_type="baseline_drift_check",
        feature_name="age",
        description="moved by 0.4",
        value=0.4,
        threshold=0.1,
        n=9,
        critical=True,
    )
    inputs = InputVerdict(
        cohort=NOON, rows=900, flagged=3, shifts=(shift,), estimated_accuracy=0.88
    )
    digits.put_item("digits", "MONITOR", verdict(inputs=inputs))
    output = refit("status", "digits").stdout
    assert "3 shifts in the cohort of 2026-11-20 12:00:00 UTC (900 rows)" in output
    assert "estimated accuracy 88.0%" in output
    assert "critical age  moved by 0.4" in output
    assert "and 2 more" in output


def test_inputs_over_a_season_say_since_when_and_until_when(refit, digits):
    week = {"season_s": 604_800, "since": NOON, "until": NOON + timedelta(days=7)}
    inputs = InputVerdict(
        cohort=NOON, rows=900, flagged=0, shifts=(), estimated_accuracy=0.88, missed=0.03, **week
    )
    digits.put_item("digits", "MONITOR", verdict(inputs=inputs))
    output = refit("status", "digits").stdout
    assert (
        "no shift from the training data over a whole week, 2026-11-20 12:00:00 UTC to 2026-11-27 "
        "12:00:00 UTC (900 rows); estimated accuracy 88.0%"
    ) in output
    assert "outages prevented about 3.0% of the predictions of this week" in output


def test_the_first_season_says_from_when_on_inputs_are_compared(refit, digits):
    first = {"season_s": 86_400, "since": NOON, "until": NOON + timedelta(hours=2)}
    inputs = InputVerdict(
        cohort=NOON + timedelta(hours=1),
        compared_from=NOON + timedelta(days=1),
        rows=900,
        flagged=0,
        shifts=(),
        estimated_accuracy=None,
        **first,
    )
    digits.put_item("digits", "MONITOR", verdict(inputs=inputs))
    output = refit("status", "digits").stdout
    assert (
        "no value that the training data never had in the cohort of 2026-11-20 13:00:00 UTC"
    ) in output
    assert (
        "distributions are compared, and accuracy is estimated, over a whole day: from 2026-11-21 "
        "12:00:00 UTC on"
    ) in output
    assert "so far 900 rows since 2026-11-20 12:00:00 UTC" in output


def test_labels_are_counted_by_status(refit, digits):
    digits.put_item("digits", "LABELS", {"held": 3, "new": 480, "rejected": 7})
    assert "3 held, 480 new, 7 rejected" in refit("status", "digits").stdout
    assert loop_of(refit("status", "digits", "--json"))["labels"]["rejected"] == 7


def test_a_pending_retraining_is_shown_with_its_reason(refit, digits):
    pending = PendingRetraining(why="120 of 500 new labels have come", since=NOON)
    state = RetrainingState(
        state=RetrainingStatus.DRIFTING, since=NOON, reason="Drift: it is so.", pending=pending
    )
    digits.put_item("digits", "RETRAINING", state)
    output = refit("status", "digits").stdout
    assert "drifting since 2026-11-20 12:00:00 UTC" in output
    assert "Drift: it is so." in output
    assert "pending since 2026-11-20 12:00:00 UTC: 120 of 500 new labels have come" in output
    assert "drifting, pending" in refit("status").stdout, "in the list of all models as well"


def test_a_blocked_model_says_why_and_what_to_do(refit, digits):
    last = RetrainingResult(run="r9", cause="drift", status="REFUSED", at=NOON, message="no better")
    state = RetrainingState(state=RetrainingStatus.BLOCKED, since=NOON, last=last, failures=2)
    digits.put_item("digits", "RETRAINING", state)
    output = refit("status", "digits").stdout
    assert "last run r9 (drift) ended REFUSED 2026-11-20 12:00:00 UTC: no better" in output
    assert "consecutive retrainings without improvement: 2" in output
    assert "refit unblock digits" in output
    state = loop_of(refit("status", "digits", "--json"))["retraining"]
    assert (state["state"], state["failures"], state["last"]["status"]) == ("blocked", 2, "REFUSED")


def test_a_cool_down_is_shown_with_its_end(refit, digits):
    state = RetrainingState(
        state=RetrainingStatus.COOLING, since=NOON, cooled_until=NOON + timedelta(hours=2)
    )
    digits.put_item("digits", "RETRAINING", state)
    assert "cool-down until 2026-11-20 14:00:00 UTC" in refit("status", "digits").stdout


def test_a_model_that_is_not_live_has_no_loop(refit, stack):
    stack.add_run("letters", "r1", "FAILED")
    assert loop_of(refit("status", "letters", "--json")) is None


def test_json_has_the_whole_state_of_monitoring_and_retraining(refit, digits):
    shift = Violation(
        constraint_check_type="baseline_drift_check",
        feature_name="age",
        description="moved by 0.4",
        value=0.4,
        threshold=0.1,
        n=9,
        critical=True,
    )
    alarm = DriftAlarm(version=1, raised_at=NOON, claimed_at=NOON, notified=True, sentence="Drift")
    inputs = InputVerdict(
        cohort=NOON, rows=900, flagged=1, shifts=(shift,), estimated_accuracy=0.88
    )
    digits.put_item("digits", "MONITOR", verdict(drifted=True, inputs=inputs, alarm=alarm))
    digits.put_item(
        "digits", "LABELS", {"new": 480, "last_label_at": "2026-11-20T12:00:00.000+00:00"}
    )
    state = RetrainingState(
        state=RetrainingStatus.DRIFTING,
        since=NOON,
        version=1,
        reason="Drift: it is so.",
        run="r8",
        cause="drift",
        request=UserCommand(id="e1", kind="retrain", by="ada", at=NOON),
        pending=PendingRetraining(why="run r9 is active", since=NOON),
        failures=1,
        cooled_until=NOON,
        last=RetrainingResult(
            run="r8", cause="drift", status="REFUSED", at=NOON, message="no better"
        ),
        note="A note.",
    )
    digits.put_item("digits", "RETRAINING", state)
    noon = "2026-11-20T12:00:00.000+00:00"
    assert loop_of(refit("status", "digits", "--json")) == {
        "version": 1,
        "lookedAt": noon,
        "quality": {
            "since": noon,
            "until": "2026-11-20T17:00:00.000+00:00",
            "cohorts": 5,
            "predictions": 1000,
            "labelled": 500,
            "coverage": 0.5,
            "labelDelaySeconds": 90.0,
            "metrics": {"accuracy": 0.92, "log_loss": 0.31},
            "baseline": {"accuracy": 0.95},
        },
        "evidence": {
            "drifted": True,
            "log10": 4.5,
            "threshold": 8760.0,
            "since": noon,
            "cohorts": 5,
            "labels": 500,
            "counted": 500,
            "errors": 40,
            "errorRate": 0.08,
            "bar": 0.06,
            "baselineError": 0.05,
            "coverage": 0.5,
            "className": None,
            "heldBack": None,
            "sentence": "Drift: 40 of 500 answers are wrong.",
        },
        "alarm": {"version": 1, "raisedAt": noon, "takenBackAt": None, "sentence": "Drift"},
        "inputs": {
            "cohort": noon,
            "since": None,
            "until": None,
            "seasonSeconds": 0,
            "comparedFrom": None,
            "missed": 0.0,
            "rows": 900,
            "flagged": 1,
            "shifts": [
                {
                    "feature_name": "age",
                    "description": "moved by 0.4",
                    "value": 0.4,
                    "threshold": 0.1,
                    "n": 9,
                    "critical": True,
                }
            ],
            "estimatedAccuracy": 0.88,
        },
        "labels": {
            "held": 0,
            "expired": 0,
            "new": 480,
            "repeat": 0,
            "corrected": 0,
            "rejected": 0,
            "lastLabelAt": "2026-11-20T12:00:00.000+00:00",
            "lastCaptureAt": None,
        },
        "retraining": {
            "state": "drifting",
            "since": noon,
            "reason": "Drift: it is so.",
            "run": "r8",
            "cause": "drift",
            "requestedBy": "ada",
            "pending": {"why": "run r9 is active", "since": noon},
            "failures": 1,
            "cooledUntil": noon,
            "last": {
                "run": "r8",
                "cause": "drift",
                "status": "REFUSED",
                "at": noon,
                "message": "no better",
            },
            "note": "A note.",
        },
    }
