"""Each alarm of the stack and of a model goes off for its cause, and clears when the cause ends.

The alarms, dead-letter queues, topic and dashboard of the template are deployed unchanged, with
stand-ins for the functions, state machines and the stream; the alarms of a model are added.
All causes occur at once, to save time. A minute of an alarm's period lasts `MINUTE_S` here.
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from refit.domain import metric_names
from refit.domain.model_settings import ModelSettings
from refit.domain.monitoring.alarms import AlarmKind, alarms_of, request_of
from refit.domain.naming import ResourceNames
from refit_local.sagemaker.reporting.endpoint_metrics import EndpointMetrics
from samcli.yamlhelper import yaml_parse
from stack_under_test import RUNTIME, LocalAws, allow, running_emulator, trust_policy, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MINUTE_S = 5.0
DEADLINE_S = 60.0
TEMPLATE = yaml_parse((Path(__file__).parents[3] / "template.yaml").read_text())["Resources"]
NAMES = ResourceNames("refit", "digits")
SETTINGS = ModelSettings()
MODEL_ALARMS = {alarm.kind: alarm for alarm in alarms_of(NAMES, "v2", SETTINGS, 60)}
DEAD_LETTERS = [name for name in TEMPLATE if name.endswith("DeadLetters")]

FAILING = """
def handler(event, context):
    if event == "fail":
        raise RuntimeError("as asked")
"""
MACHINE = {
    "QueryLanguage": "JSONata",
    "StartAt": "Choose",
    "States": {
        "Choose": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $states.input.fail %}", "Next": "Fail"}],
            "Default": "Succeed",
        },
        "Fail": {"Type": "Fail"},
        "Succeed": {"Type": "Succeed"},
    },
}


def of_type(kind: str) -> list[str]:
    return [name for name, resource in TEMPLATE.items() if resource["Type"] == kind]


def reduced_template() -> dict[str, Any]:
    role = {"Fn::GetAtt": ["Role", "Arn"]}
    kept = [*of_type("AWS::CloudWatch::Alarm"), *DEAD_LETTERS, "NoticesTopic", "Dashboard"]
    kept += of_type("AWS::DynamoDB::Table")
    resources: dict[str, Any] = {name: TEMPLATE[name] for name in kept}
    resources["Api"] = {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": "refit"}}
    resources["Role"] = {
        "Type": "AWS::IAM::Role",
        "Properties": {"AssumeRolePolicyDocument": json.loads(trust_policy("lambda", "states"))},
    }
    for name in of_type("AWS::Serverless::Function"):
        properties = {
            "Runtime": RUNTIME,
            "Handler": "index.handler",
            "Role": role,
            "Code": {"ZipFile": FAILING},
        }
        resources[name] = {"Type": "AWS::Lambda::Function", "Properties": properties}
    for name in of_type("AWS::Serverless::StateMachine"):
        properties = {"DefinitionString": json.dumps(MACHINE), "RoleArn": role}
        resources[name] = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
    resources["CaptureStream"] = {
        "Type": "AWS::KinesisFirehose::DeliveryStream",
        "Properties": {
            "DeliveryStreamType": "DirectPut",
            "S3DestinationConfiguration": {"BucketARN": "arn:aws:s3:::bucket", "RoleARN": role},
        },
    }
    parameters = {"NamePrefix": {"Type": "String", "Default": "refit"}}
    return {"Parameters": parameters, "Resources": resources}


@dataclass
class Stack:
    """The deployed alarms, and functions that cause them.

    Attributes:
        names: physical by logical names of the deployed resources.
        notices_queue: the URL of a queue that is subscribed to the topic.
        notified: the alarms that were notified, by their new state.
    """

    aws: LocalAws
    names: dict[str, str]
    notices_queue: str
    notified: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def states(self) -> dict[str, str]:
        """Return the state of each alarm, by its logical name or its kind."""
        pages = self.aws.client("cloudwatch").get_paginator("describe_alarms").paginate()
        alarms = [alarm for page in pages for alarm in page["MetricAlarms"]]
        states = {alarm["AlarmName"]: alarm["StateValue"] for alarm in alarms}
        physical = {name: self.names[name] for name in of_type("AWS::CloudWatch::Alarm")}
        physical |= {alarm.kind: alarm.name for alarm in MODEL_ALARMS.values()}
        return {name: states[alarm] for name, alarm in physical.items()}

    def put(self, namespace: str, metric: str, value: float, **dimensions: str) -> None:
        pairs = [{"Name": name, "Value": dimension} for name, dimension in dimensions.items()]
        datum = {"MetricName": metric, "Value": value, "Dimensions": pairs}
        self.aws.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=[datum])

    def put_in_each_minute(
        self, namespace: str, metric: str, value: float, **dimensions: str
    ) -> None:
        """Put a value into each of the last three minutes of an alarm's period."""
        pairs = [{"Name": name, "Value": dimension} for name, dimension in dimensions.items()]
        now = time.time()
        data = [
            {
                "MetricName": metric,
                "Value": value,
                "Dimensions": pairs,
                "Timestamp": now - ago * MINUTE_S,
            }
            for ago in range(3)
        ]
        self.aws.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=data)

    def fail(self, function: str) -> None:
        self.aws.invoke(self.names[function], "fail")

    def fail_run(self, machine: str) -> None:
        self.aws.start(self.names[machine], {"fail": True})

    def send_message(self, queue: str) -> None:
        self.aws.client("sqs").send_message(QueueUrl=self.names[queue], MessageBody="{}")

    def put_of(
        self, resource: str, namespace: str, metric: str, dimension: str, value: float
    ) -> None:
        self.put(namespace, metric, value, **{dimension: self.names[resource]})

    def receive_notices(self) -> None:
        """Record which alarms were notified."""
        sqs = self.aws.client("sqs")
        logical = {physical: name for name, physical in self.names.items()}
        logical |= {alarm.name: alarm.kind for alarm in MODEL_ALARMS.values()}
        while True:
            response = sqs.receive_message(QueueUrl=self.notices_queue, MaxNumberOfMessages=10)
            for message in (messages := response.get("Messages", [])):
                notice = json.loads(json.loads(message["Body"])["Message"])
                self.notified[notice["NewStateValue"]].add(logical[notice["AlarmName"]])
                sqs.delete_message(
                    QueueUrl=self.notices_queue, ReceiptHandle=message["ReceiptHandle"]
                )
            if not messages:
                return


# What sets off each alarm of the stack. Failures end by themselves; dead letters do not.
CAUSES: dict[str, Callable[[Stack], None]] = {
    **{
        f"{queue}Alarm": lambda stack, queue=queue: stack.send_message(queue)
        for queue in DEAD_LETTERS
    },
    **{
        f"{machine.removesuffix('StateMachine')}FailedAlarm": lambda stack, machine=machine: (
            stack.fail_run(machine)
        )
        for machine in of_type("AWS::Serverless::StateMachine")
    },
    **{
        f"{name}ErrorsAlarm": lambda stack, name=name: stack.fail(f"{name}Function")
        for name in (
            "Predict",
            "RecordGroundTruth",
            "Ingest",
            "IngestGroundTruth",
            "IngestCaptures",
            "CountLabels",
            "CheckDrift",
            "Retrain",
            "EndStoppedRun",
            "RemoveAlarms",
            "CompactLedger",
            "StartBatch",
            "ReadModels",
            "OperateModels",
            "Console",
        )
    },
    "CountLabelsBehindAlarm": lambda stack: stack.put_of(
        "CountLabelsFunction", "AWS/Lambda", "IteratorAge", "FunctionName", 900_001
    ),
    **{
        f"{name}FailedMessagesAlarm": lambda stack, name=name: stack.put_of(
            f"{name}Function", metric_names.NAMESPACE, "FailedMessages", "FunctionName", 1
        )
        for name in (
            "Ingest",
            "IngestGroundTruth",
            "IngestCaptures",
            "CountLabels",
            "CheckDrift",
            "Retrain",
            "StartBatch",
        )
    },
    **{
        f"{name}ThrottlesAlarm": lambda stack, name=name: stack.put_of(
            f"{name}Function", "AWS/Lambda", "Throttles", "FunctionName", 1
        )
        for name in ("Predict", "RecordGroundTruth", "ReadModels", "OperateModels", "Console")
    },
    "ApiErrorsAlarm": lambda stack: stack.put_in_each_minute(
        "AWS/ApiGateway", "5XXError", 1, ApiName="refit"
    ),
    "CaptureStreamThrottledAlarm": lambda stack: stack.put_of(
        "CaptureStream", "AWS/Firehose", "ThrottledRecords", "DeliveryStreamName", 1
    ),
    "CaptureStreamPartitionsAlarm": lambda stack: stack.put_of(
        "CaptureStream", "AWS/Firehose", "PartitionCountExceeded", "DeliveryStreamName", 1
    ),
    "CaptureStreamBehindAlarm": lambda stack: stack.put_of(
        "CaptureStream", "AWS/Firehose", "DeliveryToS3.DataFreshness", "DeliveryStreamName", 901
    ),
}
# (metric, healthy value, alarming value) of a model: published by CheckDrift and the predict API.
GAUGES: dict[AlarmKind, tuple[str, float, float]] = {
    AlarmKind.QUALITY_DRIFT: (metric_names.QUALITY_DRIFT, 0, 1),
    AlarmKind.INPUT_DRIFT: (metric_names.INPUT_DRIFT, 0, 3),
    AlarmKind.CAPTURE_SILENCE: (
        metric_names.CAPTURE_SILENCE,
        1,
        SETTINGS.monitoring.capture_silence_s + 1,
    ),
    AlarmKind.LABEL_SILENCE: (
        metric_names.LABEL_SILENCE,
        1,
        SETTINGS.monitoring.label_silence_s + 1,
    ),
    AlarmKind.RETRAINING_PENDING: (
        metric_names.RETRAINING_PENDING,
        0,
        SETTINGS.retraining.cooldown_s + 86_401,
    ),
    AlarmKind.RETRAINING_BLOCKED: (metric_names.RETRAINING_BLOCKED, 0, 1),
    AlarmKind.UNANSWERED: (metric_names.PREDICTIONS_UNANSWERED, 0, 1),
}
# (status, model latency in µs) of an invocation of the endpoint: healthy, alarming.
CALLS: dict[AlarmKind, tuple[tuple[int, float], tuple[int, float]]] = {
    AlarmKind.ENDPOINT_ERRORS: ((200, 5_000), (500, 5_000)),
    AlarmKind.LATENCY: ((200, 5_000), (200, 1000 * SETTINGS.monitoring.max_latency_ms + 10_000)),
}
ALL_ALARMS = [*CAUSES, *GAUGES, *CALLS]


def publish_model_metrics(stack: Stack, *, alarming: bool) -> None:
    """Publish once the metrics of a healthy model, or of one with every problem."""
    for metric, healthy_value, alarming_value in GAUGES.values():
        value = alarming_value if alarming else healthy_value
        stack.put(metric_names.NAMESPACE, metric, value, Model="digits")
    endpoint = EndpointMetrics(_put_metric_of(stack))
    for healthy_call, alarming_call in CALLS.values():
        status, latency_us = alarming_call if alarming else healthy_call
        endpoint.record("refit-digits", "v2", status, latency_us, 100.0)
        endpoint.record("refit-other", "v2", 500, 1e9, 100.0)  # of no alarm here
    endpoint.flush()


def _put_metric_of(stack: Stack) -> Any:
    cloudwatch = stack.aws.client("cloudwatch")

    def put(
        namespace: str,
        name: str,
        values: list[float],
        unit: str,
        dimensions: dict[str, str],
        *,
        counts: list[float],
    ) -> None:
        pairs = [{"Name": key, "Value": value} for key, value in dimensions.items()]
        datum = {"MetricName": name, "Values": values, "Counts": counts, "Unit": unit}
        cloudwatch.put_metric_data(Namespace=namespace, MetricData=[{**datum, "Dimensions": pairs}])

    return put


@contextmanager
def model_metrics(stack: Stack, *, alarming: bool) -> Iterator[None]:
    """Publish the metrics of a model five times a minute until the block ends."""
    end = threading.Event()

    def run() -> None:
        while not end.is_set():
            publish_model_metrics(stack, alarming=alarming)
            end.wait(MINUTE_S / 5)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


@contextmanager
def alarms_seen_in(stack: Stack, state: str) -> Iterator[set[str]]:
    """Look at the alarms in the block, then until all have been in a state, or the time is up."""
    seen: set[str] = set()
    end = threading.Event()

    def look() -> None:
        while not end.wait(0.2):
            seen.update(name for name, current in stack.states().items() if current == state)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
        deadline = time.monotonic() + DEADLINE_S
        while seen < set(ALL_ALARMS) and time.monotonic() < deadline:
            time.sleep(0.2)
    finally:
        end.set()
        thread.join()
    stack.receive_notices()


def subscribe(aws: LocalAws, topic: str) -> str:
    url, arn = aws.queue("notices", "sns")
    aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return url


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_emulator(tmp_path_factory.mktemp("alarms"), alarm_minute_s=MINUTE_S) as aws:
        cloudformation = aws.client("cloudformation")
        aws.client("s3").create_bucket(Bucket="bucket")
        template = json.dumps(reduced_template()).encode()
        aws.client("s3").put_object(Bucket="bucket", Key="template.json", Body=template)
        cloudformation.create_stack(
            StackName="refit",
            TemplateURL=f"{aws.url}/bucket/template.json",  # too large for a request
            Capabilities=["CAPABILITY_IAM"],
        )

        def deployed() -> bool:
            state = cloudformation.describe_stacks(StackName="refit")["Stacks"][0]
            assert not state["StackStatus"].endswith("FAILED"), state
            return state["StackStatus"] == "CREATE_COMPLETE"

        until(deployed, 60)
        resources = cloudformation.describe_stack_resources(StackName="refit")["StackResources"]
        names = {item["LogicalResourceId"]: item["PhysicalResourceId"] for item in resources}
        for alarm in MODEL_ALARMS.values():
            aws.client("cloudwatch").put_metric_alarm(**request_of(alarm, names["NoticesTopic"]))
        notices = subscribe(aws, names["NoticesTopic"])
        yield Stack(aws, names, notices)


@dataclass
class Observed:
    """The alarms that were OK before, in ALARM, and OK after; and those that were notified."""

    ok_before: set[str]
    in_alarm: set[str]
    notified_of_alarm: set[str]
    ok_after: set[str]
    notified_of_ok: set[str]


@pytest.fixture(scope="module")
def observed(stack: Stack) -> Observed:
    with model_metrics(stack, alarming=False), alarms_seen_in(stack, "OK") as ok_before:
        pass
    stack.notified.clear()
    with model_metrics(stack, alarming=True), alarms_seen_in(stack, "ALARM") as in_alarm:
        for cause in CAUSES.values():
            cause(stack)
    for queue in DEAD_LETTERS:
        stack.aws.client("sqs").purge_queue(QueueUrl=stack.names[queue])
    notified_of_alarm = set(stack.notified["ALARM"])
    with model_metrics(stack, alarming=False), alarms_seen_in(stack, "OK") as ok_after:
        pass
    notified_of_ok = set(stack.notified["OK"])
    return Observed(ok_before, in_alarm, notified_of_alarm, ok_after, notified_of_ok)


def test_every_alarm_of_the_template_and_of_a_model_has_a_cause_in_this_test() -> None:
    assert set(CAUSES) == set(of_type("AWS::CloudWatch::Alarm"))
    assert set(GAUGES) | set(CALLS) == set(AlarmKind) == set(MODEL_ALARMS)


@pytest.mark.parametrize("name", ALL_ALARMS)
def test_an_alarm_goes_off_for_its_cause_and_notifies_the_topic(
    observed: Observed, name: str
) -> None:
    assert name in observed.ok_before
    assert name in observed.in_alarm
    assert name in observed.notified_of_alarm


@pytest.mark.parametrize("name", ALL_ALARMS)
def test_an_alarm_clears_when_its_cause_ends(observed: Observed, name: str) -> None:
    assert name in observed.in_alarm
    assert name in observed.ok_after


def test_the_end_of_an_alarm_notifies_the_topic_except_for_failed_runs(observed: Observed) -> None:
    failed_runs = {"TrainFailedAlarm", "DeployFailedAlarm", "BatchFailedAlarm"}
    assert set(ALL_ALARMS) - observed.notified_of_ok == failed_runs


def test_a_model_whose_drift_check_has_stopped_notifies_the_topic(
    stack: Stack, observed: Observed
) -> None:
    def notified() -> bool:
        stack.receive_notices()
        return AlarmKind.CAPTURE_SILENCE in stack.notified["INSUFFICIENT_DATA"]

    until(notified, 8 * MINUTE_S)
    states = stack.states()
    assert states[AlarmKind.CAPTURE_SILENCE] == "INSUFFICIENT_DATA"
    assert states[AlarmKind.QUALITY_DRIFT] == "OK"
    assert stack.notified["INSUFFICIENT_DATA"] == {AlarmKind.CAPTURE_SILENCE}


def test_the_dashboard_refers_to_the_deployed_resources_by_their_names(stack: Stack) -> None:
    cloudwatch = stack.aws.client("cloudwatch")
    body = cloudwatch.get_dashboard(DashboardName=stack.names["Dashboard"])["DashboardBody"]
    alarms = [
        arn
        for widget in json.loads(body)["widgets"]
        for arn in widget["properties"].get("alarms", [])
    ]
    assert all(arn.startswith("arn:aws:cloudwatch:us-east-1:") for arn in alarms)
    assert stack.names["CountLabelsFunction"] in body
    assert "${PROP('Dim.Model')}" in body
    assert "${AWS::" not in body


def test_a_role_may_delete_only_the_alarms_that_its_policy_allows(stack: Stack) -> None:
    arn = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:mine-*"
    actions = ["cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"]
    role = stack.aws.role("alarming", "lambda", allow(actions, arn))
    code = """
import boto3
def handler(event, context):
    try:
        boto3.client("cloudwatch").delete_alarms(AlarmNames=[event])
    except Exception as error:
        return error.response["Error"]["Code"]
    return "deleted"
"""
    stack.aws.function("alarming", code, role=role)
    assert stack.aws.invoke("alarming", "mine-latency")[0] == "deleted"
    assert "AccessDenied" in stack.aws.invoke("alarming", "other-latency")[0]


def test_the_iterator_age_of_a_function_on_a_stream_is_published(stack: Stack) -> None:
    aws = stack.aws
    read = allow(["dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:DescribeStream"])
    aws.function("reads", FAILING, role=aws.role("reads", "lambda", read))
    dynamodb = aws.client("dynamodb")
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    table = aws.table("streamed", StreamSpecification=stream)
    aws.client("lambda").create_event_source_mapping(
        FunctionName="reads", EventSourceArn=table["LatestStreamArn"], StartingPosition="LATEST"
    )

    def age() -> list[dict[str, Any]]:
        dynamodb.put_item(TableName="streamed", Item={"id": {"S": "a"}})
        datapoints: list[dict[str, Any]] = aws.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName="IteratorAge",
            Dimensions=[{"Name": "FunctionName", "Value": "reads"}],
            StartTime=time.time() - 300,
            EndTime=time.time() + 60,
            Period=60,
            Statistics=["Maximum"],
        )["Datapoints"]
        return datapoints

    assert 0 <= until(age, 30)[0]["Maximum"] < 30_000
