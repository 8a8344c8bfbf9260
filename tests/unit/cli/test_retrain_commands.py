"""`refit retrain` and `refit unblock`: a person's word on the bus, and what follows is told."""

from __future__ import annotations

import getpass
import json
from datetime import UTC, datetime

import boto3
import pytest
from refit.domain.retraining.state import Command, Owed, Result, Retraining, State
from refit_cli import retrain as command


@pytest.fixture
def bus(stack, monkeypatch):
    """Collect what is put on the bus in a queue."""
    monkeypatch.setattr(getpass, "getuser", lambda: "ada")
    queue = boto3.client("sqs").create_queue(QueueName="bus")["QueueUrl"]
    events = boto3.client("events")
    events.put_rule(Name="all", EventPattern='{"source": ["refit"]}')
    arn = "arn:aws:sqs:us-east-1:123456789012:bus"
    events.put_targets(Rule="all", Targets=[{"Id": "bus", "Arn": arn}])

    def told():
        answer = boto3.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in answer.get("Messages", [])]

    return told


@pytest.fixture
def digits(stack, bus):
    """A model whose version 3 is live."""
    stack.add_run("digits", "r3", "DEPLOYED", version=3)
    stack.set_state(
        "digits", champion={"version": 3, "run": "r3", "endpoint": "e", "promoted_at": "2026"}
    )
    return stack


def test_a_retraining_is_asked_for_in_the_name_of_who_asks(refit, digits, bus):
    result = refit("retrain", "digits")
    assert result.exit_code == 0
    (event,) = bus()
    assert (event["source"], event["detail-type"]) == ("refit", "Retraining Requested")
    assert event["detail"] == {"model": "digits", "by": "ada"}
    assert "for a retraining of digits, by ada" in result.stdout
    assert "version 3 was trained on" in result.stderr
    assert "refit watch digits" in result.stderr


def test_json_names_the_event(refit, digits, bus):
    told = json.loads(refit("retrain", "digits", "--json").stdout)
    assert told == {"model": "digits", "event": bus()[0]["id"], "by": "ada", "version": 3}


def test_unblock_tells_the_bus_and_what_comes_next(refit, digits, bus):
    digits.put_item("digits", "RETRAINING", Retraining(state=State.BLOCKED))
    result = refit("unblock", "digits")
    assert result.exit_code == 0
    (event,) = bus()
    assert (event["detail-type"], event["detail"]["by"]) == ("Retraining Unblocked", "ada")
    assert "unblocked  digits, by ada" in result.stdout
    assert "refit status digits" in result.stderr


def test_to_unblock_what_is_not_blocked_is_no_error_and_is_said(refit, digits):
    result = refit("unblock", "digits")
    assert result.exit_code == 0
    assert "digits was not blocked: it is healthy" in result.stdout


@pytest.mark.parametrize("word", ["retrain", "unblock"])
def test_a_model_that_is_not_there_is_refused(refit, digits, bus, word):
    result = refit(word, "letters")
    assert result.exit_code == 2
    assert "known: digits" in result.stderr
    assert bus() == []


@pytest.mark.parametrize("word", ["retrain", "unblock"])
def test_a_model_that_never_went_live_is_refused(refit, stack, bus, word):
    stack.add_run("letters", "r1", "FAILED")
    result = refit(word, "letters")
    assert result.exit_code == 2
    assert "no version of 'letters' is live" in result.stderr
    assert bus() == []


def test_a_user_whom_the_machine_does_not_know_is_somebody(refit, digits, bus, monkeypatch):
    def nobody():
        raise KeyError("uid")

    monkeypatch.setattr(getpass, "getuser", nobody)
    refit("retrain", "digits")
    assert bus()[0]["detail"]["by"] == "somebody"


def taken_in(**values):
    asked = Command(id="e1", kind="retrain", by="ada", at=datetime(2026, 11, 20, tzinfo=UTC))
    return Retraining(commands=("e1",), **({"request": asked} | values))


@pytest.fixture
def as_event_e1(monkeypatch):
    """Put nothing on a bus; the event is e1."""
    monkeypatch.setattr(command, "_tell", lambda *_: "e1")


def test_followed_it_shows_the_run_that_was_begun_for_it(refit, digits, as_event_e1):
    last = Result(
        run="r4", cause="request", status="REFUSED", at=datetime.now(UTC), message="no better"
    )
    digits.put_item(
        "digits", "RETRAINING", taken_in(request=None, run="r4", state=State.COOLING, last=last)
    )
    digits.add_run("digits", "r4", "REFUSED", message="no better")
    result = refit("retrain", "digits", "--follow", "--timeout", "20")
    assert result.exit_code == 1
    assert "run r4 was refused by the gate: no better" in result.stderr


def test_followed_it_says_why_it_is_owed_and_gives_up_in_time(refit, digits, as_event_e1):
    owed = Owed(why="run r3 is under way", since=datetime.now(UTC))
    digits.put_item("digits", "RETRAINING", taken_in(owed=owed))
    result = refit("retrain", "digits", "--follow", "--timeout", "0")
    assert result.exit_code == 4
    assert "owed: run r3 is under way" in result.stderr
    assert "it stays owed" in result.stderr
