"""Batches of a stream whose function fails: retried, split, discarded, and reported."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from stack_under_test import allow, until

if TYPE_CHECKING:
    from stack_under_test import LocalAws

FAILING = """
import json
def handler(event, context):
    records = event["Records"]
    names = [record["dynamodb"]["Keys"]["id"]["S"] for record in records]
    print(json.dumps({"names": names}))
    bad = [record["dynamodb"]["SequenceNumber"] for record, name in zip(records, names)
           if name.startswith("bad")]
    if bad and %r == "raises":
        raise ValueError("a bad record")
    return {"batchItemFailures": [{"itemIdentifier": number} for number in bad]}
"""
STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
READ_AND_SEND = allow(["dynamodb:*", "logs:*", "sqs:SendMessage"])


class Consumer:
    """A function that reads the stream of a table, and its failure destination."""

    def __init__(
        self,
        aws: LocalAws,
        name: str,
        behaviour: str,
        permissions: dict[str, Any] = READ_AND_SEND,
        **mapping: Any,
    ) -> None:
        self.aws, self.name, self._mapping = aws, name, mapping
        self.stream = aws.table(name, StreamSpecification=STREAM)["LatestStreamArn"]
        role = aws.role(f"{name}-reader", "lambda", permissions)
        self.function = aws.function(name, FAILING % behaviour, role=role)
        self._url, self._queue = aws.queue(f"{name}-dead", "lambda")

    def start(self) -> None:
        """Begin to read; the records that are already there are one batch."""
        self.aws.client("lambda").create_event_source_mapping(
            FunctionName=self.name,
            EventSourceArn=self.stream,
            StartingPosition="TRIM_HORIZON",
            BatchSize=100,
            DestinationConfig={"OnFailure": {"Destination": self._queue}},
            **self._mapping,
        )

    def put(self, *names: str) -> None:
        for name in names:
            item = {"id": {"S": name}}
            self.aws.client("dynamodb").put_item(TableName=self.name, Item=item)

    def batches(self) -> list[list[str]]:
        lines = self.aws.log(f"/aws/lambda/{self.name}")
        return [json.loads(line)["names"] for line in lines if line.startswith('{"names"')]

    def discarded(self) -> list[dict[str, Any]]:
        received = self.aws.client("sqs").receive_message(QueueUrl=self._url)
        return [json.loads(message["Body"]) for message in received.get("Messages", [])]

    def records(self) -> dict[str, dict[str, Any]]:
        """Return the records of the stream by the name of their item."""
        streams = self.aws.client("dynamodbstreams")
        shards = streams.describe_stream(StreamArn=self.stream)["StreamDescription"]["Shards"]
        iterator = streams.get_shard_iterator(
            StreamArn=self.stream,
            ShardId=shards[0]["ShardId"],
            ShardIteratorType="TRIM_HORIZON",
        )["ShardIterator"]
        records = streams.get_records(ShardIterator=iterator)["Records"]
        return {record["dynamodb"]["Keys"]["id"]["S"]: record["dynamodb"] for record in records}

    def metric(self, name: str) -> float:
        points = self.aws.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName=name,
            Dimensions=[{"Name": "FunctionName", "Value": self.name}],
            StartTime=time.time() - 3600,
            EndTime=time.time() + 60,
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(sum(point["Sum"] for point in points))


def test_a_failed_batch_is_split_until_the_bad_record_is_alone_and_then_discarded(
    aws: LocalAws,
) -> None:
    consumer = Consumer(
        aws, "split", "raises", BisectBatchOnFunctionError=True, MaximumRetryAttempts=2
    )
    consumer.put("a", "bad", "c", "d")
    consumer.start()
    until(lambda: len(consumer.batches()) >= 4)
    consumer.put("e")
    until(lambda: consumer.batches()[-1] == ["e"])
    assert consumer.batches() == [
        ["a", "bad", "c", "d"],
        ["a", "bad"],
        ["a"],
        ["bad"],
        ["bad"],
        ["bad"],
        ["c", "d"],
        ["e"],
    ], "splitting costs no retry, and a failed batch blocks its shard"


def test_the_failure_destination_learns_where_the_discarded_batch_is_in_the_stream(
    aws: LocalAws,
) -> None:
    consumer = Consumer(aws, "told", "raises", MaximumRetryAttempts=1)
    consumer.put("a", "bad")
    consumer.start()
    (message,) = until(consumer.discarded)
    context, batch = message["requestContext"], message["DDBStreamBatchInfo"]
    assert context.pop("requestId")
    assert context == {
        "functionArn": consumer.function,
        "condition": "RetryAttemptsExhausted",
        "approximateInvokeCount": 2,
    }
    assert message["responseContext"] == {
        "statusCode": 200,
        "executedVersion": "$LATEST",
        "functionError": "Unhandled",
    }
    records = consumer.records()
    assert batch["startSequenceNumber"] == records["a"]["SequenceNumber"]
    assert batch["endSequenceNumber"] == records["bad"]["SequenceNumber"]
    assert (batch["batchSize"], batch["streamArn"]) == (2, consumer.stream)
    assert batch.keys() - {"startSequenceNumber", "endSequenceNumber", "batchSize"} == {
        "shardId",
        "streamArn",
        "approximateArrivalOfFirstRecord",
        "approximateArrivalOfLastRecord",
    }


def test_a_batch_is_delivered_again_from_the_first_record_that_was_reported(
    aws: LocalAws,
) -> None:
    consumer = Consumer(
        aws,
        "reported",
        "reports",
        MaximumRetryAttempts=1,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    consumer.put("a", "bad", "c")
    consumer.start()
    (message,) = until(consumer.discarded)
    assert consumer.batches() == [["a", "bad", "c"], ["bad", "c"], ["bad", "c"]]
    assert message["DDBStreamBatchInfo"]["batchSize"] == 2


def test_what_is_left_of_a_reported_batch_is_split(aws: LocalAws) -> None:
    consumer = Consumer(
        aws,
        "parted",
        "reports",
        MaximumRetryAttempts=1,
        BisectBatchOnFunctionError=True,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    consumer.put("a", "bad", "c")
    consumer.start()
    until(lambda: consumer.batches()[-1:] == [["c"]])
    assert consumer.batches() == [["a", "bad", "c"], ["bad", "c"], ["bad"], ["bad"], ["c"]]
    (message,) = until(consumer.discarded)
    assert message["DDBStreamBatchInfo"]["batchSize"] == 1


def test_reports_are_ignored_unless_the_mapping_asks_for_them(aws: LocalAws) -> None:
    consumer = Consumer(aws, "unasked", "reports")
    consumer.put("a", "bad")
    consumer.start()
    until(consumer.batches)
    consumer.put("b")
    until(lambda: consumer.batches()[-1] == ["b"])
    assert consumer.batches() == [["a", "bad"], ["b"]]


def test_a_throttled_function_costs_no_retry(aws: LocalAws) -> None:
    consumer = Consumer(aws, "throttled", "raises", MaximumRetryAttempts=0)
    client = aws.client("lambda")
    client.put_function_concurrency(FunctionName="throttled", ReservedConcurrentExecutions=0)
    consumer.put("a")
    consumer.start()
    until(lambda: consumer.metric("Throttles") >= 2)
    assert consumer.batches() == []
    client.delete_function_concurrency(FunctionName="throttled")
    assert until(consumer.batches) == [["a"]]


def test_a_role_that_may_not_send_loses_the_record_of_a_discarded_batch(aws: LocalAws) -> None:
    read = allow(["dynamodb:*", "logs:*"])
    consumer = Consumer(aws, "mute", "raises", read, MaximumRetryAttempts=0)
    consumer.put("bad")
    consumer.start()
    until(lambda: consumer.metric("DestinationDeliveryFailures"))
    assert consumer.discarded() == []
