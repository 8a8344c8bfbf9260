"""`refit retry`: which run is repeated, the published command, and what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from refit.domain.answers.actions import ActionAnswer
from refit.domain.naming import retry_id

from tests.support.model_files import object_version

EARLIER = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture
def requests(stack):
    """Return a function that returns the events published since its last call."""
    queue = boto3.client("sqs").create_queue(QueueName="bus")["QueueUrl"]
    events = boto3.client("events")
    events.put_rule(Name="all", EventPattern='{"source": ["refit"]}')
    arn = "arn:aws:sqs:us-east-1:123456789012:bus"
    events.put_targets(Rule="all", Targets=[{"Id": "bus", "Arn": arn}])

    def published():
        answer = boto3.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in answer.get("Messages", [])]

    return published


def add_run(stack, run, status, **values):
    """Add a run of two dropped files."""
    stack.add_run("digits", run, status, **values)
    files = [object_version(f"digits/raw/{name}", f"v-{name}", 1500) for name in ("a.csv", "b.csv")]
    drop = {"model": "digits", "run": run, "cause": "drop", "files": files}
    stack.put(f"digits/runs/{run}/drop.json", drop)


@pytest.mark.parametrize("status", ["FAILED", "REFUSED"])
def test_the_last_run_is_repeated_if_it_failed_or_was_refused(refit, stack, requests, status):
    add_run(stack, "r1", "FAILED", started_at=EARLIER)
    add_run(stack, "r2", status, error="TrainingJobFailed")
    result = refit("retry", "digits")
    assert result.exit_code == 0
    (event,) = requests()
    assert (event["source"], event["detail-type"]) == ("refit", "Run Retry Requested")
    assert event["detail"] == {"prefix": "refit", "model": "digits", "run": "r2", "by": "ada"}
    new = retry_id("digits", "r2")
    assert f"requested  run {new} of digits: 2 files, 3.0 kB: a.csv, b.csv" in result.stdout
    assert f"repeats run r2, which is {status} (TrainingJobFailed)" in result.stderr
    assert f"refit watch digits --run {new}" in result.stderr


def test_json_names_the_new_run_and_its_files(refit, stack, requests):
    add_run(stack, "r1", "FAILED")
    result = json.loads(refit("retry", "digits", "--json").stdout)
    assert result["run"] == retry_id("digits", "r1")
    assert (result["retryOf"], result["event"]) == ("r1", requests()[0]["id"])
    assert set(ActionAnswer.model_json_schema(by_alias=True)["properties"]) < set(result)
    new = result["run"]
    assert result["follow"]["path"] == f"/models/digits/runs/{new}"
    assert result["follow"]["command"] == f"refit watch digits --run {new}"
    assert result["files"][0] == {"key": "digits/raw/a.csv", "version": "v-a.csv", "size": 1500}


def test_a_run_that_was_repeated_is_repeated_by_its_last_repetition(refit, stack, requests):
    add_run(stack, "r1", "FAILED", started_at=EARLIER)
    again = retry_id("digits", "r1")
    add_run(stack, again, "FAILED")
    for options in ((), ("--run", "r1")):
        assert refit("retry", "digits", *options).exit_code == 0
        assert requests()[0]["detail"]["run"] == again


def test_a_retraining_in_between_is_not_repeated(refit, stack, requests):
    add_run(stack, "r1", "FAILED", started_at=EARLIER)
    stack.add_run("digits", "r2", "REFUSED", cause="drift")
    assert refit("retry", "digits").exit_code == 0
    assert requests()[0]["detail"]["run"] == "r1"
    named = refit("retry", "digits", "--run", "r2")
    assert named.exit_code == 1
    assert "refit retrain digits" in named.stderr


def test_a_successful_run_is_repeated_only_if_it_is_named(refit, stack, requests):
    add_run(stack, "r1", "DEPLOYED")
    refused = refit("retry", "digits")
    assert refused.exit_code == 1
    assert "r1, is DEPLOYED: nothing failed" in refused.stderr
    assert "refit retry digits --run r1" in refused.stderr
    assert requests() == []
    assert refit("retry", "digits", "--run", "r1").exit_code == 0
    assert requests()[0]["detail"]["run"] == "r1"


def test_nothing_is_requested_while_a_run_is_active(refit, stack, requests):
    add_run(stack, "r1", "FAILED", started_at=EARLIER)
    add_run(stack, "r2", "TRAINING")
    stack.put_item("digits", "STATE", {"active_run": "r2"})
    result = refit("retry", "digits", "--run", "r1")
    assert result.exit_code == 1
    assert "run r2 of digits is active (TRAINING)" in result.stderr
    assert requests() == []


def test_a_run_that_awaits_approval_is_not_repeated(refit, stack, requests):
    add_run(stack, "r1", "AWAITING_APPROVAL")
    result = refit("retry", "digits", "--run", "r1")
    assert result.exit_code == 1
    assert "approve or reject" in result.stderr


@pytest.mark.parametrize("arguments", [("letters",), ("digits", "--run", "none")])
def test_an_unknown_model_or_run_is_refused(refit, stack, requests, arguments):
    add_run(stack, "r1", "FAILED")
    assert refit("retry", *arguments).exit_code == 2
    assert requests() == []


def test_following_reports_the_outcome_of_the_new_run(refit, stack, requests, clients):
    add_run(stack, "r1", "FAILED", started_at=EARLIER)
    result = refit("retry", "digits", "--follow", "--timeout", 0.2)
    assert result.exit_code == 4
    assert "did not start within 0.2 s" in result.stderr
    new = retry_id("digits", "r1")
    run = {"run": new, "model": "digits", "status": "DEPLOYED", "cause": "drop", "version": 4}
    now = datetime.now(UTC).isoformat(timespec="milliseconds")

    class StartsTheRun:
        def put_events(self, Entries):
            stack.put_item("digits", f"RUN#{new}", run | {"started_at": now, "updated_at": now})
            return {"FailedEntryCount": 0, "Entries": [{"EventId": "e1"}]}

    clients["events"] = StartsTheRun()
    result = refit("retry", "digits", "--follow", "--timeout", 5)
    assert result.exit_code == 0
    assert "version 4 on endpoint" in result.stdout


def test_a_command_that_the_event_bus_rejects_is_sent_again(refit, stack, clients):
    add_run(stack, "r1", "FAILED")
    rejected = {"ErrorCode": "ThrottlingException", "ErrorMessage": "Rate exceeded"}
    results = [rejected, rejected, {"EventId": "e1"}]

    class BusyBus:
        def put_events(self, Entries):
            entry = results.pop(0)
            return {"FailedEntryCount": int("EventId" not in entry), "Entries": [entry]}

    clients["events"] = BusyBus()
    assert json.loads(refit("retry", "digits", "--json").stdout)["event"] == "e1"


def undeployed(stack, **values):
    """Add a retraining run whose version AWS had no endpoint for."""
    values = {"version": 3, "package_arn": "arn:p/3", "deploy_execution_arn": "arn:e:1", **values}
    stack.add_run("digits", "r3", "FAILED", error="EndpointNotProvisioned", **values)


@pytest.mark.parametrize("cause", ["drop", "drift"])
def test_a_run_whose_deployment_aws_failed_is_only_deployed_again(refit, stack, requests, cause):
    undeployed(stack, cause=cause)
    result = refit("retry", "digits", "--run", "r3")
    assert result.exit_code == 0
    assert requests()[0]["detail"]["run"] == "r3"
    assert "requested  deployment of version 3 of digits, without training" in result.stdout
    assert "refit watch digits --run r3" in result.stderr
    shown = json.loads(refit("retry", "digits", "--run", "r3", "--json").stdout)
    assert (shown["run"], shown["version"]) == ("r3", 3)


def test_following_a_repeated_deployment_waits_until_it_has_begun(refit, stack, requests):
    undeployed(stack)
    result = refit("retry", "digits", "--follow", "--timeout", "1")
    assert result.exit_code == 4
    assert "did not start within 1 s" in result.stderr


def test_ctrl_c_before_the_run_has_started_says_that_the_request_stays(
    refit, stack, requests, monkeypatch
):
    from refit_cli.commands import retry

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    add_run(stack, "r1", "FAILED")
    monkeypatch.setattr(retry.time, "sleep", interrupt)
    result = refit("retry", "digits", "--follow")
    assert result.exit_code == 130
    assert "the request stays; see refit status digits" in result.stderr
    assert "Traceback" not in result.output
