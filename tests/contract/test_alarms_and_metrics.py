"""Publishers, alarms and the dashboard name the same metrics, and each names one that exists."""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from typing import Any

import pytest
from refit.domain import metric_names
from refit.domain.model_settings import ModelSettings
from refit.domain.monitoring.alarms import alarms_of
from refit.domain.naming import ResourceNames

from tests.support.template import FUNCTIONS, RESOURCES, ROOT, STATE_MACHINES, of_type

ALARMS = of_type("AWS::CloudWatch::Alarm")
MODEL_ALARMS = alarms_of(ResourceNames("refit", "digits"), "v2", ModelSettings(), 60)
METRICS = {
    name: value
    for name, value in vars(metric_names).items()
    if name.isupper() and name not in {"NAMESPACE", "FAILED_MESSAGES"}
}
# The metrics that a resource of the stack publishes, by namespace, with their dimensions.
AWS_METRICS = {
    "AWS/SQS": {("ApproximateNumberOfMessagesVisible", ("QueueName",))},
    "AWS/States": {
        ("ExecutionsFailed", ("StateMachineArn",)),
        ("ExecutionsSucceeded", ("StateMachineArn",)),
    },
    "AWS/Lambda": {
        ("Errors", ("FunctionName",)),
        ("Duration", ("FunctionName",)),
        ("IteratorAge", ("FunctionName",)),
        ("Throttles", ("FunctionName",)),
    },
    "AWS/ApiGateway": {("5XXError", ("ApiName",))},
    "AWS/Firehose": {
        ("DeliveryToS3.DataFreshness", ("DeliveryStreamName",)),
        ("PartitionCountExceeded", ("DeliveryStreamName",)),
        ("ThrottledRecords", ("DeliveryStreamName",)),
    },
    metric_names.NAMESPACE: {(metric_names.FAILED_MESSAGES, ("FunctionName",))},
    "AWS/SageMaker": {
        ("Invocation5XXErrors", ("EndpointName", "VariantName")),
        ("ModelLatency", ("EndpointName", "VariantName")),
    },
}
RESOURCE_TYPES = {
    "AWS/SQS": {"AWS::SQS::Queue"},
    "AWS/States": {"AWS::Serverless::StateMachine"},
    "AWS/Lambda": {"AWS::Serverless::Function"},
    "AWS/ApiGateway": {"AWS::Serverless::Api"},
    "AWS/Firehose": {"AWS::KinesisFirehose::DeliveryStream"},
    metric_names.NAMESPACE: {"AWS::Serverless::Function"},
}
REFERENCE = re.compile(r"\$\{([A-Z]\w+)(\.\w+)?\}")
SEARCHED = re.compile(r"SEARCH\('\{([\w/]+),([\w,]+)\} MetricName=(\([^)]*\)|\"[^\"]*\")")


def dashboard() -> dict[str, Any]:
    """Return the dashboard; each reference is replaced by its own name, as Fn::Sub would."""
    text = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    text = REFERENCE.sub(lambda match: match[1], text)
    # The metrics of an API have its name, which is the stack's.
    text = text.replace("${AWS::Region}", "us-east-1").replace("${AWS::StackName}", "Api")
    # The rest is for CloudWatch: ${!…} becomes ${…}.
    assert not re.search(r"\$\{(?!!)", text)
    dashboard: dict[str, Any] = json.loads(text.replace("${!", "${"))
    return dashboard


def metric_rows() -> list[Any]:
    return [
        row for widget in dashboard()["widgets"] for row in widget["properties"].get("metrics", [])
    ]


def searched_metrics() -> set[tuple[str, tuple[str, ...], str]]:
    expressions = [row[0]["expression"] for row in metric_rows() if isinstance(row[0], dict)]
    metrics = set()
    for expression in expressions:
        match = SEARCHED.match(expression)
        assert match, expression
        for name in re.findall(r'"([^"]+)"', match[3]):
            metrics.add((match[1], tuple(match[2].split(",")), name))
    return metrics


@cache
def published() -> set[str]:
    """Return the constants of metric_names that the functions use, other than for an alarm."""
    names: set[str] = set()
    for path in (ROOT / "functions/refit").rglob("*.py"):
        if path.name in {"alarms.py", "metric_names.py"}:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                names |= {node.attr} if node.value.id == "metric_names" else set()
            elif isinstance(node, ast.ImportFrom) and node.module == "refit.domain.metric_names":
                names |= {alias.name for alias in node.names}
    return names


def test_the_dashboard_is_json_that_stays_within_its_grid() -> None:
    widgets = dashboard()["widgets"]
    assert len(widgets) <= 500
    taken: set[tuple[int, int]] = set()
    for widget in widgets:
        cells = {
            (x, y)
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, widget["properties"]["title"]
        taken |= cells


def test_what_the_dashboard_refers_to_exists_and_has_the_right_type() -> None:
    text = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    for name, _ in REFERENCE.findall(text):
        assert name in RESOURCES or name == "NamePrefix", name
    for row in metric_rows():
        if isinstance(row[0], dict):
            continue
        namespace, metric, dimension, resource, *_ = row
        assert (metric, (dimension,)) in AWS_METRICS[namespace], row
        assert RESOURCES[resource]["Type"] in RESOURCE_TYPES[namespace], row


def test_the_dashboard_searches_for_metrics_that_exist() -> None:
    for namespace, dimensions, name in searched_metrics():
        if namespace == metric_names.NAMESPACE:
            assert dimensions == ("Model",)
            assert name in METRICS.values(), name
        else:
            assert (name, dimensions) in AWS_METRICS[namespace]


def test_the_dashboard_shows_every_metric_of_refit() -> None:
    shown = {
        name for namespace, _, name in searched_metrics() if namespace == metric_names.NAMESPACE
    }
    assert shown == set(METRICS.values())


def test_the_dashboard_shows_every_alarm_queue_and_function_that_has_an_alarm() -> None:
    shown = {
        name for widget in dashboard()["widgets"] for name in widget["properties"].get("alarms", [])
    }
    assert shown == set(ALARMS)
    subjects = {row[3] for row in metric_rows() if not isinstance(row[0], dict)}
    assert {_subject(alarm) for alarm in ALARMS.values()} <= subjects


def _subject(alarm: dict[str, Any]) -> str:
    (dimension,) = alarm["Dimensions"]
    value = dimension["Value"]
    if dimension["Name"] == "ApiName":
        assert value == RESOURCES["Api"]["Properties"]["Name"]
        return "Api"
    return str(value["Ref"] if "Ref" in value else value["Fn::GetAtt"][0])


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_of_the_stack_uses_a_metric_that_its_resource_publishes(name: str) -> None:
    alarm = ALARMS[name]
    dimensions = tuple(dimension["Name"] for dimension in alarm["Dimensions"])
    assert (alarm["MetricName"], dimensions) in AWS_METRICS[alarm["Namespace"]]
    assert RESOURCES[_subject(alarm)]["Type"] in RESOURCE_TYPES[alarm["Namespace"]]


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_of_the_stack_monitors_the_resource_that_it_is_named_after(name: str) -> None:
    causes = "Errors|FailedMessages|Failed|Behind|Throttled|Throttles|Partitions"
    resource = re.sub(f"({causes})?Alarm$", "", name)
    suffixes = ("", "Function", "StateMachine")
    assert _subject(ALARMS[name]) in {resource + suffix for suffix in suffixes}


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_of_the_stack_notifies_and_has_a_description_of_its_own(name: str) -> None:
    assert ALARMS[name]["AlarmActions"] == [{"Ref": "NoticesTopic"}]
    assert len(ALARMS[name]["AlarmDescription"].split()) > 5
    texts = [alarm["AlarmDescription"] for alarm in ALARMS.values()]
    assert texts.count(ALARMS[name]["AlarmDescription"]) == 1


@pytest.mark.parametrize("alarm", MODEL_ALARMS, ids=lambda alarm: alarm.kind)
def test_an_alarm_of_a_model_uses_a_metric_that_is_published(alarm: Any) -> None:
    dimensions = tuple(name for name, _ in alarm.dimensions)
    if alarm.namespace != metric_names.NAMESPACE:
        assert (alarm.metric, dimensions) in AWS_METRICS[alarm.namespace]
        return
    assert dimensions == ("Model",)
    constant = next(name for name, value in METRICS.items() if value == alarm.metric)
    assert constant in published(), f"{alarm.metric} is never published"


@pytest.mark.parametrize("constant", METRICS)
def test_a_metric_that_has_a_name_is_published(constant: str) -> None:
    assert constant in published()


def test_every_consumer_of_a_queue_or_stream_has_an_alarm_on_its_failed_messages() -> None:
    # A batch that fails in part is no error of the function.
    consumers = {
        name
        for name, function in FUNCTIONS.items()
        for event in function.get("Events", {}).values()
        if event["Type"] in {"SQS", "DynamoDB"}
    }
    name = metric_names.FAILED_MESSAGES
    monitored = {_subject(alarm) for alarm in ALARMS.values() if alarm["MetricName"] == name}
    assert monitored == consumers


def test_every_function_behind_the_api_has_an_alarm_on_its_throttles() -> None:
    # A throttled function answers 5xx, and counts neither as an error nor as unanswered.
    behind_api = {
        name
        for name, function in FUNCTIONS.items()
        for event in function.get("Events", {}).values()
        if event["Type"] == "Api"
    }
    monitored = {_subject(alarm) for alarm in ALARMS.values() if alarm["MetricName"] == "Throttles"}
    assert monitored == behind_api


def test_every_function_that_no_state_machine_covers_has_an_alarm_on_its_errors() -> None:
    covered = {
        value["Fn::GetAtt"][0]
        for machine in STATE_MACHINES.values()
        for value in machine["DefinitionSubstitutions"].values()
        if "Fn::GetAtt" in value
    }
    monitored = {_subject(alarm) for alarm in ALARMS.values() if alarm["MetricName"] == "Errors"}
    assert monitored == FUNCTIONS.keys() - covered


def test_the_documented_costs_count_every_alarm_of_the_stack() -> None:
    text = (ROOT / "docs/aws.md").read_text()
    cost = f"| alarms of the stack | per stack | ${len(ALARMS) / 10:.2f} | {len(ALARMS)} at $0.10"
    assert cost in text


def test_the_documentation_explains_every_alarm_and_no_other() -> None:
    text = (ROOT / "docs/alarms.md").read_text()
    explained = {
        name
        for line in text.splitlines()
        if line.startswith("|")
        for name in re.findall(r"`([\w-]+)`", line.split("|")[1])
    }
    assert explained == set(ALARMS) | {str(alarm.kind) for alarm in MODEL_ALARMS} | {
        "INSUFFICIENT_DATA"
    }
