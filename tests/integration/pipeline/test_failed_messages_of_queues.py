"""A message that fails in a batch is counted, and returns soon; the others are done."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from refit.domain.errors import ServiceThrottled
from refit.domain.redelivery import LEASE_S
from refit.handlers.queues import per_message

from tests.support.aws_stack import CONTEXT, REGION, Stack

if TYPE_CHECKING:
    from collections.abc import Callable

LONG_S = "1800"


@pytest.fixture
def queue(stack: Stack) -> str:
    sqs = boto3.client("sqs", region_name=REGION)
    created = sqs.create_queue(QueueName="work", Attributes={"VisibilityTimeout": LONG_S})
    return str(created["QueueUrl"])


def received(queue: str, *bodies: str) -> dict[str, Any]:
    """Send messages, receive them, and return them as the event of a function."""
    sqs = boto3.client("sqs", region_name=REGION)
    for body in bodies:
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(body))
    attributes = ["ApproximateReceiveCount"]
    messages = sqs.receive_message(
        QueueUrl=queue, MaxNumberOfMessages=10, MessageSystemAttributeNames=attributes
    )["Messages"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    records = [
        {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message["Attributes"],
            "eventSource": "aws:sqs",
            "eventSourceARN": arn["QueueArn"],
        }
        for message in messages
    ]
    return {"Records": records}


def failing_on(body: str, error: Exception) -> Callable[[dict[str, Any], Any], Any]:
    def handle(message: Any) -> None:
        if message == body:
            raise error

    return per_message(handle)


def counted(output: str) -> int:
    lines = [json.loads(line) for line in output.splitlines() if '"_aws"' in line]
    return sum(line["FailedMessages"][0] for line in lines if "FailedMessages" in line)


def test_one_failed_message_of_a_batch_is_counted_for_its_function(
    queue: str, capsys: pytest.CaptureFixture[str]
) -> None:
    event = received(queue, "good", "bad")
    answer = failing_on("bad", ValueError("a defect"))(event, CONTEXT)
    [bad] = [record for record in event["Records"] if record["body"] == '"bad"']
    assert answer == {"batchItemFailures": [{"itemIdentifier": bad["messageId"]}]}
    output = capsys.readouterr().out
    assert counted(output) == 1
    [line] = [json.loads(line) for line in output.splitlines() if '"FailedMessages"' in line]
    assert line["FunctionName"] == CONTEXT.function_name


def test_a_throttled_message_returns_soon_without_being_counted(
    stack: Stack, queue: str, capsys: pytest.CaptureFixture[str]
) -> None:
    changes: list[dict[str, Any]] = []

    class Sqs:
        def get_queue_url(self, **request: Any) -> dict[str, str]:
            return {"QueueUrl": f"url of {request['QueueName']}"}

        def change_message_visibility(self, **request: Any) -> None:
            changes.append(request)

    stack.replace_clients(sqs=Sqs())
    event = received(queue, "good", "busy")
    failing_on("busy", ServiceThrottled("slow down"))(event, CONTEXT)
    [busy] = [record for record in event["Records"] if record["body"] == '"busy"']
    handle = busy["receiptHandle"]
    expected = {"QueueUrl": "url of work", "ReceiptHandle": handle, "VisibilityTimeout": 30}
    assert [change for change in changes if change["VisibilityTimeout"] != LEASE_S] == [expected]
    assert counted(capsys.readouterr().out) == 0
    busy["attributes"]["ApproximateReceiveCount"] = "3"
    failing_on("busy", ServiceThrottled("slow down"))(event, CONTEXT)
    assert changes[-1] == expected | {"VisibilityTimeout": 120}
    assert counted(capsys.readouterr().out) == 1


def test_a_message_whose_return_cannot_be_changed_is_still_reported(stack: Stack) -> None:
    record = {
        "messageId": "gone",
        "receiptHandle": "unknown",
        "body": '"bad"',
        "attributes": {"ApproximateReceiveCount": "1"},
        "eventSourceARN": f"arn:aws:sqs:{REGION}:123456789012:no-such-queue",
        "eventSource": "aws:sqs",
    }
    good = {**record, "messageId": "good", "body": '"good"'}
    answer = failing_on("bad", ValueError("a defect"))({"Records": [record, good]}, CONTEXT)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "gone"}]}
