"""Batches of streams, and the concurrency of functions."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from stack_under_test import RUNTIME, allow, until

if TYPE_CHECKING:
    from stack_under_test import LocalAws

COUNTING = """
import json
def handler(event, context):
    records = event["Records"]
    print(json.dumps({"batch": len(records), "bytes": len(json.dumps(event))}))
"""
STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
READ_STREAM = allow(["dynamodb:*", "logs:*"])


def consumer(aws: LocalAws, name: str, **mapping: Any) -> str:
    """Create a table and a function that reads its stream; return the table's name."""
    arn = aws.table(name, StreamSpecification=STREAM)["LatestStreamArn"]
    aws.function(name, COUNTING, role=aws.role(f"{name}-reader", "lambda", READ_STREAM))
    aws.client("lambda").create_event_source_mapping(
        FunctionName=name, EventSourceArn=arn, StartingPosition="TRIM_HORIZON", **mapping
    )
    return name


def batches(aws: LocalAws, function: str) -> list[dict[str, int]]:
    lines = aws.log(f"/aws/lambda/{function}")
    return [json.loads(line) for line in lines if line.startswith('{"batch"')]


def put(aws: LocalAws, table: str, name: str, size: int = 1) -> None:
    item = {"id": {"S": name}, "text": {"S": "x" * size}}
    aws.client("dynamodb").put_item(TableName=table, Item=item)


def test_records_of_a_stream_are_collected_for_the_batching_window(aws: LocalAws) -> None:
    table = consumer(aws, "window", BatchSize=100, MaximumBatchingWindowInSeconds=3)
    for index in range(4):
        put(aws, table, str(index))
        time.sleep(0.3)  # MiniStack reads the stream in between
    found = until(lambda: batches(aws, table))
    assert [batch["batch"] for batch in found] == [4]


def test_a_full_batch_does_not_wait_for_the_window(aws: LocalAws) -> None:
    table = consumer(aws, "full", BatchSize=2, MaximumBatchingWindowInSeconds=300)
    for index in range(5):
        put(aws, table, str(index))
    until(lambda: len(batches(aws, table)) == 2)
    assert [batch["batch"] for batch in batches(aws, table)] == [2, 2]


def test_a_batch_has_at_most_six_megabytes(aws: LocalAws) -> None:
    window = {"MaximumBatchingWindowInSeconds": 1}
    table = consumer(aws, "payload", BatchSize=1000, Enabled=False, **window)
    for index in range(20):
        put(aws, table, str(index), 390 * 1024)
    functions = aws.client("lambda")
    (mapping,) = functions.list_event_source_mappings(FunctionName="payload")["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
    until(lambda: sum(batch["batch"] for batch in batches(aws, table)) == 20)
    found = batches(aws, table)
    assert len(found) == 2
    assert all(batch["bytes"] <= 6 * 1024 * 1024 for batch in found)


FAILING_ONCE = """
import json
calls = []
def handler(event, context):
    names = [record["dynamodb"]["Keys"]["id"]["S"] for record in event["Records"]]
    calls.append(names)
    print(json.dumps({"names": names}))
    failed = event["Records"][-1]["dynamodb"]["SequenceNumber"] if len(calls) == 1 else None
    return {"batchItemFailures": [{"itemIdentifier": failed}] if failed else []}
"""


def test_a_record_that_is_reported_as_failed_is_delivered_again(aws: LocalAws) -> None:
    arn = aws.table("again", StreamSpecification=STREAM)["LatestStreamArn"]
    aws.function("again", FAILING_ONCE, role=aws.role("again-reader", "lambda", READ_STREAM))
    put(aws, "again", "a")
    put(aws, "again", "b")
    aws.client("lambda").create_event_source_mapping(
        FunctionName="again",
        EventSourceArn=arn,
        StartingPosition="TRIM_HORIZON",
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )

    def delivered() -> list[list[str]]:
        lines = aws.log("/aws/lambda/again")
        return [json.loads(line)["names"] for line in lines if line.startswith('{"names"')]

    until(lambda: len(delivered()) == 2)
    assert delivered()[0] == ["a", "b"]
    assert delivered()[1][-1] == "b"


def test_reserved_concurrency_is_refused_because_a_new_account_has_none_to_reserve(
    aws: LocalAws,
) -> None:
    aws.function("reserved", COUNTING)
    client = aws.client("lambda")
    with pytest.raises(ClientError, match=r"below its minimum value of \[10\]") as refused:
        client.put_function_concurrency(FunctionName="reserved", ReservedConcurrentExecutions=1)
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValueException"
    client.put_function_concurrency(FunctionName="reserved", ReservedConcurrentExecutions=0)


def refusal_of(aws: LocalAws, name: str, template: dict[str, Any]) -> str:
    """Create a stack; return why one of its resources could not be created."""
    formation = aws.client("cloudformation")
    formation.create_stack(StackName=name, TemplateBody=json.dumps(template))

    def failure() -> str | None:
        events = formation.describe_stack_events(StackName=name)["StackEvents"]
        reasons = [
            event.get("ResourceStatusReason", "")
            for event in events
            if event["ResourceStatus"] == "CREATE_FAILED"
        ]
        return reasons[0] if reasons else None

    return str(until(failure))


def test_a_template_with_reserved_concurrency_is_not_deployed(aws: LocalAws) -> None:
    template = {
        "Resources": {
            "Function": {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "Runtime": RUNTIME,
                    "Handler": "index.handler",
                    "Role": aws.role("templated", "lambda"),
                    "Code": {"ZipFile": "def handler(event, context): pass"},
                    "ReservedConcurrentExecutions": 5,
                },
            }
        }
    }
    assert "UnreservedConcurrentExecution below its minimum value" in refusal_of(
        aws, "reserving", template
    )


def test_a_queue_whose_messages_return_while_the_function_still_runs_is_refused(
    aws: LocalAws,
) -> None:
    aws.function("patient", COUNTING, Timeout=60)
    _, short = aws.queue("short", "events", VisibilityTimeout="59")
    with pytest.raises(ClientError) as refused:
        aws.client("lambda").create_event_source_mapping(
            FunctionName="patient", EventSourceArn=short
        )
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValueException"
    assert "59 seconds is less than Function timeout: 60 seconds" in str(refused.value)
    _, enough = aws.queue("enough", "events", VisibilityTimeout="60")
    aws.client("lambda").create_event_source_mapping(FunctionName="patient", EventSourceArn=enough)


def test_a_template_with_such_a_queue_is_not_deployed(aws: LocalAws) -> None:
    aws.function("templated-slow", COUNTING, Timeout=60)
    mapping = {"FunctionName": "templated-slow", "EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]}}
    template = {
        "Resources": {
            "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 30}},
            "Mapping": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": mapping},
        }
    }
    assert "Queue visibility timeout: 30 seconds is less" in refusal_of(aws, "hiding", template)
