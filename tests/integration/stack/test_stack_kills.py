"""Kill the server without warning: what it had answered is there after the next start."""

from __future__ import annotations

import json
import resource
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from stack_under_test import LocalAws, allow, started_emulator, trust_policy, until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

SLOW = {
    "StartAt": "Slow",
    "States": {"Slow": {"Type": "Wait", "Seconds": 600, "End": True}},
}
QUICK = {"StartAt": "End", "States": {"End": {"Type": "Succeed", "Output": {"is": "kept"}}}}
TEMPLATE = {
    "Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "of-stack"}}},
    "Outputs": {"Queue": {"Value": {"Ref": "Queue"}}},
}
SEND_EVENT = """
import json, os, time, boto3
def handler(event, context):
    while os.path.exists(os.environ["BARRIER"]):
        time.sleep(0.1)
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName="invoked")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps(event))
"""


@dataclass
class Server:
    """A server that is killed and started again on the same state."""

    state: Path
    aws: LocalAws = field(init=False)
    _process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        self.aws, self._process = started_emulator(self.state)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()

    def fill_disk(self) -> None:
        """Let every write to a file fail."""
        _, most = resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (1, most))

    def free_disk(self) -> None:
        _, most = resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (most, most))

    def end(self) -> None:
        self._process.terminate()
        assert self._process.wait(20) == 0
        if self._process.stdin:
            self._process.stdin.close()

    def kill_and_start(self) -> None:
        self.kill()
        self.start()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    server.start()
    yield server
    server.kill()


def test_what_was_answered_is_there_after_a_kill(server: Server) -> None:
    aws = server.aws
    role = aws.role("kept", "lambda", allow("s3:*"))
    aws.function("kept", "def handler(event, context): return event", role=role)
    _, queue_arn = aws.queue("kept", "events")
    machine = aws.machine("kept", QUICK)
    execution = aws.ended(aws.start(machine))
    history = aws.client("stepfunctions").get_execution_history(
        executionArn=execution["executionArn"]
    )
    events = aws.client("events")
    rule = events.put_rule(Name="kept", EventPattern=json.dumps({"source": ["test"]}))
    events.put_targets(Rule="kept", Targets=[{"Id": "queue", "Arn": queue_arn}])
    aws.client("cloudwatch").put_metric_alarm(
        AlarmName="kept",
        Namespace="Test",
        MetricName="M",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        Statistic="Sum",
        ComparisonOperator="GreaterThanThreshold",
    )
    key = aws.client("apigateway").create_api_key(name="kept", enabled=True)
    topic = aws.client("sns").create_topic(Name="kept")["TopicArn"]
    aws.client("logs").create_log_group(logGroupName="/kept")
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="kept")
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    versions = [s3.put_object(Bucket="kept", Key="k", Body=b)["VersionId"] for b in (b"1", b"2")]
    cloudformation = aws.client("cloudformation")
    cloudformation.create_stack(StackName="kept", TemplateBody=json.dumps(TEMPLATE))
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName="kept", WaiterConfig={"Delay": 1}
    )
    stack = cloudformation.describe_stacks(StackName="kept")["Stacks"][0]

    server.kill_and_start()

    aws = server.aws
    assert aws.client("iam").get_role(RoleName="kept")["Role"]["Arn"] == role
    assert aws.invoke("kept", {"is": "kept"}) == ({"is": "kept"}, None)
    assert aws.client("sqs").get_queue_url(QueueName="kept")["QueueUrl"].endswith("/kept")
    states = aws.client("stepfunctions")
    described = states.describe_execution(executionArn=execution["executionArn"])
    assert (described["status"], described["output"]) == ("SUCCEEDED", '{"is": "kept"}')
    again = states.get_execution_history(executionArn=execution["executionArn"])
    assert [e["type"] for e in again["events"]] == [e["type"] for e in history["events"]]
    assert aws.run(machine) == {"is": "kept"}
    assert aws.client("events").describe_rule(Name="kept")["Arn"] == rule["RuleArn"]
    alarms = aws.client("cloudwatch").describe_alarms(AlarmNames=["kept"])["MetricAlarms"]
    assert [alarm["Threshold"] for alarm in alarms] == [1.0]
    kept_key = aws.client("apigateway").get_api_key(apiKey=key["id"], includeValue=True)
    assert kept_key["value"] == key["value"]
    assert aws.client("sns").get_topic_attributes(TopicArn=topic)
    groups = aws.client("logs").describe_log_groups(logGroupNamePrefix="/kept")["logGroups"]
    assert [group["logGroupName"] for group in groups] == ["/kept"]
    s3 = aws.client("s3")
    bodies = [s3.get_object(Bucket="kept", Key="k", VersionId=v)["Body"].read() for v in versions]
    assert bodies == [b"1", b"2"]
    again = aws.client("cloudformation").describe_stacks(StackName="kept")["Stacks"][0]
    assert (again["StackStatus"], again["Outputs"]) == ("CREATE_COMPLETE", stack["Outputs"])
    assert aws.client("sqs").get_queue_url(QueueName="of-stack")
    aws.client("events").put_events(Entries=[{"Source": "test", "DetailType": "t", "Detail": "{}"}])
    assert aws.received(queue_url_of(aws, "kept"))[0]["source"] == "test"


def queue_url_of(aws: LocalAws, name: str) -> str:
    return str(aws.client("sqs").get_queue_url(QueueName=name)["QueueUrl"])


def test_a_message_is_received_after_a_kill_unless_it_was_deleted(server: Server) -> None:
    url, _ = server.aws.queue("messages", "events")
    sqs = server.aws.client("sqs")
    for text in ("deleted", "received", "sent"):
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(text))
    batch = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=2)["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=batch[0]["ReceiptHandle"])
    server.kill_and_start()
    sqs = server.aws.client("sqs")
    received: list[Any] = []

    def all_received() -> bool:
        answer = sqs.receive_message(
            QueueUrl=queue_url_of(server.aws, "messages"), MaxNumberOfMessages=10
        )
        received.extend(json.loads(m["Body"]) for m in answer.get("Messages", []))
        return len(received) >= 2

    until(all_received)
    assert sorted(received) == ["received", "sent"]


def test_an_execution_that_a_kill_cuts_off_fails_with_its_event(server: Server) -> None:
    aws = server.aws
    _, arn = aws.queue("ends", "events")
    events = aws.client("events")
    pattern = {"source": ["aws.states"], "detail": {"status": ["FAILED"]}}
    events.put_rule(Name="ends", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="ends", Targets=[{"Id": "queue", "Arn": arn}])
    execution = aws.start(aws.machine("slow", SLOW), {"run": "r1"})
    server.kill_and_start()
    ended = server.aws.ended(execution)
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")
    assert ended["cause"] == "The local stack ended while this execution was running."
    [event] = server.aws.received(queue_url_of(server.aws, "ends"))
    assert event["detail"]["executionArn"] == execution
    assert json.loads(event["detail"]["input"]) == {"run": "r1"}
    history = server.aws.client("stepfunctions").get_execution_history(executionArn=execution)
    assert history["events"][-1]["type"] == "ExecutionFailed"


def test_an_execution_whose_function_ends_with_the_stack_is_cut_off_as_well(
    server: Server,
) -> None:
    aws = server.aws
    function = aws.function("sleeps", "import time\ndef handler(event, context): time.sleep(20)")
    state = {"Type": "Task", "Resource": function, "Arguments": {}, "End": True}
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    definition = {
        "StartAt": "Sleep",
        "States": {"Sleep": {**state, "Catch": catch}, "Caught": {"Type": "Succeed"}},
    }
    machine = aws.machine("sleeping", definition, allow("lambda:InvokeFunction"))
    execution = aws.start(machine)
    states = aws.client("stepfunctions")

    def entered() -> bool:
        history = states.get_execution_history(executionArn=execution)["events"]
        return any(event["type"] == "TaskStateEntered" for event in history)

    until(entered)
    server.end()
    server.start()
    ended = server.aws.ended(execution)
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")


def test_an_accepted_invocation_is_carried_out_after_a_kill(server: Server) -> None:
    aws = server.aws
    _, arn = aws.queue("invoked", "events")
    role = aws.role("invoked", "lambda", allow(["sqs:SendMessage", "sqs:GetQueueUrl"], arn))
    barrier = server.state / "barrier"
    barrier.touch()
    environment = {"Variables": {"BARRIER": str(barrier)}}
    aws.function("invoked", SEND_EVENT, role=role, Environment=environment)
    aws.client("lambda").invoke(
        FunctionName="invoked", InvocationType="Event", Payload=json.dumps({"number": 1})
    )
    server.kill()
    barrier.unlink()
    server.start()
    assert server.aws.received(queue_url_of(server.aws, "invoked")) == [{"number": 1}]


def test_every_record_that_firehose_has_accepted_is_in_s3_after_a_kill(server: Server) -> None:
    server.aws.client("s3").create_bucket(Bucket="delivered")
    role = server.aws.role("delivers", "firehose", allow("s3:PutObject"))
    firehose = server.aws.client("firehose")
    firehose.create_delivery_stream(
        DeliveryStreamName="records",
        ExtendedS3DestinationConfiguration={
            "RoleARN": role,
            "BucketARN": "arn:aws:s3:::delivered",
        },
    )
    records = [{"Data": f"{number}".encode()} for number in range(200)]
    firehose.put_record_batch(DeliveryStreamName="records", Records=records)
    server.kill_and_start()
    s3 = server.aws.client("s3")

    def bodies() -> set[bytes]:
        listed = s3.list_objects_v2(Bucket="delivered").get("Contents", [])
        return {s3.get_object(Bucket="delivered", Key=o["Key"])["Body"].read() for o in listed}

    until(lambda: bodies() == {record["Data"] for record in records})


def test_what_a_full_disk_cannot_store_is_not_answered(server: Server) -> None:
    once = Config(retries={"total_max_attempts": 1})
    s3, sqs = (server.aws.client(name, config=once) for name in ("s3", "sqs"))
    s3.create_bucket(Bucket="disk")
    url = sqs.create_queue(QueueName="disk")["QueueUrl"]
    s3.put_object(Bucket="disk", Key="before", Body=b"1")
    server.fill_disk()
    refused = [
        lambda: s3.put_object(Bucket="disk", Key="full", Body=b"2"),
        lambda: sqs.send_message(QueueUrl=url, MessageBody="2"),
        lambda: sqs.create_queue(QueueName="full"),
    ]
    for write in refused:
        with pytest.raises(ClientError) as error:
            write()
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    server.free_disk()
    s3.put_object(Bucket="disk", Key="after", Body=b"3")
    sqs.send_message(QueueUrl=url, MessageBody="3")
    server.kill_and_start()
    s3, sqs = server.aws.client("s3"), server.aws.client("sqs")
    keys = {entry["Key"] for entry in s3.list_objects_v2(Bucket="disk")["Contents"]}
    assert keys == {"before", "after"}
    assert server.aws.received(queue_url_of(server.aws, "disk")) == [3]


def test_the_state_of_a_service_that_no_template_names_survives_as_well(server: Server) -> None:
    server.aws.client("ssm").put_parameter(Name="/kept", Value="1", Type="String")
    server.kill_and_start()
    parameter = server.aws.client("ssm").get_parameter(Name="/kept")["Parameter"]
    assert parameter["Value"] == "1"


def test_a_role_of_a_service_can_be_assumed_after_a_kill(server: Server) -> None:
    server.aws.client("iam").create_role(
        RoleName="late", AssumeRolePolicyDocument=trust_policy("lambda")
    )
    server.kill_and_start()
    server.aws.function(
        "late",
        "def handler(event, context): return 1",
        role=server.aws.client("iam").get_role(RoleName="late")["Role"]["Arn"],
    )
    assert server.aws.invoke("late") == (1, None)
