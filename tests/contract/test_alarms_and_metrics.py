"""Publishers, alarms and the dashboard name the same metrics, and each names one that exists."""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from refit.domain import metric_names
from refit.domain.model_settings import ModelSettings
from refit.domain.monitoring.alarms import alarms_of
from refit.domain.naming import ResourceNames
from samcli.yamlhelper import yaml_parse

ROOT = Path(__file__).parents[2]
RESOURCES: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]
ALARMS = {
    name: it["Properties"]
    for name, it in RESOURCES.items()
    if it["Type"] == "AWS::CloudWatch::Alarm"
}
MODEL_ALARMS = alarms_of(ResourceNames("refit", "digits"), "v2", ModelSettings(), 60)
METRICS = {
    name: value
    for name, value in vars(metric_names).items()
    if name.isupper() and name != "NAMESPACE"
}
# What AWS publishes, by namespace: metric and dimensions.
OF_AWS = {
    "AWS/SQS": {("ApproximateNumberOfMessagesVisible", ("QueueName",))},
    "AWS/States": {
        ("ExecutionsFailed", ("StateMachineArn",)),
        ("ExecutionsSucceeded", ("StateMachineArn",)),
    },
    "AWS/Lambda": {
        ("Errors", ("FunctionName",)),
        ("Duration", ("FunctionName",)),
        ("IteratorAge", ("FunctionName",)),
    },
    "AWS/Firehose": {("DeliveryToS3.DataFreshness", ("DeliveryStreamName",))},
    "AWS/SageMaker": {
        ("Invocation5XXErrors", ("EndpointName", "VariantName")),
        ("ModelLatency", ("EndpointName", "VariantName")),
    },
}
KINDS = {
    "AWS/SQS": {"AWS::SQS::Queue"},
    "AWS/States": {"AWS::Serverless::StateMachine"},
    "AWS/Lambda": {"AWS::Serverless::Function"},
    "AWS/Firehose": {"AWS::KinesisFirehose::DeliveryStream"},
}
REFERENCE = re.compile(r"\$\{([A-Z]\w+)(\.\w+)?\}")
SEARCHED = re.compile(r"SEARCH\('\{([\w/]+),([\w,]+)\} MetricName=(\([^)]*\)|\"[^\"]*\")")


def body() -> dict[str, Any]:
    """The dashboard, with each reference put in as its own name, as Fn::Sub does."""
    text = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    text = REFERENCE.sub(lambda match: match[1], text)
    text = text.replace("${AWS::Region}", "us-east-1")
    # What is left is meant for CloudWatch: ${!…} becomes ${…}.
    assert not re.search(r"\$\{(?!!)", text)
    drawn: dict[str, Any] = json.loads(text.replace("${!", "${"))
    return drawn


def drawn() -> list[Any]:
    return [row for it in body()["widgets"] for row in it["properties"].get("metrics", [])]


def searched() -> set[tuple[str, tuple[str, ...], str]]:
    expressions = [row[0]["expression"] for row in drawn() if isinstance(row[0], dict)]
    found = set()
    for expression in expressions:
        match = SEARCHED.match(expression)
        assert match, expression
        for name in re.findall(r'"([^"]+)"', match[3]):
            found.add((match[1], tuple(match[2].split(",")), name))
    return found


@cache
def published() -> set[str]:
    """The constants of metric_names that the functions name, other than for an alarm."""
    found: set[str] = set()
    for path in (ROOT / "functions/refit").rglob("*.py"):
        if path.name in {"alarms.py", "metric_names.py"}:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                found |= {node.attr} if node.value.id == "metric_names" else set()
            elif isinstance(node, ast.ImportFrom) and node.module == "refit.domain.metric_names":
                found |= {alias.name for alias in node.names}
    return found


def test_the_dashboard_is_json_that_stays_within_its_grid() -> None:
    widgets = body()["widgets"]
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


def test_what_the_dashboard_refers_to_exists_and_is_of_the_right_kind() -> None:
    text = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    for name, _ in REFERENCE.findall(text):
        assert name in RESOURCES or name == "NamePrefix", name
    for row in drawn():
        if isinstance(row[0], dict):
            continue
        namespace, metric, dimension, resource, *_ = row
        assert (metric, (dimension,)) in OF_AWS[namespace], row
        assert RESOURCES[resource]["Type"] in KINDS[namespace], row


def test_the_dashboard_searches_for_metrics_that_exist() -> None:
    for namespace, dimensions, name in searched():
        if namespace == metric_names.NAMESPACE:
            assert dimensions == ("Model",)
            assert name in METRICS.values(), name
        else:
            assert (name, dimensions) in OF_AWS[namespace]


def test_the_dashboard_shows_every_metric_of_ours() -> None:
    shown = {name for namespace, _, name in searched() if namespace == metric_names.NAMESPACE}
    assert shown == set(METRICS.values())


def test_the_dashboard_shows_every_alarm_queue_and_function_that_has_an_alarm() -> None:
    shown = {name for it in body()["widgets"] for name in it["properties"].get("alarms", [])}
    assert shown == set(ALARMS)
    subjects = {row[3] for row in drawn() if not isinstance(row[0], dict)}
    watched = {_subject(alarm) for alarm in ALARMS.values()}
    assert watched <= subjects


def _subject(alarm: dict[str, Any]) -> str:
    (dimension,) = alarm["Dimensions"]
    value = dimension["Value"]
    return str(value["Ref"] if "Ref" in value else value["Fn::GetAtt"][0])


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_of_the_stack_watches_a_metric_that_its_resource_publishes(name: str) -> None:
    alarm = ALARMS[name]
    dimensions = tuple(it["Name"] for it in alarm["Dimensions"])
    assert (alarm["MetricName"], dimensions) in OF_AWS[alarm["Namespace"]]
    assert RESOURCES[_subject(alarm)]["Type"] in KINDS[alarm["Namespace"]]


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_of_the_stack_watches_what_its_name_says(name: str) -> None:
    what = re.sub("(Errors|Failed|Behind)?Alarm$", "", name)
    kinds = ("", "Function", "StateMachine")
    assert _subject(ALARMS[name]) in {what + kind for kind in kinds}


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_of_the_stack_tells_people_and_says_what_happened(name: str) -> None:
    assert ALARMS[name]["AlarmActions"] == [{"Ref": "NoticesTopic"}]
    assert len(ALARMS[name]["AlarmDescription"].split()) > 5
    texts = [alarm["AlarmDescription"] for alarm in ALARMS.values()]
    assert texts.count(ALARMS[name]["AlarmDescription"]) == 1


@pytest.mark.parametrize("alarm", MODEL_ALARMS, ids=lambda alarm: alarm.kind)
def test_an_alarm_of_a_model_watches_a_metric_that_somebody_publishes(alarm: Any) -> None:
    dimensions = tuple(name for name, _ in alarm.dimensions)
    if alarm.namespace != metric_names.NAMESPACE:
        assert (alarm.metric, dimensions) in OF_AWS[alarm.namespace]
        return
    assert dimensions == ("Model",)
    constant = next(name for name, value in METRICS.items() if value == alarm.metric)
    assert constant in published(), f"nobody publishes {alarm.metric}"


@pytest.mark.parametrize("constant", METRICS)
def test_a_metric_that_has_a_name_is_published(constant: str) -> None:
    assert constant in published()


def test_every_function_that_no_state_machine_covers_has_an_alarm_on_its_errors() -> None:
    machines = [
        it["Properties"]
        for it in RESOURCES.values()
        if it["Type"] == "AWS::Serverless::StateMachine"
    ]
    covered = {
        value["Fn::GetAtt"][0]
        for machine in machines
        for value in machine["DefinitionSubstitutions"].values()
        if "Fn::GetAtt" in value
    }
    functions = {
        name for name, it in RESOURCES.items() if it["Type"] == "AWS::Serverless::Function"
    }
    watched = {_subject(it) for it in ALARMS.values() if it["MetricName"] == "Errors"}
    assert watched == functions - covered


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
