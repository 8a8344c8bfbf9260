"""`refit status`: the stack, its models and their runs, as text and as JSON."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import boto3
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
from refit.stores.training_logs import LOG_GROUP
from refit_cli import terminal
from rich.console import Console
from rich.text import Text

from tests.support.cli import API_URL, CHAMPION, OUTPUTS
from tests.support.learned import LEARNED
from tests.support.model_files import manifest


@pytest.fixture
def digits(stack):
    """A model with a live version and a run that failed after it."""
    before = datetime.now(UTC) - timedelta(minutes=90)
    stack.add_run(
        "digits",
        "r1",
        "DEPLOYED",
        version=1,
        started_at=before,
        finished_at=(before + timedelta(seconds=75)).isoformat(),
        metrics={"accuracy": Decimal("0.975"), "task": "classification"},
    )
    stack.add_run("digits", "r2", "FAILED", error="DatasetEmpty", message="no usable row")
    stack.set_state("digits", CHAMPION)
    return stack


def test_without_models_it_says_how_to_create_one(refit, stack):
    result = refit("status")
    assert result.exit_code == 0
    assert "refit-data" in result.stdout
    assert "refit put MODEL FILE" in result.stdout


def test_each_model_is_a_line_with_its_live_version_and_newest_run(refit, digits):
    line = next(line for line in refit("status").stdout.splitlines() if line.startswith("digits"))
    assert "version 1" in line
    assert "missing" in line  # its endpoint, which moto does not have
    assert "r2" in line
    assert "FAILED" in line


@pytest.fixture
def on_a_terminal(monkeypatch):
    """Return a function that makes the output a terminal of a number of columns."""

    def of(columns: int) -> None:
        monkeypatch.setattr(
            terminal,
            "results",
            lambda: Console(force_terminal=True, width=columns, highlight=False),
        )

    return of


def test_on_a_narrow_terminal_what_is_copied_is_never_cut(refit, digits, on_a_terminal):
    name, run = "a-model-of-24-characters", "0123456789ab"
    digits.add_run(name, run, "AWAITING_APPROVAL", version=2)
    digits.put_item(name, "STATE", {"active_run": run})
    on_a_terminal(60)
    output = refit("status").stdout
    assert "…" not in output
    for whole in (name, run, "AWAITING_APPROVAL", "digits", "version 1", "r2", "FAILED"):
        assert whole in output, whole
    assert max(len(Text.from_ansi(line)) for line in output.splitlines()) <= 60


def test_on_a_wide_terminal_a_model_is_one_line(refit, digits, on_a_terminal):
    on_a_terminal(100)
    (line,) = (line for line in refit("status").stdout.splitlines() if "digits" in line)
    assert "version 1" in line
    assert "FAILED" in line


def test_the_runs_of_a_model_are_printed_newest_first_with_their_messages(refit, digits):
    output = refit("status", "digits").stdout
    assert output.index("r2  FAILED") < output.index("r1  DEPLOYED")
    assert "no usable row" in output
    assert "accuracy 0.975" in output
    assert "1 hour ago, took 1:15 min" in output


def test_the_version_is_shown_whose_predictions_are_features_of_a_run(refit, digits):
    source = {"model": "segments", "version": 3, "run": "r9", "columns": 4}
    digits.add_run("digits", "r3", "DEPLOYED", features_from=source)
    assert "features from version 3 of 'segments' (4 columns)" in refit("status", "digits").stdout
    (model,) = json.loads(refit("status", "digits", "--json").stdout)["models"]
    assert [run["featuresFrom"] for run in model["runs"]] == [source, None, None]


def test_json_has_the_stack_the_live_version_and_all_runs(refit, digits):
    description = json.loads(refit("status", "--json").stdout)
    assert description["localStack"] is None
    assert description["stack"]["bucket"] == "refit-data"
    purposes = ("predict", "label", "operate")
    assert description["stack"]["apiKeyIds"] == {name: f"{name}-id" for name in purposes}
    assert description["stack"]["consoleUrl"] == f"{API_URL}/"
    assert description["stack"]["dashboardUrl"] == OUTPUTS["DashboardUrl"]
    (model,) = description["models"]
    assert model["champion"]["version"] == 1
    assert model["champion"]["endpointStatus"] == "missing"
    assert [run["run"] for run in model["runs"]] == ["r2", "r1"]
    assert model["runs"][1]["metrics"] == {"accuracy": 0.975, "task": "classification"}


def test_the_endpoint_s_status_is_sagemaker_s(refit, digits):
    sagemaker = boto3.client("sagemaker")
    sagemaker.create_model(
        ModelName="m", ExecutionRoleArn="arn:aws:iam::123456789012:role/FakeRole"
    )
    variant = {"VariantName": "v1", "ModelName": "m", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(
        EndpointConfigName="c", ProductionVariants=[variant | {"InstanceType": "ml.m5.large"}]
    )
    sagemaker.create_endpoint(EndpointName="refit-digits", EndpointConfigName="c")
    description = json.loads(refit("status", "digits", "--json").stdout)
    assert description["models"][0]["champion"]["endpointStatus"] == "InService"


def test_an_unknown_model_is_rejected_with_the_known_ones(refit, digits):
    result = refit("status", "letters")
    assert result.exit_code == 2
    assert "models: digits" in result.stderr


def test_data_that_waits_for_the_active_run_is_reported(refit, digits):
    digits.set_state("digits", CHAMPION, active_run="r2", pending=True)
    assert "new data is waiting for the active run to end" in refit("status", "digits").stdout


NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


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


def test_what_the_live_version_and_the_newest_run_learned_is_shown(refit, stack):
    learned = LEARNED.model_dump(mode="json")
    stack.set_state("digits", CHAMPION)
    stack.add_run("digits", "r1", "DEPLOYED", version=1, learned=learned)
    newer = LEARNED.model_copy(update={"rows": 99}).model_dump(mode="json")
    later = datetime.now(UTC) + timedelta(seconds=9)
    stack.add_run("digits", "r2", "FAILED", learned=newer, started_at=later)
    lines = [line.strip() for line in refit("status", "digits").stdout.splitlines()]
    assert f"version 1, live  {LEARNED.sentence}" in lines
    assert any(line.startswith("run r2  predicts 'kind'") and "99 rows" in line for line in lines)
    assert lines.count("refused  25 × the label 'kind' is missing") == 2
    assert any(line.startswith("doubt    column 'code' alone gives") for line in lines)
    runs = json.loads(refit("status", "digits", "--json").stdout)["models"][0]["runs"]
    assert [run["learned"]["rows"] for run in runs] == [99, 75]


CURVES = {
    "model": "digits",
    "run": "r2",
    "jobs": [
        {
            "job": "refit-digits-r2-0",
            "title": "training",
            "rounds": 3,
            "metrics": {"train-auc": [0.7, 0.8, 0.9], "validation-auc": [0.6, 0.8, 0.75]},
            "best": {"metric": "validation-auc", "round": 1, "value": 0.8},
        },
        {"job": "refit-digits-r2-1", "title": "fold 1", "missing": "its log did not arrive"},
    ],
}


def test_the_newest_run_shows_the_last_value_of_its_training(refit, digits):
    digits.put("digits/runs/r2/curves.json", CURVES)
    assert (
        "training: round 3, validation-auc 0.75, best 0.8 in round 2"
        in refit("status", "digits").stdout
    )
    (model,) = json.loads(refit("status", "digits", "--json").stdout)["models"]
    (training,) = model["training"]
    assert (training["rounds"], training["metric"], training["value"]) == (
        3,
        "validation-auc",
        0.75,
    )


def test_while_a_training_runs_its_last_value_comes_from_its_log(refit, digits):
    digits.add_run("digits", "r3", "TRAINING", started_at=datetime.now(UTC))
    digits.put("digits/runs/r3/manifest.json", manifest("r3"))
    assert "training:" not in refit("status", "digits").stdout
    logs = boto3.client("logs", region_name="us-east-1")
    logs.create_log_group(logGroupName=LOG_GROUP)
    stream = "refit-digits-r3-0/algo-1-170"
    logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName=stream)
    event = {"timestamp": int(time.time() * 1000), "message": "[0]#011validation-rmse:3.25"}
    logs.put_log_events(logGroupName=LOG_GROUP, logStreamName=stream, logEvents=[event])
    assert "training: round 1, validation-rmse 3.25" in refit("status", "digits").stdout


def test_a_run_without_curves_shows_none(refit, digits):
    (model,) = json.loads(refit("status", "digits", "--json").stdout)["models"]
    assert model["training"] == []
