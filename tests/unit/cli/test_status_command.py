"""`refit status`: what is there, for people and for scripts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import boto3
import pytest
from refit.domain.monitoring.verdict import Alarm, Inputs, Live, Quality, Shift, Verdict
from refit.domain.retraining.state import Owed, Result, Retraining, State


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
    stack.set_state(
        "digits",
        champion={
            "version": 1,
            "run": "r1",
            "endpoint": "refit-digits",
            "promoted_at": before.isoformat(),
        },
    )
    return stack


def test_without_models_it_says_how_to_make_one(refit, stack):
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


def test_a_model_s_runs_are_told_newest_first_with_their_causes(refit, digits):
    output = refit("status", "digits").stdout
    assert output.index("r2  FAILED") < output.index("r1  DEPLOYED")
    assert "no usable row" in output
    assert "accuracy 0.975" in output
    assert "1 hour ago, took 1:15 min" in output


def test_json_holds_all_of_it(refit, digits):
    told = json.loads(refit("status", "--json").stdout)
    assert told["ground"] is None
    assert told["stack"]["bucket"] == "refit-data"
    (model,) = told["models"]
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
    told = json.loads(refit("status", "digits", "--json").stdout)
    assert told["models"][0]["champion"]["endpointStatus"] == "InService"


def test_a_model_that_is_not_there_is_refused_with_those_that_are(refit, digits):
    result = refit("status", "letters")
    assert result.exit_code == 2
    assert "known: digits" in result.stderr


def test_a_drop_that_waits_for_the_active_run_is_told(refit, digits):
    digits.set_state("digits", active_run="r2", owed=True)
    assert "a drop waits for the active run" in refit("status", "digits").stdout


NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def verdict(drifted: bool = False, **changes):
    """What a look found: 40 of 500 answers are wrong."""
    quality = Quality(
        drifted=drifted,
        log10_evidence=4.5 if drifted else 1.97,
        threshold=8760,
        labels=500,
        cohorts=5,
        since=NOON,
        counted=500,
        errors=40,
        error_rate=0.08,
        bar=0.06,
        baseline_error=0.05,
        coverage=0.5,
        selectivity=1.0,
        class_name=None,
        alarm_cohort=NOON if drifted else None,
        held_back=None,
        sentence="Drift: 40 of 500 answers are wrong." if drifted else "No drift: so far.",
    )
    live = Live(
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
        version=1, run="r1", looked_at=NOON, quality=quality, live=live, inputs=None, alarm=None
    )
    return {"verdict": found.model_copy(update=changes).model_dump(mode="json")}


def loop_of(result):
    return json.loads(result.stdout)["models"][0]["loop"]


def test_quality_is_told_against_the_held_out_rows(refit, digits):
    digits.put_item("digits", "MONITOR", verdict())
    output = refit("status", "digits").stdout
    assert "accuracy 92.00% (held-out rows: 95.00%), log_loss 0.31" in output
    assert "500 labelled of 1,000 predictions, 5 cohorts, 2026-11-20 12:00:00 UTC to" in output
    assert "50.0% of the predictions have one, 1:30 min later in the mean" in output


def test_evidence_is_drawn_on_its_way_to_the_alarm_and_put_in_words(refit, digits):
    digits.put_item("digits", "MONITOR", verdict())
    output = refit("status", "digits").stdout
    line = next(line for line in output.splitlines() if line.startswith("evidence"))
    assert line.count("█") == line.count("░") == 12, "log 93 is half of log 8,760"
    assert "93.3 of 8,760" in line
    assert "No drift: so far." in output


def test_an_alarm_fills_the_bar_and_one_taken_back_stays_told(refit, digits):
    alarm = Alarm(
        version=1,
        raised_at=NOON,
        claimed_at=NOON,
        told=True,
        sentence="Drift",
        taken_back_at=NOON + timedelta(hours=1),
    )
    digits.put_item("digits", "MONITOR", verdict(drifted=True, alarm=alarm))
    output = refit("status", "digits").stdout
    line = next(line for line in output.splitlines() if line.startswith("evidence"))
    assert line.count("█") == 24
    assert "raised 2026-11-20 12:00:00 UTC, taken back by later labels 2026-11-20 13" in output
    loop = loop_of(refit("status", "digits", "--json"))
    assert loop["evidence"]["drifted"]
    assert loop["alarm"]["takenBackAt"] == "2026-11-20T13:00:00.000+00:00"


def test_evidence_before_the_first_ripe_cohort_is_none(refit, digits):
    empty = verdict()
    empty["verdict"]["quality"] |= {"log10_evidence": None, "cohorts": 0, "since": None}
    digits.put_item("digits", "MONITOR", empty)
    assert "0.0 of 8,760" in refit("status", "digits").stdout


def test_what_was_found_of_another_version_is_not_told_of_this_one(refit, digits):
    digits.put_item("digits", "MONITOR", verdict(drifted=True, version=7))
    output = refit("status", "digits").stdout
    assert "the live version has not been looked at yet" in output
    assert "40 of 500" not in output


def test_inputs_that_moved_are_named_with_their_numbers(refit, digits):
    shift = Shift(
        feature_name="age", description="moved by 0.4", value=0.4, threshold=0.1, n=9, critical=True
    )
    inputs = Inputs(cohort=NOON, rows=900, flagged=3, shifts=(shift,), estimated_accuracy=0.88)
    digits.put_item("digits", "MONITOR", verdict(inputs=inputs))
    output = refit("status", "digits").stdout
    assert "3 shifted in the cohort of 2026-11-20 12:00:00 UTC (900 rows)" in output
    assert "estimated accuracy 88.0%" in output
    assert "critical age  moved by 0.4" in output
    assert "and 2 more" in output


def test_labels_are_counted_by_what_became_of_them(refit, digits):
    digits.put_item("digits", "LABELS", {"held": 3, "new": 480, "rejected": 7})
    assert "3 held, 480 new, 7 rejected" in refit("status", "digits").stdout
    assert loop_of(refit("status", "digits", "--json"))["labels"]["rejected"] == 7


def test_what_is_owed_is_told_with_its_reason(refit, digits):
    owed = Owed(why="120 of 500 new labels have come", since=NOON)
    state = Retraining(state=State.DRIFTING, since=NOON, reason="Drift: it is so.", owed=owed)
    digits.put_item("digits", "RETRAINING", state)
    output = refit("status", "digits").stdout
    assert "drifting since 2026-11-20 12:00:00 UTC" in output
    assert "Drift: it is so." in output
    assert "owed since 2026-11-20 12:00:00 UTC: 120 of 500 new labels have come" in output
    assert "drifting, owed" in refit("status").stdout, "in the list of all models as well"


def test_a_blocked_model_says_why_and_what_to_do(refit, digits):
    last = Result(run="r9", cause="drift", status="REFUSED", at=NOON, message="no better")
    state = Retraining(state=State.BLOCKED, since=NOON, last=last, failures=2)
    digits.put_item("digits", "RETRAINING", state)
    output = refit("status", "digits").stdout
    assert "last run r9 (drift) ended REFUSED 2026-11-20 12:00:00 UTC: no better" in output
    assert "2 in a row brought no better model" in output
    assert "refit unblock digits" in output
    told = loop_of(refit("status", "digits", "--json"))["retraining"]
    assert (told["state"], told["failures"], told["last"]["status"]) == ("blocked", 2, "REFUSED")


def test_a_rest_is_told_with_its_end(refit, digits):
    state = Retraining(state=State.COOLING, since=NOON, cooled_until=NOON + timedelta(hours=2))
    digits.put_item("digits", "RETRAINING", state)
    assert "rests until 2026-11-20 14:00:00 UTC" in refit("status", "digits").stdout


def test_a_model_that_is_not_live_has_no_loop(refit, stack):
    stack.add_run("letters", "r1", "FAILED")
    assert loop_of(refit("status", "letters", "--json")) is None
