"""Messages stay hidden while their batch is handled, and no longer than a minute after it."""

from __future__ import annotations

import json
from threading import Event
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.core.utils import unix_time_millis
from refit.domain.errors import ServiceThrottled
from refit.domain.redelivery import LEASE_S, RENEWAL_S
from refit.handlers import message_lease
from refit.handlers.queues import per_message, per_model

from tests.support.aws_stack import CONTEXT, REGION, Stack

if TYPE_CHECKING:
    from collections.abc import Callable

QUEUE_ARN = f"arn:aws:sqs:{REGION}:123456789012:work"


class RecordedSqs:
    """Records by how many seconds which messages are hidden."""

    def __init__(self) -> None:
        self.hidden: list[tuple[str, int]] = []
        self.has_renewed = Event()

    def get_queue_url(self, **request: Any) -> dict[str, str]:
        return {"QueueUrl": f"url of {request['QueueName']}"}

    def change_message_visibility(self, **request: Any) -> None:
        assert request["QueueUrl"] == "url of work"
        self.hidden.append((request["ReceiptHandle"], request["VisibilityTimeout"]))
        if len(self.hidden) >= 8:
            self.has_renewed.set()


@pytest.fixture
def sqs(stack: Stack) -> RecordedSqs:
    recorded = RecordedSqs()
    stack.replace_clients(sqs=recorded)
    return recorded


def event_of(*handles: str) -> dict[str, Any]:
    records = [
        {
            "messageId": handle,
            "receiptHandle": handle,
            "body": json.dumps({"model": handle}),
            "attributes": {"ApproximateReceiveCount": "1"},
            "eventSource": "aws:sqs",
            "eventSourceARN": QUEUE_ARN,
        }
        for handle in handles
    ]
    return {"Records": records}


def by_message(handle: Callable[[], None]) -> Callable[[dict[str, Any], Any], Any]:
    return per_message(lambda _message: handle())


def by_model(handle: Callable[[], None]) -> Callable[[dict[str, Any], Any], Any]:
    return per_model(lambda message: (message["model"], message), lambda _model, _all: handle())


BOTH = pytest.mark.parametrize("handler_of", [by_message, by_model])


@BOTH
def test_a_message_is_hidden_for_a_minute_before_its_handling_begins(
    sqs: RecordedSqs, handler_of: Any
) -> None:
    before: list[tuple[str, int]] = []
    handler_of(lambda: before.extend(sqs.hidden))(event_of("a", "b"), CONTEXT)
    assert before[:2] == [("a", LEASE_S), ("b", LEASE_S)]
    assert LEASE_S <= 60


@BOTH
def test_messages_are_hidden_again_as_long_as_they_are_handled(
    sqs: RecordedSqs, handler_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_lease, "RENEWAL_S", 0.001)
    handler_of(lambda: sqs.has_renewed.wait(30) and None)(event_of("a", "b"), CONTEXT)
    ended_with = list(sqs.hidden)
    assert ended_with.count(("a", LEASE_S)) >= 3
    sqs.has_renewed.clear()
    assert not sqs.has_renewed.wait(0.05), "no thread survives the answer of the function"
    assert sqs.hidden == ended_with


def test_two_renewals_may_fail_before_another_process_gets_the_message() -> None:
    assert LEASE_S >= 3 * RENEWAL_S


def test_a_message_that_failed_is_not_hidden_again_while_the_others_are_handled(
    sqs: RecordedSqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_lease, "RENEWAL_S", 0.001)

    def handle(message: dict[str, Any]) -> None:
        if message["model"] == "busy":
            raise ServiceThrottled("slow down")
        sqs.has_renewed.wait(30)

    per_message(handle)(event_of("busy", "good"), CONTEXT)
    returned = sqs.hidden.index(("busy", 30))
    assert {handle for handle, _ in sqs.hidden[returned + 1 :]} == {"good"}


def test_a_failed_renewal_ends_no_batch(stack: Stack, caplog: pytest.LogCaptureFixture) -> None:
    handled: list[str] = []
    answer = by_message(lambda: handled.append("done"))(event_of("a"), CONTEXT)
    assert answer == {"batchItemFailures": []}, "the queue does not exist"
    assert handled == ["done"]
    assert "a message was not hidden longer" in caplog.text


def test_the_messages_of_a_function_that_died_are_delivered_again_after_a_minute(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqs = boto3.client("sqs", region_name=REGION)
    url = sqs.create_queue(QueueName="work", Attributes={"VisibilityTimeout": "960"})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"model": "m"}))
    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    event = event_of("m")
    event["Records"][0]["receiptHandle"] = message["ReceiptHandle"]

    class Killed(BaseException):
        pass

    def die() -> None:
        raise Killed

    with pytest.raises(Killed):
        by_message(die)(event, CONTEXT)
    now = unix_time_millis()
    for later_s, is_back in ((LEASE_S - 5, False), (LEASE_S + 5, True)):
        monkeypatch.setattr("moto.sqs.models.unix_time_millis", lambda s=later_s: now + s * 1000)
        assert ("Messages" in sqs.receive_message(QueueUrl=url)) is is_back
