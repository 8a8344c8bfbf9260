"""What Refit's template needs of MiniStack itself: each of these was seen to hold."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from stack_under_test import Ground, until


def queue(ground: Ground, name: str, service: str = "events", **attributes: str) -> tuple[str, str]:
    """Make a queue a service may send to; return its URL and ARN."""
    sqs = ground.client("sqs")
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    arn = found["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    return url, arn


def received(ground: Ground, url: str) -> list[Any]:
    sqs = ground.client("sqs")
    found = until(lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"))
    return [json.loads(message["Body"]) for message in found]


def rule(ground: Ground, name: str, pattern: dict[str, Any], target: dict[str, Any]) -> None:
    events = ground.client("events")
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    answer = events.put_targets(Rule=name, Targets=[{"Id": "t", **target}])
    assert answer["FailedEntryCount"] == 0


def test_a_dropped_object_is_told_with_version_and_etag(ground: Ground) -> None:
    s3 = ground.client("s3")
    s3.create_bucket(Bucket="drops")
    s3.put_bucket_versioning(Bucket="drops", VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_notification_configuration(
        Bucket="drops", NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    url, arn = queue(ground, "drops")
    pattern = {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": ["drops"]}, "object": {"key": [{"wildcard": "*/raw/*"}]}},
    }
    rule(ground, "drops", pattern, {"Arn": arn})
    s3.put_object(Bucket="drops", Key="digits/model.toml", Body=b"")
    put = s3.put_object(Bucket="drops", Key="digits/raw/a.csv", Body=b"1,2")
    [event] = received(ground, url)
    told = event["detail"]["object"]
    assert told["key"] == "digits/raw/a.csv"
    assert told["version-id"] == put["VersionId"]
    assert told["etag"] == put["ETag"].strip('"')
    assert told["size"] == 3


def test_a_large_object_goes_up_in_parts_and_comes_down_in_ranges(ground: Ground) -> None:
    s3 = ground.client("s3")
    s3.create_bucket(Bucket="parts")
    s3.put_bucket_versioning(Bucket="parts", VersioningConfiguration={"Status": "Enabled"})
    begun = s3.create_multipart_upload(Bucket="parts", Key="k")["UploadId"]
    where = {"Bucket": "parts", "Key": "k", "UploadId": begun}
    sizes = (5 * 2**20, 7)
    parts = []
    for number, size in enumerate(sizes, 1):
        body = bytes([64 + number]) * size
        tag = s3.upload_part(**where, PartNumber=number, Body=body)["ETag"]
        parts.append({"PartNumber": number, "ETag": tag})
    done = s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    edge = s3.get_object(Bucket="parts", Key="k", Range=f"bytes={sizes[0] - 2}-{sizes[0] + 2}")
    assert edge["Body"].read() == b"AABBB"
    assert edge["ContentRange"] == f"bytes {sizes[0] - 2}-{sizes[0] + 2}/{sum(sizes)}"
    source = {"Bucket": "parts", "Key": "k", "VersionId": done["VersionId"]}
    s3.copy_object(Bucket="parts", Key="copy", CopySource=source)
    assert s3.head_object(Bucket="parts", Key="copy")["ContentLength"] == sum(sizes)


def test_every_record_of_a_stream_is_delivered_while_objects_are_written(ground: Ground) -> None:
    s3 = ground.client("s3")
    s3.create_bucket(Bucket="captured")
    role = ground.role(
        "deliver", "firehose", {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    )
    ground.client("firehose").create_delivery_stream(
        DeliveryStreamName="capture",
        ExtendedS3DestinationConfiguration={
            "BucketARN": "arn:aws:s3:::captured",
            "RoleARN": role,
            "Prefix": "lines/!{timestamp:yyyy}/",
            "ErrorOutputPrefix": "failed/",
        },
    )

    def write(number: int) -> None:
        ground.client("s3").put_object(Bucket="captured", Key=f"other/{number}", Body=b"x" * 9999)
        ground.client("firehose").put_record_batch(
            DeliveryStreamName="capture", Records=[{"Data": f"{number}-{part}"} for part in "ab"]
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(60)))

    def delivered() -> bool:
        return s3.list_objects_v2(Bucket="captured", Prefix="lines/")["KeyCount"] == 120

    until(delivered)


def test_an_older_version_of_an_object_can_be_read(ground: Ground) -> None:
    s3 = ground.client("s3")
    s3.create_bucket(Bucket="versions")
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket="versions", Key="k", Body=b"first")["VersionId"]
    s3.put_object(Bucket="versions", Key="k", Body=b"second")
    old = s3.get_object(Bucket="versions", Key="k", VersionId=first, Range="bytes=1-2")
    assert old["Body"].read() == b"ir"
    assert s3.get_object(Bucket="versions", Key="k")["Body"].read() == b"second"


def test_messages_that_failed_come_again_and_then_lie_in_the_dead_letter_queue(
    ground: Ground,
) -> None:
    code = """
def handler(event, context):
    return {"batchItemFailures": [
        {"itemIdentifier": r["messageId"]} for r in event["Records"] if r["body"] == '"bad"'
    ]}
"""
    allowed = {
        "Effect": "Allow",
        "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
        "Resource": "*",
    }
    role = ground.role("consumer-role", "lambda", allowed)
    ground.function("consumer", code, role=role, Timeout=1)
    dead_url, dead_arn = queue(ground, "dead")
    redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 2})
    url, arn = queue(ground, "work", RedrivePolicy=redrive, VisibilityTimeout="1", DelaySeconds="1")
    ground.client("lambda").create_event_source_mapping(
        EventSourceArn=arn,
        FunctionName="consumer",
        BatchSize=10,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    sent = time.monotonic()
    for body in ('"good"', '"bad"'):
        ground.client("sqs").send_message(QueueUrl=url, MessageBody=body)
    assert received(ground, dead_url) == ["bad"]
    assert time.monotonic() - sent > 2, "a delayed message, tried twice a second apart"
    attributes = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    left = ground.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=attributes)
    assert set(left["Attributes"].values()) == {"0"}


def test_an_event_starts_a_state_machine(ground: Ground) -> None:
    machine = ground.machine(
        "on-event", {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
    )
    start = {"Effect": "Allow", "Action": "states:StartExecution", "Resource": machine}
    role = ground.role("rule-role", "events", start)
    pattern = {"source": ["refit"], "detail": {"group": [{"prefix": "refit-"}]}}
    rule(ground, "to-machine", pattern, {"Arn": machine, "RoleArn": role})
    states = ground.client("stepfunctions")
    for group in ("other-x", "refit-x"):
        entry = {"Source": "refit", "DetailType": "T", "Detail": json.dumps({"group": group})}
        ground.client("events").put_events(Entries=[entry])
    found = until(lambda: states.list_executions(stateMachineArn=machine)["executions"])
    given = json.loads(states.describe_execution(executionArn=found[0]["executionArn"])["input"])
    assert [execution["status"] for execution in found] == ["SUCCEEDED"] or len(found) == 1
    assert given["detail"] == {"group": "refit-x"}


def test_the_end_of_an_execution_is_an_event(ground: Ground) -> None:
    machine = ground.machine(
        "ends-badly", {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "Why"}}}
    )
    url, arn = queue(ground, "endings")
    pattern = {
        "source": ["aws.states"],
        "detail": {"stateMachineArn": [machine], "status": ["FAILED", "TIMED_OUT", "ABORTED"]},
    }
    rule(ground, "endings", pattern, {"Arn": arn})
    execution = ground.start(machine)
    [event] = received(ground, url)
    assert event["detail"]["executionArn"] == execution
    assert (event["detail"]["status"], event["detail"]["error"]) == ("FAILED", "Why")


def test_an_execution_name_is_used_once(ground: Ground) -> None:
    machine = ground.machine(
        "once", {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
    )
    states = ground.client("stepfunctions")
    states.start_execution(stateMachineArn=machine, name="digits-1", input='{"a": 1}')
    with pytest.raises(ClientError) as refused:
        states.start_execution(stateMachineArn=machine, name="digits-1", input='{"a": 2}')
    assert refused.value.response["Error"]["Code"] == "ExecutionAlreadyExists"


def test_a_transaction_with_a_condition_that_does_not_hold_changes_nothing(ground: Ground) -> None:
    tables = ground.client("dynamodb")
    tables.create_table(
        TableName="models",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    tables.put_item(TableName="models", Item={"pk": {"S": "lock"}})
    put = {"TableName": "models", "Item": {"pk": {"S": "new"}}}
    guarded = {
        "TableName": "models",
        "Item": {"pk": {"S": "lock"}},
        "ConditionExpression": "attribute_not_exists(pk)",
    }
    with pytest.raises(tables.exceptions.TransactionCanceledException) as cancelled:
        tables.transact_write_items(TransactItems=[{"Put": put}, {"Put": guarded}])
    codes = [r["Code"] for r in cancelled.value.response["CancellationReasons"]]
    assert codes == ["None", "ConditionalCheckFailed"]
    assert "Item" not in tables.get_item(TableName="models", Key={"pk": {"S": "new"}})


def test_what_an_item_was_is_kept_apart_from_what_it_becomes(ground: Ground) -> None:
    tables = ground.client("dynamodb")
    made = tables.create_table(
        TableName="nested",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )["TableDescription"]
    before = {"id": {"S": "a"}, "tree": {"M": {"leaves": {"L": [{"N": "1"}, {"B": b"\x00"}]}}}}
    tables.put_item(TableName="nested", Item=before)
    change = {
        "TableName": "nested",
        "Key": {"id": {"S": "a"}},
        "UpdateExpression": "SET tree.leaves[0] = :two",
        "ExpressionAttributeValues": {":two": {"N": "2"}},
    }
    refused = {
        "TableName": "nested",
        "Key": {"id": {"S": "b"}},
        "ConditionExpression": "attribute_exists(id)",
    }
    with pytest.raises(tables.exceptions.TransactionCanceledException):
        tables.transact_write_items(TransactItems=[{"Update": change}, {"ConditionCheck": refused}])
    assert tables.get_item(TableName="nested", Key={"id": {"S": "a"}})["Item"] == before
    tables.transact_write_items(TransactItems=[{"Update": change}])
    streams = ground.client("dynamodbstreams")
    arn = made["LatestStreamArn"]
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    begin = streams.get_shard_iterator(
        StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    *_, last = streams.get_records(ShardIterator=begin)["Records"]
    assert last["dynamodb"]["OldImage"] == before
    assert last["dynamodb"]["NewImage"]["tree"]["M"]["leaves"]["L"][0] == {"N": "2"}


def test_waiting_messages_trip_an_alarm(ground: Ground) -> None:
    topic = ground.client("sns").create_topic(Name="dead-letters")["TopicArn"]
    told_url, told_arn = queue(ground, "told", "sns")
    ground.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=told_arn)
    url, _ = queue(ground, "watched")
    cloudwatch = ground.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="dead-letters",
        Namespace="AWS/SQS",
        MetricName="ApproximateNumberOfMessagesVisible",
        Dimensions=[{"Name": "QueueName", "Value": "watched"}],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[topic],
    )
    ground.client("sqs").send_message(QueueUrl=url, MessageBody="{}")
    [message] = received(ground, told_url)
    assert json.loads(message["Message"])["NewStateValue"] == "ALARM"


def test_an_event_that_may_not_be_delivered_lies_in_the_dead_letter_queue(ground: Ground) -> None:
    machine = ground.machine(
        "unreachable", {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
    )
    powerless = ground.role("powerless-role", "events")
    url, arn = queue(ground, "undelivered")
    target = {"Arn": machine, "RoleArn": powerless, "DeadLetterConfig": {"Arn": arn}}
    rule(ground, "powerless", {"source": ["powerless"]}, target)
    entry = {"Source": "powerless", "DetailType": "T", "Detail": '{"a": 1}'}
    ground.client("events").put_events(Entries=[entry])
    [event] = received(ground, url)
    assert event["detail"] == {"a": 1}
    states = ground.client("stepfunctions")
    assert states.list_executions(stateMachineArn=machine)["executions"] == []


def test_a_queue_whose_policy_is_silent_receives_no_event(ground: Ground) -> None:
    sqs = ground.client("sqs")
    closed = sqs.create_queue(QueueName="closed")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=closed, AttributeNames=["QueueArn"])
    url, arn = queue(ground, "refused")
    target = {"Arn": attributes["Attributes"]["QueueArn"], "DeadLetterConfig": {"Arn": arn}}
    rule(ground, "to-closed", {"source": ["closed"]}, target)
    ground.client("events").put_events(
        Entries=[{"Source": "closed", "DetailType": "T", "Detail": "{}"}]
    )
    [event] = received(ground, url)
    assert event["source"] == "closed"
    assert "Messages" not in sqs.receive_message(QueueUrl=closed)


def test_a_function_that_fails_on_an_event_is_called_again_and_then_given_up(
    ground: Ground,
) -> None:
    url, arn = queue(ground, "given-up", "lambda")
    send = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn}
    role = ground.role("fails-on-event-role", "lambda", send)
    code = "def handler(event, context):\n    print('called')\n    raise KeyError('a')"
    function = ground.function("fails-on-event", code, role=role)
    ground.client("lambda").put_function_event_invoke_config(
        FunctionName="fails-on-event",
        MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": arn}},
    )
    rule(ground, "to-failing", {"source": ["failing"]}, {"Arn": function})
    entry = {"Source": "failing", "DetailType": "T", "Detail": '{"a": 1}'}
    ground.client("events").put_events(Entries=[entry])
    [message] = received(ground, url)
    assert message["requestPayload"]["detail"] == {"a": 1}
    assert ground.log("/aws/lambda/fails-on-event").count("called") == 2


def test_a_queues_alarm_sees_its_own_queue_only_and_clears_by_itself(ground: Ground) -> None:
    cloudwatch, sqs = ground.client("cloudwatch"), ground.client("sqs")
    for name in ("empty", "full"):
        sqs.create_queue(QueueName=name)
        cloudwatch.put_metric_alarm(
            AlarmName=f"{name}-queue",
            Namespace="AWS/SQS",
            MetricName="ApproximateNumberOfMessagesVisible",
            Dimensions=[{"Name": "QueueName", "Value": name}],
            Statistic="Maximum",
            Period=10,
            EvaluationPeriods=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="notBreaching",
        )

    def states() -> dict[str, str]:
        names = ["empty-queue", "full-queue"]
        found = cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
        return {alarm["AlarmName"]: alarm["StateValue"] for alarm in found}

    url = sqs.get_queue_url(QueueName="full")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    until(lambda: states() == {"empty-queue": "OK", "full-queue": "ALARM"})
    sqs.purge_queue(QueueUrl=url)
    until(lambda: states() == {"empty-queue": "OK", "full-queue": "OK"}, 30)


def test_failed_executions_are_counted_for_their_own_machine(ground: Ground) -> None:
    failing = ground.machine("counted", {"StartAt": "F", "States": {"F": {"Type": "Fail"}}})
    ground.run(failing)
    metrics = ground.client("cloudwatch").list_metrics(
        Namespace="AWS/States",
        MetricName="ExecutionsFailed",
        Dimensions=[{"Name": "StateMachineArn", "Value": failing}],
    )
    assert len(metrics["Metrics"]) == 1
