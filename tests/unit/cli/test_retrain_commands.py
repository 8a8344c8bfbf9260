"""`refit retrain` and `refit unblock`: the published command, and what is printed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import boto3
import pytest
import responses
from refit.domain.answers.actions import ActionAnswer
from refit.domain.retraining.state import (
    PendingRetraining,
    RetrainingResult,
    RetrainingState,
    RetrainingStatus,
    UserCommand,
    run_of_episode,
)
from refit.stores.endpoints import EndpointState

from tests.support.cli import API_KEYS, API_URL, CHAMPION
from tests.support.fake_sagemaker import FakeSageMaker


@pytest.fixture
def bus(stack):
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


@pytest.fixture
def sagemaker(clients):
    """An endpoint that serves the live version."""
    clients["sagemaker"] = FakeSageMaker()
    clients["sagemaker"].endpoint = EndpointState("InService", CHAMPION.endpoint_config, None)
    return clients["sagemaker"]


@pytest.fixture
def digits(stack, bus, sagemaker):
    """A model whose version 3 is live."""
    stack.add_run("digits", "r3", "DEPLOYED", version=3)
    stack.set_state("digits", CHAMPION.model_copy(update={"version": 3, "run": "r3"}))
    return stack


def test_a_retraining_is_requested_in_the_name_of_the_user(refit, digits, bus):
    result = refit("retrain", "digits")
    assert result.exit_code == 0
    (event,) = bus()
    assert (event["source"], event["detail-type"]) == ("refit", "Retraining Requested")
    told = {"expected_run": run_of_episode("digits", "r3", 3, 1)}
    assert event["detail"] == {"prefix": "refit", "model": "digits", "by": "ada"} | told
    assert "retraining of digits, by ada" in result.stdout
    assert "on the data of version 3" in result.stderr
    assert "refit watch digits" in result.stderr


def test_again_is_a_part_of_the_request(refit, digits, bus):
    assert refit("retrain", "digits", "--again").exit_code == 0
    assert bus()[0]["detail"]["again"] is True


def test_who_asks_while_a_requested_run_is_active_is_told_that_run(refit, digits, bus):
    run = run_of_episode("digits", "r3", 3, 1)
    state = {"version": 3, "episodes": 1, "run": run, "cause": "request"}
    retraining = RetrainingState(state=RetrainingStatus.RETRAINING, **state)
    digits.put_item("digits", "RETRAINING", retraining)
    digits.add_run("digits", run, "TRAINING", cause="request")
    answer = json.loads(refit("retrain", "digits", "--json").stdout)
    assert answer["run"] == run
    assert f"Run {run}, which was requested before and is active, answers" in answer["text"]


def test_json_names_the_event(refit, digits, bus):
    result = json.loads(refit("retrain", "digits", "--json").stdout)
    assert result["event"] == bus()[0]["id"]


@pytest.mark.parametrize(
    ("command", "follows"),
    [("retrain", "it exists, and `status` is final"), ("unblock", "`stage` is not `blocked`")],
)
def test_json_has_the_fields_of_the_api_and_says_how_to_follow(
    refit, digits, bus, command, follows
):
    digits.put_item("digits", "RETRAINING", RetrainingState(state=RetrainingStatus.BLOCKED))
    answer = json.loads(refit(command, "digits", "--json").stdout)
    assert set(answer) == set(ActionAnswer.model_json_schema(by_alias=True)["properties"])
    assert (answer["model"], answer["action"], answer["by"]) == ("digits", command, "ada")
    run = run_of_episode("digits", "r3", 3, 1) if command == "retrain" else None
    assert (answer["version"], answer["run"]) == (3, run)
    assert answer["text"].endswith(".")
    assert answer["follow"]["path"] == "/models/digits" + (f"/runs/{run}" if run else "")
    assert answer["follow"]["until"].startswith(follows)
    assert answer["follow"]["command"] == "refit status digits"


def test_unblock_publishes_the_command_and_says_what_happens_next(refit, digits, bus):
    digits.put_item("digits", "RETRAINING", RetrainingState(state=RetrainingStatus.BLOCKED))
    result = refit("unblock", "digits")
    assert result.exit_code == 0
    (event,) = bus()
    assert (event["detail-type"], event["detail"]["by"]) == ("Retraining Unblocked", "ada")
    assert "unblocked  digits, by ada" in result.stdout
    assert "refit status digits" in result.stderr


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_model_that_is_not_blocked_is_not_unblocked_as_over_the_api(refit, digits, bus, options):
    result = refit("unblock", "digits", *options)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "the retraining of digits is not blocked: its state is healthy" in result.stderr
    assert bus() == []


def test_the_wait_for_an_approval_is_ended_by_unblock(refit, digits, bus):
    waits = RetrainingState(state=RetrainingStatus.RETRAINING, run="r4")
    digits.put_item("digits", "RETRAINING", waits)
    digits.add_run("digits", "r4", "TRAINING", cause="drift")
    assert refit("unblock", "digits").exit_code == 1
    digits.add_run("digits", "r4", "AWAITING_APPROVAL", cause="drift")
    assert refit("unblock", "digits").exit_code == 0
    assert bus()[0]["detail-type"] == "Retraining Unblocked"


@pytest.fixture
def api():
    with responses.RequestsMock() as mock:
        yield mock


URL = f"{API_URL}/models/digits/unblock"


@pytest.mark.parametrize(
    "state", [{"active_run": "r4"}, {"deployment": "d"}, {"pending": True}], ids=str
)
def test_what_holds_a_model_is_freed_over_the_api(refit, digits, bus, api, state):
    digits.set_state("digits", CHAMPION.model_copy(update={"version": 3, "run": "r3"}), **state)
    done = {"text": "Run r4 ended FAILED: it was stopped. Run r4 does not hold the model any more."}
    api.post(URL, status=202, json=done)
    result = refit("unblock", "digits")
    assert result.exit_code == 0
    assert "unblocked  digits, by ada" in result.stdout
    assert "it was stopped" in " ".join(result.stderr.split())
    assert api.calls[0].request.headers["x-api-key"] == API_KEYS["operate"]


def test_an_endpoint_that_is_missing_is_created_again_over_the_api(
    refit, digits, bus, api, sagemaker
):
    sagemaker.endpoint = None
    api.post(URL, status=202, json={"text": "Version 3 is deployed again."})
    answer = json.loads(refit("unblock", "digits", "--json").stdout)
    assert (answer["action"], answer["text"]) == ("unblock", "Version 3 is deployed again.")


def test_what_is_worked_on_is_not_interrupted(refit, digits, bus, api):
    digits.set_state("digits", CHAMPION, active_run="r4")
    message = "the retraining of digits is not blocked; and run r4 is being worked on"
    api.post(URL, status=409, json={"error": {"code": "NotBlocked", "message": message}})
    result = refit("unblock", "digits")
    assert result.exit_code == 1
    assert message in " ".join(result.stderr.split())


@pytest.mark.parametrize("command", ["retrain", "unblock"])
def test_an_unknown_model_is_rejected(refit, digits, bus, command):
    result = refit(command, "letters")
    assert result.exit_code == 2
    assert "models: digits" in result.stderr
    assert bus() == []


@pytest.mark.parametrize("command", ["retrain", "unblock"])
def test_a_model_without_a_live_version_is_rejected(refit, stack, bus, command):
    stack.add_run("letters", "r1", "FAILED")
    result = refit(command, "letters")
    assert result.exit_code == 1
    assert "no version of 'letters' is live" in result.stderr
    assert bus() == []


def test_a_user_without_a_name_is_an_unknown_user(refit, digits, bus, runtime):
    def user_name():
        raise KeyError("uid")

    refit("retrain", "digits", runtime=replace(runtime, user_name=user_name))
    assert bus()[0]["detail"]["by"] == "unknown user"


def received(**values):
    """Return the state after event e1 was processed."""
    request = UserCommand(id="e1", kind="retrain", by="ada", at=datetime(2026, 11, 20, tzinfo=UTC))
    return RetrainingState(commands=("e1",), **({"request": request} | values))


class EventBus:
    """Accepts an event as e1."""

    def put_events(self, Entries):
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "e1"}]}


@pytest.fixture
def as_event_e1(clients):
    clients["events"] = EventBus()


def test_with_follow_it_shows_the_run_that_was_started_for_it(refit, digits, as_event_e1):
    last = RetrainingResult(
        run="r4", cause="request", status="REFUSED", at=datetime.now(UTC), message="no better"
    )
    digits.put_item(
        "digits",
        "RETRAINING",
        received(request=None, run="r4", state=RetrainingStatus.COOLING, last=last),
    )
    digits.add_run("digits", "r4", "REFUSED", message="no better")
    result = refit("retrain", "digits", "--follow", "--timeout", "20")
    assert result.exit_code == 1
    assert "the gate refused the model of run r4: no better" in result.stderr


def test_with_follow_it_reports_why_the_request_is_pending_and_stops_in_time(
    refit, digits, as_event_e1
):
    pending = PendingRetraining(why="run r3 is under way", since=datetime.now(UTC))
    digits.put_item("digits", "RETRAINING", received(pending=pending))
    result = refit("retrain", "digits", "--follow", "--timeout", "0")
    assert result.exit_code == 4
    assert "pending: run r3 is under way" in result.stderr
    assert "the request stays pending" in result.stderr


def test_ctrl_c_before_the_run_has_started_says_that_the_request_stays(
    refit, digits, as_event_e1, monkeypatch
):
    from refit_cli.commands import retrain

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(retrain.time, "sleep", interrupt)
    result = refit("retrain", "digits", "--follow")
    assert result.exit_code == 130
    assert "the request stays; see refit status digits" in result.stderr
    assert "Traceback" not in result.output
