"""Publishers and alarms name the same metrics, and each names one that exists."""

from __future__ import annotations

import re
from typing import Any

import pytest
from refit.domain import metric_names
from refit.domain.model_settings import ModelSettings
from refit.domain.monitoring.alarms import alarms_of
from refit.domain.naming import ResourceNames
from refit_cli.pricing.usage import MODEL_METRICS

from tests.support.published_metrics import (
    AWS_METRICS,
    METRICS,
    RESOURCE_TYPES,
    published_constants,
    statistics_of,
)
from tests.support.template import FUNCTIONS, RESOURCES, ROOT, STATE_MACHINES, of_type

ALARMS = of_type("AWS::CloudWatch::Alarm")
MODEL_ALARMS = alarms_of(ResourceNames("refit", "digits"), "v2", ModelSettings(), 60)


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
    assert statistics_of(alarm["Namespace"], alarm["MetricName"], dimensions)
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
    assert constant in published_constants(), f"{alarm.metric} is never published"


@pytest.mark.parametrize("constant", METRICS)
def test_a_metric_that_has_a_name_is_published(constant: str) -> None:
    assert constant in published_constants()


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


def test_the_documented_costs_count_every_metric_of_a_model() -> None:
    # A classification has no RMSE, and a regression no accuracy.
    count = len(METRICS) - len({metric_names.RMSE, metric_names.BASELINE_RMSE})
    assert count == MODEL_METRICS
    assert f"up to {count} at $0.30" in (ROOT / "docs/aws.md").read_text()
    assert f"up to {count} metrics" in (ROOT / "docs/console.md").read_text()


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
