"""Messaging, Executions and Alarms: what is sent to the bus, the topic, queues and CloudWatch."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from refit.domain.errors import ServiceThrottled
from refit.domain.vocabulary import EventName
from refit.stores.alarms import Alarms
from refit.stores.executions import Executions

from tests.support.aws_clients import FailingClient, client_error
from tests.support.aws_stack import REGION

if TYPE_CHECKING:
    from tests.support.aws_stack import Stack


def test_an_event_is_published_with_its_name_and_detail(stack: Stack) -> None:
    stack.services.messaging.publish(EventName.RUN_STARTED, {"model": "digits"})
    (event,) = stack.messages(stack.bus_queue)
    assert (event["source"], event["detail-type"]) == ("refit", "Run Started")
    assert event["detail"] == {"prefix": "refit", "model": "digits"}


def test_an_event_that_the_bus_refuses_is_a_transient_error(stack: Stack) -> None:
    refused = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]}
    bus = SimpleNamespace(put_events=lambda **_: refused)
    messaging = stack.with_clients(events=bus).messaging
    with pytest.raises(ServiceThrottled, match=r"rejected Run Started: .*InternalFailure"):
        messaging.publish(EventName.RUN_STARTED, {})


def test_a_notice_has_a_subject_of_one_line_and_less_than_100_characters(stack: Stack) -> None:
    stack.services.messaging.notify("Größe\n" + "x" * 200, "Größe")
    (notice,) = stack.messages(stack.notices_queue)
    assert notice["Subject"] == "Gr??e " + "x" * 93
    assert notice["Message"] == "Größe"


def test_a_model_is_enqueued_for_each_function(stack: Stack) -> None:
    messaging = stack.services.messaging
    messaging.enqueue_ingest("digits")
    messaging.enqueue_check_drift("digits")
    messaging.enqueue_retrain("digits")
    for queue in (stack.ingest_queue, stack.detect_queue, stack.retrain_queue):
        assert stack.messages(queue) == [{"model": "digits"}]


def test_a_message_can_be_delayed(stack: Stack) -> None:
    stack.services.messaging.enqueue_retrain("digits", delay_s=60)
    assert stack.messages(stack.retrain_queue) == []
    attributes = boto3.client("sqs", REGION).get_queue_attributes(
        QueueUrl=stack.retrain_queue, AttributeNames=["ApproximateNumberOfMessagesDelayed"]
    )["Attributes"]
    assert attributes["ApproximateNumberOfMessagesDelayed"] == "1"


@pytest.mark.parametrize("code", ["RequestThrottled", "ThrottlingException"])
def test_a_queue_that_throttles_is_a_transient_error(stack: Stack, code: str) -> None:
    busy = FailingClient(None, send_message=client_error(code))
    with pytest.raises(ServiceThrottled, match=code):
        stack.with_clients(sqs=busy).messaging.enqueue_ingest("digits")


def test_an_execution_is_started_once_and_its_arn_is_returned_each_time(stack: Stack) -> None:
    executions = stack.services.executions
    arn = executions.start_training("digits", "0f1e2d3c4b5a")
    exists = client_error("ExecutionAlreadyExists")
    repeated = Executions(FailingClient(None, start_execution=exists), stack.train)
    assert repeated.start_training("digits", "0f1e2d3c4b5a") == arn
    assert stack.executions() == ["digits-0f1e2d3c4b5a"]


def test_another_error_at_the_start_of_an_execution_is_raised(stack: Stack) -> None:
    missing = client_error("StateMachineDoesNotExist")
    executions = Executions(FailingClient(None, start_execution=missing), stack.train)
    with pytest.raises(ClientError, match="StateMachineDoesNotExist"):
        executions.start_training("digits", "0f1e2d3c4b5a")


def alarm(name: str) -> dict[str, Any]:
    return {
        "AlarmName": name,
        "Namespace": "Refit",
        "MetricName": "Errors",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    }


def alarm_names() -> list[str]:
    alarms = boto3.client("cloudwatch", REGION).describe_alarms()["MetricAlarms"]
    return sorted(entry["AlarmName"] for entry in alarms)


def test_alarms_are_put_and_deleted(stack: Stack) -> None:
    alarms = stack.services.alarms
    alarms.put([alarm("a"), alarm("b")])
    alarms.delete(["a", "unknown"])
    assert alarm_names() == ["b"]


def test_deleting_no_alarms_sends_no_request() -> None:
    Alarms(FailingClient(None, delete_alarms=AssertionError("no request"))).delete([])
