"""Behaviour of S3, SQS, EventBridge, DynamoDB and CloudWatch that Refit's template depends on."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from stack_under_test import LocalAws, allow, until

from tests.support.template import of_type


def rule(aws: LocalAws, name: str, pattern: dict[str, Any], target: dict[str, Any]) -> None:
    events = aws.client("events")
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    response = events.put_targets(Rule=name, Targets=[{"Id": "t", **target}])
    assert response["FailedEntryCount"] == 0


def test_the_event_of_a_created_object_has_its_version_etag_and_size(aws: LocalAws) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="drops")
    s3.put_bucket_versioning(Bucket="drops", VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_notification_configuration(
        Bucket="drops", NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    url, arn = aws.queue("drops", "events")
    pattern = {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": ["drops"]}, "object": {"key": [{"wildcard": "*/raw/*"}]}},
    }
    rule(aws, "drops", pattern, {"Arn": arn})
    s3.put_object(Bucket="drops", Key="digits/model.toml", Body=b"")
    put = s3.put_object(Bucket="drops", Key="digits/raw/a.csv", Body=b"1,2")
    [event] = aws.received(url)
    created = event["detail"]["object"]
    assert created["key"] == "digits/raw/a.csv"
    assert created["version-id"] == put["VersionId"]
    assert created["etag"] == put["ETag"].strip('"')
    assert created["size"] == 3


def test_a_multipart_upload_can_be_read_in_ranges_and_copied(aws: LocalAws) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="parts")
    s3.put_bucket_versioning(Bucket="parts", VersioningConfiguration={"Status": "Enabled"})
    upload_id = s3.create_multipart_upload(Bucket="parts", Key="k")["UploadId"]
    upload = {"Bucket": "parts", "Key": "k", "UploadId": upload_id}
    sizes = (5 * 2**20, 7)
    parts = []
    for number, size in enumerate(sizes, 1):
        body = bytes([64 + number]) * size
        tag = s3.upload_part(**upload, PartNumber=number, Body=body)["ETag"]
        parts.append({"PartNumber": number, "ETag": tag})
    completed = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    across_parts = s3.get_object(
        Bucket="parts", Key="k", Range=f"bytes={sizes[0] - 2}-{sizes[0] + 2}"
    )
    assert across_parts["Body"].read() == b"AABBB"
    assert across_parts["ContentRange"] == f"bytes {sizes[0] - 2}-{sizes[0] + 2}/{sum(sizes)}"
    source = {"Bucket": "parts", "Key": "k", "VersionId": completed["VersionId"]}
    s3.copy_object(Bucket="parts", Key="copy", CopySource=source)
    assert s3.head_object(Bucket="parts", Key="copy")["ContentLength"] == sum(sizes)


def test_an_object_uploaded_in_parts_has_the_time_at_which_its_upload_began(
    aws: LocalAws,
) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="begun")
    s3.put_bucket_versioning(Bucket="begun", VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_notification_configuration(
        Bucket="begun", NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    url, arn = aws.queue("begun", "events")
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": ["begun"]}}}
    rule(aws, "begun", pattern, {"Arn": arn})
    upload_id = s3.create_multipart_upload(Bucket="begun", Key="large")["UploadId"]
    upload = {"Bucket": "begun", "Key": "large", "UploadId": upload_id}
    tag = s3.upload_part(**upload, PartNumber=1, Body=b"1,2")["ETag"]
    began = s3.list_multipart_uploads(Bucket="begun")["Uploads"][0]["Initiated"]
    s3.put_object(Bucket="begun", Key="small", Body=b"1,2")
    until(lambda: datetime.now(UTC) - began > timedelta(seconds=2))
    parts = [{"PartNumber": 1, "ETag": tag}]
    completed = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    version = completed["VersionId"]

    key = {"Bucket": "begun", "Key": "large"}
    listed = s3.list_objects_v2(Bucket="begun", Prefix="large")["Contents"][0]
    [listed_version] = s3.list_object_versions(Bucket="begun", Prefix="large")["Versions"]
    for shown in (
        s3.head_object(**key),
        s3.get_object(**key),
        s3.get_object(**key, VersionId=version),
        listed,
        listed_version,
    ):
        assert shown["LastModified"] == began
    events: list[dict[str, Any]] = []
    until(lambda: events.extend(aws.received(url)) or len(events) == 2)
    by_key = {event["detail"]["object"]["key"]: event for event in events}
    assert by_key["large"]["detail"]["reason"] == "CompleteMultipartUpload"
    assert by_key["large"]["detail"]["object"]["etag"].endswith("-1")
    assert datetime.fromisoformat(by_key["large"]["time"]) - began >= timedelta(seconds=1)


def test_firehose_delivers_every_record_while_objects_are_written(aws: LocalAws) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="captured")
    role = aws.role("deliver", "firehose", allow("s3:*"))
    aws.client("firehose").create_delivery_stream(
        DeliveryStreamName="capture",
        ExtendedS3DestinationConfiguration={
            "BucketARN": "arn:aws:s3:::captured",
            "RoleARN": role,
            "Prefix": "lines/!{timestamp:yyyy}/",
            "ErrorOutputPrefix": "failed/",
        },
    )

    def write(number: int) -> None:
        aws.client("s3").put_object(Bucket="captured", Key=f"other/{number}", Body=b"x" * 9999)
        aws.client("firehose").put_record_batch(
            DeliveryStreamName="capture", Records=[{"Data": f"{number}-{part}"} for part in "ab"]
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(60)))

    def delivered() -> bool:
        return s3.list_objects_v2(Bucket="captured", Prefix="lines/")["KeyCount"] == 120

    until(delivered)


def test_a_range_of_an_older_version_of_an_object_can_be_read(aws: LocalAws) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="versions")
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket="versions", Key="k", Body=b"first")["VersionId"]
    s3.put_object(Bucket="versions", Key="k", Body=b"second")
    old = s3.get_object(Bucket="versions", Key="k", VersionId=first, Range="bytes=1-2")
    assert old["Body"].read() == b"ir"
    assert s3.get_object(Bucket="versions", Key="k")["Body"].read() == b"second"


def test_a_failed_sqs_message_is_retried_and_then_moved_to_the_dead_letter_queue(
    aws: LocalAws,
) -> None:
    code = """
def handler(event, context):
    return {"batchItemFailures": [
        {"itemIdentifier": r["messageId"]} for r in event["Records"] if r["body"] == '"bad"'
    ]}
"""
    consume = allow(["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"])
    role = aws.role("consumer-role", "lambda", consume)
    aws.function("consumer", code, role=role, Timeout=1)
    dead_url, dead_arn = aws.queue("dead", "events")
    redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 2})
    url, arn = aws.queue(
        "work", "events", RedrivePolicy=redrive, VisibilityTimeout="1", DelaySeconds="1"
    )
    aws.client("lambda").create_event_source_mapping(
        EventSourceArn=arn,
        FunctionName="consumer",
        BatchSize=10,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    sent = time.monotonic()
    for body in ('"good"', '"bad"'):
        aws.client("sqs").send_message(QueueUrl=url, MessageBody=body)
    assert aws.received(dead_url) == ["bad"]
    assert time.monotonic() - sent > 2, "one second of delay and one of visibility timeout"
    attributes = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    counts = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=attributes)
    assert set(counts["Attributes"].values()) == {"0"}


def test_a_rule_starts_a_state_machine_for_a_matching_event_only(aws: LocalAws) -> None:
    machine = aws.machine(
        "on-event", {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
    )
    start = allow("states:StartExecution", machine)
    role = aws.role("rule-role", "events", start)
    pattern = {"source": ["refit"], "detail": {"group": [{"prefix": "refit-"}]}}
    rule(aws, "to-machine", pattern, {"Arn": machine, "RoleArn": role})
    states = aws.client("stepfunctions")
    for group in ("other-x", "refit-x"):
        entry = {"Source": "refit", "DetailType": "T", "Detail": json.dumps({"group": group})}
        aws.client("events").put_events(Entries=[entry])
    [execution] = until(lambda: states.list_executions(stateMachineArn=machine)["executions"])
    end = aws.ended(execution["executionArn"])
    assert end["status"] == "SUCCEEDED"
    assert json.loads(end["input"])["detail"] == {"group": "refit-x"}


def test_the_end_of_an_execution_is_published_as_an_event(aws: LocalAws) -> None:
    machine = aws.machine(
        "ends-badly", {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "Why"}}}
    )
    url, arn = aws.queue("endings", "events")
    pattern = {
        "source": ["aws.states"],
        "detail": {"stateMachineArn": [machine], "status": ["FAILED", "TIMED_OUT", "ABORTED"]},
    }
    rule(aws, "endings", pattern, {"Arn": arn})
    execution = aws.start(machine)
    [event] = aws.received(url)
    assert event["detail"]["executionArn"] == execution
    assert (event["detail"]["status"], event["detail"]["error"]) == ("FAILED", "Why")


def test_an_execution_name_can_be_used_once_only(aws: LocalAws) -> None:
    machine = aws.machine("once", {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}})
    states = aws.client("stepfunctions")
    states.start_execution(stateMachineArn=machine, name="digits-1", input='{"a": 1}')
    with pytest.raises(ClientError) as refused:
        states.start_execution(stateMachineArn=machine, name="digits-1", input='{"a": 2}')
    assert refused.value.response["Error"]["Code"] == "ExecutionAlreadyExists"


def test_a_transaction_with_a_failed_condition_writes_nothing(aws: LocalAws) -> None:
    tables = aws.client("dynamodb")
    aws.table("models")
    tables.put_item(TableName="models", Item={"id": {"S": "lock"}})
    put = {"TableName": "models", "Item": {"id": {"S": "new"}}}
    guarded = {
        "TableName": "models",
        "Item": {"id": {"S": "lock"}},
        "ConditionExpression": "attribute_not_exists(id)",
    }
    with pytest.raises(tables.exceptions.TransactionCanceledException) as cancelled:
        tables.transact_write_items(TransactItems=[{"Put": put}, {"Put": guarded}])
    codes = [r["Code"] for r in cancelled.value.response["CancellationReasons"]]
    assert codes == ["None", "ConditionalCheckFailed"]
    assert "Item" not in tables.get_item(TableName="models", Key={"id": {"S": "new"}})


def test_an_update_of_a_nested_attribute_does_not_change_the_old_image(aws: LocalAws) -> None:
    tables = aws.client("dynamodb")
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    table = aws.table("nested", StreamSpecification=stream)
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
    streams = aws.client("dynamodbstreams")
    arn = table["LatestStreamArn"]
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    begin = streams.get_shard_iterator(
        StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    *_, last = streams.get_records(ShardIterator=begin)["Records"]
    assert last["dynamodb"]["OldImage"] == before
    assert last["dynamodb"]["NewImage"]["tree"]["M"]["leaves"]["L"][0] == {"N": "2"}


def test_a_visible_message_sets_off_an_alarm_on_the_queue(aws: LocalAws) -> None:
    topic = aws.client("sns").create_topic(Name="dead-letters")["TopicArn"]
    notices_url, notices_arn = aws.queue("notices", "sns")
    aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=notices_arn)
    url, _ = aws.queue("monitored", "events")
    cloudwatch = aws.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="dead-letters",
        Namespace="AWS/SQS",
        MetricName="ApproximateNumberOfMessagesVisible",
        Dimensions=[{"Name": "QueueName", "Value": "monitored"}],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[topic],
    )
    aws.client("sqs").send_message(QueueUrl=url, MessageBody="{}")
    [message] = aws.received(notices_url)
    assert json.loads(message["Message"])["NewStateValue"] == "ALARM"


def test_an_event_that_the_rules_role_may_not_deliver_goes_to_the_targets_dead_letter_queue(
    aws: LocalAws,
) -> None:
    machine = aws.machine(
        "unreachable", {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
    )
    powerless = aws.role("powerless-role", "events")
    url, arn = aws.queue("undelivered", "events")
    target = {"Arn": machine, "RoleArn": powerless, "DeadLetterConfig": {"Arn": arn}}
    rule(aws, "powerless", {"source": ["powerless"]}, target)
    entry = {"Source": "powerless", "DetailType": "T", "Detail": '{"a": 1}'}
    aws.client("events").put_events(Entries=[entry])
    [event] = aws.received(url)
    assert event["detail"] == {"a": 1}
    states = aws.client("stepfunctions")
    assert states.list_executions(stateMachineArn=machine)["executions"] == []


def test_a_queue_without_a_policy_for_eventbridge_receives_no_event(aws: LocalAws) -> None:
    sqs = aws.client("sqs")
    closed_url, closed_arn = aws.queue("closed", "sns")
    url, arn = aws.queue("refused", "events")
    target = {"Arn": closed_arn, "DeadLetterConfig": {"Arn": arn}}
    rule(aws, "to-closed", {"source": ["closed"]}, target)
    aws.client("events").put_events(
        Entries=[{"Source": "closed", "DetailType": "T", "Detail": "{}"}]
    )
    [event] = aws.received(url)
    assert event["source"] == "closed"
    assert "Messages" not in sqs.receive_message(QueueUrl=closed_url)


def test_a_function_that_fails_on_an_event_is_retried_and_then_its_failure_destination_is_used(
    aws: LocalAws,
) -> None:
    url, arn = aws.queue("failed-events", "lambda")
    send = allow("sqs:SendMessage", arn)
    role = aws.role("fails-on-event-role", "lambda", send)
    code = "def handler(event, context):\n    print('called')\n    raise KeyError('a')"
    function = aws.function("fails-on-event", code, role=role)
    aws.client("lambda").put_function_event_invoke_config(
        FunctionName="fails-on-event",
        MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": arn}},
    )
    rule(aws, "to-failing", {"source": ["failing"]}, {"Arn": function})
    entry = {"Source": "failing", "DetailType": "T", "Detail": '{"a": 1}'}
    aws.client("events").put_events(Entries=[entry])
    [message] = aws.received(url)
    assert message["requestPayload"]["detail"] == {"a": 1}
    assert aws.log("/aws/lambda/fails-on-event").count("called") == 2


def test_an_alarm_on_a_queue_ignores_other_queues_and_clears_without_new_messages(
    aws: LocalAws,
) -> None:
    cloudwatch, sqs = aws.client("cloudwatch"), aws.client("sqs")
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
        alarms = cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
        return {alarm["AlarmName"]: alarm["StateValue"] for alarm in alarms}

    url = sqs.get_queue_url(QueueName="full")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    until(lambda: states() == {"empty-queue": "OK", "full-queue": "ALARM"})
    sqs.purge_queue(QueueUrl=url)
    until(lambda: states() == {"empty-queue": "OK", "full-queue": "OK"}, 30)


def test_a_failed_execution_is_published_as_a_metric_of_its_state_machine(aws: LocalAws) -> None:
    failing = aws.machine("counted", {"StartAt": "F", "States": {"F": {"Type": "Fail"}}})
    aws.run(failing)
    metrics = aws.client("cloudwatch").list_metrics(
        Namespace="AWS/States",
        MetricName="ExecutionsFailed",
        Dimensions=[{"Name": "StateMachineArn", "Value": failing}],
    )
    assert len(metrics["Metrics"]) == 1


def test_the_time_of_an_object_is_in_whole_seconds(aws: LocalAws) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="seconds")
    s3.put_bucket_versioning(Bucket="seconds", VersioningConfiguration={"Status": "Enabled"})
    for number in range(5):
        s3.put_object(Bucket="seconds", Key=str(number), Body=b"")
    versions = s3.list_object_versions(Bucket="seconds")["Versions"]
    objects = s3.list_objects_v2(Bucket="seconds")["Contents"]
    head = s3.head_object(Bucket="seconds", Key="0")
    assert len(versions) == len(objects) == 5
    assert {shown["LastModified"].microsecond for shown in [*versions, *objects, head]} == {0}


def test_an_object_is_listed_and_read_at_once_after_it_was_written(aws: LocalAws) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="listed")
    s3.put_bucket_versioning(Bucket="listed", VersioningConfiguration={"Status": "Enabled"})

    def written(number: int) -> bool:
        key, body = f"folder/{number:02}", str(number).encode()
        version = s3.put_object(Bucket="listed", Key=key, Body=body)["VersionId"]
        shown = s3.list_object_versions(Bucket="listed", Prefix="folder/")["Versions"]
        read = s3.get_object(Bucket="listed", Key=key)["Body"].read()
        return (key, version) in {(v["Key"], v["VersionId"]) for v in shown} and read == body

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(written, range(40)))


def test_a_deleted_object_is_an_event_that_the_rules_of_the_template_do_not_match(
    aws: LocalAws,
) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="deleted")
    s3.put_bucket_notification_configuration(
        Bucket="deleted", NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    created, deleted = aws.queue("was-created", "events"), aws.queue("was-deleted", "events")
    detail = {"bucket": {"name": ["deleted"]}}
    for name, kind, (_, arn) in (
        ("was-created", "Object Created", created),
        ("was-deleted", "Object Deleted", deleted),
    ):
        pattern = {"source": ["aws.s3"], "detail-type": [kind], "detail": detail}
        rule(aws, name, pattern, {"Arn": arn})
    s3.put_object(Bucket="deleted", Key="digits/raw/a.csv", Body=b"1,2")
    s3.delete_object(Bucket="deleted", Key="digits/raw/a.csv")
    [event] = aws.received(deleted[0])
    assert event["detail"]["object"]["key"] == "digits/raw/a.csv"
    [event] = aws.received(created[0])
    assert event["detail-type"] == "Object Created"
    rules = of_type("AWS::Events::Rule").values()
    patterns = [properties["EventPattern"] for properties in rules if "EventPattern" in properties]
    of_s3 = [pattern for pattern in patterns if pattern["source"] == ["aws.s3"]]
    assert {tuple(pattern["detail-type"]) for pattern in of_s3} == {("Object Created",)}


def test_a_notice_of_more_than_256_kibibytes_is_refused(aws: LocalAws) -> None:
    sns = aws.client("sns")
    topic = sns.create_topic(Name="notices")["TopicArn"]
    sns.publish(TopicArn=topic, Message="x" * 2**18)
    with pytest.raises(ClientError, match="InvalidParameter"):
        sns.publish(TopicArn=topic, Message="é" * 2**17 + "x")


def test_the_description_of_a_stack_that_does_not_exist_is_a_validation_error(
    aws: LocalAws,
) -> None:
    with pytest.raises(ClientError, match="does not exist") as caught:
        aws.client("cloudformation").describe_stacks(StackName="nothing")
    assert caught.value.response["Error"]["Code"] == "ValidationError"
