"""The local stack refuses events, payloads and states that AWS refuses for their size."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from stack_under_test import ALLOW_TASKS, allow

if TYPE_CHECKING:
    from stack_under_test import LocalAws

MEGABYTE = 1024 * 1024
REPLY = """
def handler(event, context):
    return "x" * event.get("bytes", 0)
"""


def entry(size: int) -> dict[str, str]:
    """Return an entry of PutEvents of this size."""
    rest = len("refit") + len("Sized") + len('{"text": ""}')
    return {
        "Source": "refit",
        "DetailType": "Sized",
        "Detail": json.dumps({"text": "x" * (size - rest)}),
    }


def test_the_entries_of_a_request_have_less_than_a_megabyte_together(aws: LocalAws) -> None:
    events = aws.client("events")
    half = MEGABYTE // 2
    assert events.put_events(Entries=[entry(half), entry(half - 1)])["FailedEntryCount"] == 0
    with pytest.raises(ClientError, match="Total size of the entries"):
        events.put_events(Entries=[entry(half), entry(half)])


def test_the_records_of_a_batch_for_firehose_have_at_most_four_megabytes(aws: LocalAws) -> None:
    aws.client("s3").create_bucket(Bucket="sized-records")
    firehose = aws.client("firehose")
    firehose.create_delivery_stream(
        DeliveryStreamName="sized",
        ExtendedS3DestinationConfiguration={
            "BucketARN": "arn:aws:s3:::sized-records",
            "RoleARN": aws.role("sized-records", "firehose", allow("s3:*")),
        },
    )

    def put(*sizes: int) -> int:
        records = [{"Data": b"x" * size} for size in sizes]
        answer = firehose.put_record_batch(DeliveryStreamName="sized", Records=records)
        return int(answer["FailedPutCount"])

    quarter = 1000 * 1024
    rest = 4 * MEGABYTE - 4 * quarter
    assert put(quarter, quarter, quarter, quarter, rest) == 0
    with pytest.raises(ClientError, match="Records size exceeds 4 MB limit"):
        put(quarter, quarter, quarter, quarter, rest + 1)


def test_a_message_of_a_queue_has_at_most_a_mebibyte(aws: LocalAws) -> None:
    url, _ = aws.queue("sized-messages", "events")
    sqs = aws.client("sqs")
    sqs.send_message(QueueUrl=url, MessageBody="x" * MEGABYTE)
    with pytest.raises(ClientError, match="must be shorter than 1048576 bytes"):
        sqs.send_message(QueueUrl=url, MessageBody="x" * (MEGABYTE + 1))


def test_a_notice_has_at_most_256_kibibytes(aws: LocalAws) -> None:
    sns = aws.client("sns")
    topic = sns.create_topic(Name="sized-notices")["TopicArn"]
    sns.publish(TopicArn=topic, Message="x" * (256 * 1024))
    with pytest.raises(ClientError, match="InvalidParameter"):
        sns.publish(TopicArn=topic, Message="x" * (256 * 1024 + 1))


@pytest.mark.parametrize(
    ("kind", "limit"), [("Event", MEGABYTE), ("RequestResponse", 6 * MEGABYTE)]
)
def test_a_function_takes_a_payload_up_to_the_limit_of_its_invocation(
    aws: LocalAws, kind: str, limit: int
) -> None:
    name = f"takes-{kind}"
    aws.function(name, REPLY)

    def invoke(size: int) -> Any:
        payload = json.dumps({"text": "x" * (size - len('{"text": ""}'))})
        return aws.client("lambda").invoke(FunctionName=name, InvocationType=kind, Payload=payload)

    assert "FunctionError" not in invoke(limit)
    with pytest.raises(ClientError, match="RequestEntityTooLargeException"):
        invoke(limit + 1)


def test_a_response_of_more_than_six_megabytes_fails(aws: LocalAws) -> None:
    aws.function("replies", REPLY)
    assert aws.invoke("replies", {"bytes": 6 * MEGABYTE})[1] is None
    payload, kind = aws.invoke("replies", {"bytes": 6 * MEGABYTE + 101})
    assert kind
    assert payload["errorType"] == "Function.ResponseSizeTooLarge"


def test_the_input_of_an_execution_has_at_most_256_kibibytes(aws: LocalAws) -> None:
    machine = aws.machine("sized", {"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
    rest = len('{"text": ""}')
    aws.start(machine, {"text": "x" * (256 * 1024 - rest)})
    with pytest.raises(ClientError, match="less than or equal to 262144"):
        aws.start(machine, {"text": "x" * (256 * 1024 - rest + 1)})


def test_a_task_whose_result_exceeds_256_kibibytes_fails(aws: LocalAws) -> None:
    function = aws.function("large-result", REPLY)
    call = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": function, "Payload": "{% $states.input %}"},
        "Output": "{% $length($states.result.Payload) %}",
        "End": True,
    }
    machine = aws.machine("large", {"StartAt": "Call", "States": {"Call": call}}, ALLOW_TASKS)
    assert aws.run(machine, {"bytes": 250_000}) == 250_000
    assert aws.run(machine, {"bytes": 300_000}) == "States.DataLimitExceeded"
