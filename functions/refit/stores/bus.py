"""What Refit tells the world: events on the bus, notices to people, pokes to its own queue."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

from refit.domain.errors import ServiceThrottled
from refit.environment import environment
from refit.stores.clients import client, passing_troubles_named


class EventName(StrEnum):
    """The detail-types of source `refit` (design 4.7)."""

    RUN_STARTED = "Run Started"
    RUN_FINISHED = "Run Finished"
    MODEL_PROMOTED = "Model Promoted"
    DEPLOYMENT_ROLLED_BACK = "Deployment Rolled Back"
    DRIFT_DETECTED = "Drift Detected"
    GROUND_TRUTH_REJECTED = "Ground Truth Rejected"
    RETRAINING_REQUESTED = "Retraining Requested"
    RETRAINING_UNBLOCKED = "Retraining Unblocked"


def publish(name: EventName, detail: dict[str, Any]) -> None:
    """Put one event on the bus.

    Raises:
        ServiceThrottled: when the bus did not take it.
    """
    entry = {
        "Source": "refit",
        "DetailType": name.value,
        "Detail": json.dumps(detail, default=str),
        "EventBusName": environment().event_bus,
    }
    with passing_troubles_named():
        answer = client("events").put_events(Entries=[entry])
    if answer["FailedEntryCount"]:
        raise ServiceThrottled(f"the event bus refused {name.value}: {answer['Entries'][0]}")


def notify(subject: str, message: str) -> None:
    """Send a notice to the people who subscribed to the topic."""
    plain = subject.encode("ascii", "replace").decode()[:100]  # all that SNS takes as a subject
    with passing_troubles_named():
        client("sns").publish(
            TopicArn=environment().notices_topic_arn, Subject=plain, Message=message
        )


def poke_ingest(model: str) -> None:
    """Make ingest look at a model's drop folder again."""
    _poke(environment().ingest_queue_url, model)


def poke_check_drift(model: str) -> None:
    """Make detect_drift judge a model now."""
    _poke(environment().check_drift_queue_url, model)


def poke_retrain(model: str, delay_s: int | None = None) -> None:
    """Make retrain look at what a model's state asks for, now or a little later."""
    _poke(environment().retrain_queue_url, model, delay_s)


def _poke(queue_url: str, model: str, delay_s: int | None = None) -> None:
    """Send a poke; without a delay of its own it waits as long as the queue says."""
    delay = {} if delay_s is None else {"DelaySeconds": delay_s}
    body = json.dumps({"model": model})
    with passing_troubles_named():
        client("sqs").send_message(QueueUrl=queue_url, MessageBody=body, **delay)
