"""Each alarm of the stack and of a model goes off for its cause, and ends when the cause does.

The template's own alarms, dead-letter queues, topic and dashboard are deployed as they are, with
stand-ins for the functions, state machines and the stream; a model's alarms are put beside them.
All causes come at once, since alarms only take time. A minute takes `MINUTE_S` on this ground.
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
from refit_local.sagemaker.metrics import EndpointMetrics
from samcli.yamlhelper import yaml_parse
from stack_under_test import RUNTIME, Ground, standing, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MINUTE_S = 5.0
DEADLINE_S = 60.0
TEMPLATE = yaml_parse((Path(__file__).parents[3] / "template.yaml").read_text())["Resources"]
NAMES = ResourceNames("refit", "digits")
CHOSEN = ModelSettings()
MODEL_ALARMS = {alarm.kind: alarm for alarm in alarms_of(NAMES, "v2", CHOSEN, 60)}
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
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": [f"{it}.amazonaws.com" for it in ("lambda", "states")]},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    role = {"Fn::GetAtt": ["Role", "Arn"]}
    kept = [*of_type("AWS::CloudWatch::Alarm"), *DEAD_LETTERS, "NoticesTopic", "Dashboard"]
    resources: dict[str, Any] = {name: TEMPLATE[name] for name in kept}
    resources["Role"] = {
        "Type": "AWS::IAM::Role",
        "Properties": {"AssumeRolePolicyDocument": trust},
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
    """The deployed alarms, and what is needed to cause each."""

    ground: Ground
    names: dict[str, str]
    notices_queue: str
    told: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def states(self) -> dict[str, str]:
        """The state of each alarm, by its logical name or its kind."""
        cloudwatch = self.ground.client("cloudwatch")
        found = cloudwatch.describe_alarms()["MetricAlarms"]
        states = {alarm["AlarmName"]: alarm["StateValue"] for alarm in found}
        physical = {name: self.names[name] for name in of_type("AWS::CloudWatch::Alarm")}
        physical |= {alarm.kind: alarm.name for alarm in MODEL_ALARMS.values()}
        return {name: states[alarm] for name, alarm in physical.items()}

    def put(self, namespace: str, metric: str, value: float, **dimensions: str) -> None:
        pairs = [{"Name": name, "Value": it} for name, it in dimensions.items()]
        datum = {"MetricName": metric, "Value": value, "Dimensions": pairs}
        self.ground.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=[datum])

    def fail(self, function: str) -> None:
        self.ground.call(self.names[function], "fail")

    def fail_run(self, machine: str) -> None:
        self.ground.start(self.names[machine], {"fail": True})

    def die(self, queue: str) -> None:
        self.ground.client("sqs").send_message(QueueUrl=self.names[queue], MessageBody="{}")

    def behind(self, namespace: str, metric: str, dimension: str, of: str, value: float) -> None:
        self.put(namespace, metric, value, **{dimension: self.names[of]})

    def listen(self) -> None:
        """Note which alarms people have been told of."""
        sqs = self.ground.client("sqs")
        logical = {physical: name for name, physical in self.names.items()}
        logical |= {alarm.name: alarm.kind for alarm in MODEL_ALARMS.values()}
        while True:
            got = sqs.receive_message(QueueUrl=self.notices_queue, MaxNumberOfMessages=10)
            for message in (messages := got.get("Messages", [])):
                notice = json.loads(json.loads(message["Body"])["Message"])
                self.told[notice["NewStateValue"]].add(logical[notice["AlarmName"]])
                sqs.delete_message(
                    QueueUrl=self.notices_queue, ReceiptHandle=message["ReceiptHandle"]
                )
            if not messages:
                return


# What makes each alarm of the stack go off. Failures pass by themselves; letters do not.
CAUSES: dict[str, Callable[[Stack], None]] = {
    **{f"{it}Alarm": lambda stack, it=it: stack.die(it) for it in DEAD_LETTERS},
    **{
        f"{machine.removesuffix('StateMachine')}FailedAlarm": lambda stack, it=machine: (
            stack.fail_run(it)
        )
        for machine in of_type("AWS::Serverless::StateMachine")
    },
    **{
        f"{it}ErrorsAlarm": lambda stack, it=it: stack.fail(f"{it}Function")
        for it in (
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
        )
    },
    "CountLabelsBehindAlarm": lambda stack: stack.behind(
        "AWS/Lambda", "IteratorAge", "FunctionName", "CountLabelsFunction", 900_001
    ),
    "CaptureStreamBehindAlarm": lambda stack: stack.behind(
        "AWS/Firehose", "DeliveryToS3.DataFreshness", "DeliveryStreamName", "CaptureStream", 901
    ),
}
# The gauges of a model, well and ill: what the watcher and the predict API publish.
GAUGES: dict[AlarmKind, tuple[str, float, float]] = {
    AlarmKind.QUALITY_DRIFT: (metric_names.QUALITY_DRIFT, 0, 1),
    AlarmKind.INPUT_DRIFT: (metric_names.INPUT_DRIFT, 0, 3),
    AlarmKind.CAPTURE_SILENCE: (
        metric_names.CAPTURE_SILENCE,
        1,
        CHOSEN.monitoring.capture_silence_s + 1,
    ),
    AlarmKind.LABEL_SILENCE: (
        metric_names.LABEL_SILENCE,
        1,
        CHOSEN.monitoring.label_silence_s + 1,
    ),
    AlarmKind.RETRAINING_OWED: (
        metric_names.RETRAINING_OWED,
        0,
        CHOSEN.retraining.cooldown_s + 86_401,
    ),
    AlarmKind.RETRAINING_BLOCKED: (metric_names.RETRAINING_BLOCKED, 0, 1),
    AlarmKind.UNANSWERED: (metric_names.PREDICTIONS_UNANSWERED, 0, 1),
}
# (status, model latency in µs) of the endpoint's calls, well and ill.
CALLS: dict[AlarmKind, tuple[tuple[int, float], tuple[int, float]]] = {
    AlarmKind.ENDPOINT_ERRORS: ((200, 5_000), (500, 5_000)),
    AlarmKind.LATENCY: ((200, 5_000), (200, 1000 * CHOSEN.monitoring.max_latency_ms + 10_000)),
}
EVERY = [*CAUSES, *GAUGES, *CALLS]


def live(stack: Stack, ill: bool) -> None:
    """Publish once what a model publishes that is well, or ill in every way."""
    for metric, well, bad in GAUGES.values():
        stack.put(metric_names.NAMESPACE, metric, bad if ill else well, Model="digits")
    endpoint = EndpointMetrics(_put_of(stack))
    for well_call, bad_call in CALLS.values():
        status, latency_us = bad_call if ill else well_call
        endpoint.record("refit-digits", "v2", status, latency_us, 100.0)
        endpoint.record("refit-other", "v2", 500, 1e9, 100.0)  # another endpoint is no concern
    endpoint.flush()


def _put_of(stack: Stack) -> Any:
    cloudwatch = stack.ground.client("cloudwatch")

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
def living(stack: Stack, ill: bool) -> Iterator[None]:
    """Publish it again and again, some times a minute."""
    end = threading.Event()

    def run() -> None:
        while not end.is_set():
            live(stack, ill)
            end.wait(MINUTE_S / 5)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def watched(stack: Stack, state: str) -> set[str]:
    """The alarms that were in a state at any look, until all were or time is up."""
    seen: set[str] = set()
    end = time.monotonic() + DEADLINE_S
    while seen < set(EVERY) and time.monotonic() < end:
        seen |= {name for name, now in stack.states().items() if now == state}
        time.sleep(0.2)
    stack.listen()
    return seen


def subscribe(ground: Ground, topic: str) -> str:
    arn = "arn:aws:sqs:us-east-1:000000000000:notices"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    made = ground.client("sqs").create_queue(QueueName="notices", Attributes={"Policy": policy})
    ground.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return str(made["QueueUrl"])


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with standing(tmp_path_factory.mktemp("alarms"), alarm_minute_s=MINUTE_S) as ground:
        cloudformation = ground.client("cloudformation")
        ground.client("s3").create_bucket(Bucket="bucket")
        cloudformation.create_stack(
            StackName="refit",
            TemplateBody=json.dumps(reduced_template()),
            Capabilities=["CAPABILITY_IAM"],
        )

        def deployed() -> bool:
            state = cloudformation.describe_stacks(StackName="refit")["Stacks"][0]
            assert not state["StackStatus"].endswith("FAILED"), state
            return state["StackStatus"] == "CREATE_COMPLETE"

        until(deployed, 60)
        found = cloudformation.describe_stack_resources(StackName="refit")["StackResources"]
        names = {it["LogicalResourceId"]: it["PhysicalResourceId"] for it in found}
        for alarm in MODEL_ALARMS.values():
            ground.client("cloudwatch").put_metric_alarm(**request_of(alarm, names["NoticesTopic"]))
        notices = subscribe(ground, names["NoticesTopic"])
        yield Stack(ground, names, notices)


@dataclass
class Course:
    """Which alarms were seen quiet, then in alarm, then quiet again; and told of."""

    quiet: set[str]
    alarmed: set[str]
    told_of: set[str]
    over: set[str]
    told_over: set[str]


@pytest.fixture(scope="module")
def course(stack: Stack) -> Course:
    with living(stack, ill=False):
        quiet = watched(stack, "OK")
        stack.told.clear()
    with living(stack, ill=True):
        for cause in CAUSES.values():
            cause(stack)
        alarmed = watched(stack, "ALARM")
    for queue in DEAD_LETTERS:
        stack.ground.client("sqs").purge_queue(QueueUrl=stack.names[queue])
    told_of = set(stack.told["ALARM"])
    with living(stack, ill=False):
        over = watched(stack, "OK")
    return Course(quiet, alarmed, told_of, over, set(stack.told["OK"]))


def test_every_alarm_of_the_template_and_of_a_model_has_a_cause_here() -> None:
    assert set(CAUSES) == set(of_type("AWS::CloudWatch::Alarm"))
    assert set(GAUGES) | set(CALLS) == set(AlarmKind) == set(MODEL_ALARMS)


@pytest.mark.parametrize("name", EVERY)
def test_an_alarm_goes_off_for_its_cause_and_people_are_told(course: Course, name: str) -> None:
    assert name in course.quiet, "it was never quiet before"
    assert name in course.alarmed
    assert name in course.told_of


@pytest.mark.parametrize("name", EVERY)
def test_an_alarm_ends_when_its_cause_does(course: Course, name: str) -> None:
    assert name in course.alarmed
    assert name in course.over


def test_people_are_told_of_the_end_too(course: Course) -> None:
    failed_runs = {"TrainFailedAlarm", "DeployFailedAlarm"}  # a run that failed stays failed
    assert set(EVERY) - course.told_over == failed_runs


def test_people_are_told_when_nobody_looks_at_a_model_any_more(
    stack: Stack, course: Course
) -> None:
    def told() -> bool:
        stack.listen()
        return AlarmKind.CAPTURE_SILENCE in stack.told["INSUFFICIENT_DATA"]

    until(told, 8 * MINUTE_S)
    states = stack.states()
    assert states[AlarmKind.CAPTURE_SILENCE] == "INSUFFICIENT_DATA"
    assert states[AlarmKind.QUALITY_DRIFT] == "OK"
    assert stack.told["INSUFFICIENT_DATA"] == {AlarmKind.CAPTURE_SILENCE}


def test_the_dashboard_is_drawn_with_the_names_of_what_is_deployed(stack: Stack) -> None:
    cloudwatch = stack.ground.client("cloudwatch")
    drawn = cloudwatch.get_dashboard(DashboardName=stack.names["Dashboard"])["DashboardBody"]
    assert json.loads(drawn)["widgets"][0]["properties"]["alarms"]
    assert stack.names["CountLabelsFunction"] in drawn
    assert "${PROP('Dim.Model')}" in drawn
    assert "${AWS::Region}" not in drawn


def test_a_role_may_delete_the_alarms_that_it_names_and_no_others(stack: Stack) -> None:
    arn = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:mine-*"
    actions = ["cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"]
    role = stack.ground.role(
        "alarming", "lambda", {"Effect": "Allow", "Action": actions, "Resource": arn}
    )
    code = """
import boto3
def handler(event, context):
    try:
        boto3.client("cloudwatch").delete_alarms(AlarmNames=[event])
    except Exception as error:
        return error.response["Error"]["Code"]
    return "deleted"
"""
    stack.ground.function("alarming", code, role=role)
    assert stack.ground.call("alarming", "mine-latency")[0] == "deleted"
    assert "AccessDenied" in stack.ground.call("alarming", "other-latency")[0]


def test_the_age_of_what_a_stream_gives_a_function_is_a_metric(stack: Stack) -> None:
    ground = stack.ground
    read = {
        "Effect": "Allow",
        "Action": [f"dynamodb:{it}" for it in ("GetRecords", "GetShardIterator", "DescribeStream")],
        "Resource": "*",
    }
    ground.function("reads", FAILING, role=ground.role("reads", "lambda", read))
    dynamodb = ground.client("dynamodb")
    table = dynamodb.create_table(
        TableName="streamed",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )["TableDescription"]
    ground.client("lambda").create_event_source_mapping(
        FunctionName="reads", EventSourceArn=table["LatestStreamArn"], StartingPosition="LATEST"
    )

    def age() -> list[dict[str, Any]]:
        dynamodb.put_item(TableName="streamed", Item={"id": {"S": "a"}})
        found: list[dict[str, Any]] = ground.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName="IteratorAge",
            Dimensions=[{"Name": "FunctionName", "Value": "reads"}],
            StartTime=time.time() - 300,
            EndTime=time.time() + 60,
            Period=60,
            Statistics=["Maximum"],
        )["Datapoints"]
        return found

    assert 0 <= until(age, 30)[0]["Maximum"] < 30_000
