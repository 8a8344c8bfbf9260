"""Send messages: events to the event bus, notices to people, and messages to Refit's queues."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from refit.domain.errors import ServiceThrottled
from refit.domain.one_line import one_line
from refit.stores.clients import translate_transient_errors
from refit.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit.domain.vocabulary import EventName
    from refit.environment import Environment

_MAX_SUBJECT_CHARACTERS = 99  # SNS requires one line of less than 100 ASCII characters


class Messaging:
    """Publishes events, notifies people, and enqueues work for other functions."""

    def __init__(self, client: Callable[[str], Any], environment: Environment) -> None:
        self._client = client
        self._environment = environment
        self._queue_urls: dict[str, str] = {}

    def publish(self, name: EventName, detail: dict[str, Any]) -> str:
        """Put one event on the bus, and return its id.

        Its prefix tells the stack, as the bus may serve several.

        Raises:
            ServiceThrottled: when the event bus did not accept the event.
        """
        entry = {
            "Source": "refit",
            "DetailType": name.value,
            "Detail": json.dumps({"prefix": self._environment.name_prefix, **detail}, default=str),
        }
        with translate_transient_errors():
            answer = self._client("events").put_events(Entries=[entry])
        if answer["FailedEntryCount"]:
            raise ServiceThrottled(f"the event bus rejected {name.value}: {answer['Entries'][0]}")
        return str(answer["Entries"][0]["EventId"])

    def notify(self, subject: str, message: str) -> None:
        """Send a notice to the subscribers of the notices topic."""
        line = one_line(subject, _MAX_SUBJECT_CHARACTERS)
        with translate_transient_errors():
            self._client("sns").publish(
                TopicArn=self._environment.notices_topic_arn,
                Subject=line.encode("ascii", "replace").decode(),
                Message=message,
            )

    def enqueue_ingest(self, model: str) -> None:
        """Enqueue a message that makes Ingest check the drop folder of a model."""
        self._enqueue(self._environment.ingest_queue_url, {"model": model})

    def enqueue_drop_check(self, model: str, run: str, delay_s: int) -> None:
        """Enqueue a message that makes Ingest start a run if its files are still the new ones."""
        message = {"model": model, "run": run}
        self._enqueue(self._environment.ingest_queue_url, message, delay_s)

    def enqueue_check_drift(self, model: str) -> None:
        """Enqueue a message that makes CheckDrift check a model now."""
        self._enqueue(self._environment.check_drift_queue_url, {"model": model})

    def enqueue_retrain(self, model: str, delay_s: int | None = None) -> None:
        """Enqueue a message that makes Retrain take the next step for a model.

        Args:
            model: name of the model.
            delay_s: seconds to wait; None for the default of the queue.
        """
        self._enqueue(self._environment.retrain_queue_url, {"model": model}, delay_s)

    def return_soon(self, queue_arn: str, receipt_handle: str, delay_s: int) -> None:
        """Make a message that a function has received visible again after some seconds.

        If that fails, the message returns after the visibility timeout of its queue.
        """
        if reason := self._hide(queue_arn, receipt_handle, delay_s):
            logger.warning("a failed message waits longer", extra={"reason": reason})

    def hide(self, queue_arn: str, receipt_handle: str, duration_s: int) -> None:
        """Hide a message that a function has received for a number of seconds from now.

        If that fails, it stays hidden for as long as before.

        Args:
            queue_arn: ARN of its queue.
            receipt_handle: of the message.
            duration_s: 0 to 43,200, counted from now.
        """
        if reason := self._hide(queue_arn, receipt_handle, duration_s):
            logger.warning("a message was not hidden longer", extra={"reason": reason})

    def _hide(self, queue_arn: str, receipt_handle: str, duration_s: int) -> str | None:
        """Change when a message is visible again; return why that failed."""
        try:
            self._client("sqs").change_message_visibility(
                QueueUrl=self._queue_url(queue_arn),
                ReceiptHandle=receipt_handle,
                VisibilityTimeout=duration_s,
            )
        except (BotoCoreError, ClientError) as error:
            return str(error)
        return None

    def _queue_url(self, queue_arn: str) -> str:
        if queue_arn not in self._queue_urls:
            account, queue = queue_arn.split(":")[4:6]
            answer = self._client("sqs").get_queue_url(
                QueueName=queue, QueueOwnerAWSAccountId=account
            )
            self._queue_urls[queue_arn] = answer["QueueUrl"]
        return self._queue_urls[queue_arn]

    def _enqueue(self, queue_url: str, message: dict[str, str], delay_s: int | None = None) -> None:
        delay = {} if delay_s is None else {"DelaySeconds": delay_s}
        with translate_transient_errors():
            self._client("sqs").send_message(
                QueueUrl=queue_url, MessageBody=json.dumps(message), **delay
            )
