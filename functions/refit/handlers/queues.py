"""The SQS shell of the handlers: each message by itself, the failed ones reported to Lambda.

The messages stay hidden while their batch is handled, and return within a minute if the process
dies (`message_lease.py`).
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, TypeVar

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from pydantic import BaseModel, Field

from refit.domain.errors import TransientError
from refit.domain.redelivery import is_worth_an_alarm, redelivery_delay_s
from refit.handlers.message_lease import MessageLease
from refit.telemetry import logger, put_failed_message

if TYPE_CHECKING:
    from collections.abc import Callable


class WrittenObject(BaseModel):
    """The object of an "Object Created" event; `version` is None for the latest version."""

    key: str
    version: str | None = Field(None, alias="version-id")


def written_object(message: dict[str, Any]) -> WrittenObject:
    """Read an "Object Created" event of S3."""
    return WrittenObject.model_validate(message["detail"]["object"])


Request = TypeVar("Request")


def per_model(
    parse: Callable[[dict[str, Any]], tuple[str, Request] | None],
    handle: Callable[[str, list[Request]], None],
) -> Callable[[dict[str, Any], Any], Any]:
    """Make a Lambda handler that handles all SQS messages of a batch about one model together.

    If the handling raises, all messages about this model fail, as in `per_message`.

    Args:
        parse: returns the model and the request of the JSON body of a message; None to ignore it.
        handle: handles the requests about one model, in the order of their messages.
    """

    @logger.inject_lambda_context
    def handler(event: dict[str, Any], context: Any) -> Any:
        with MessageLease(event["Records"]) as lease:
            failures = _handle_by_model(parse, handle, event["Records"])

            def raise_failure(record: Any) -> None:
                if record["messageId"] in failures:
                    raise failures[record["messageId"]]

            return _handle_batch(event, context, lease, raise_failure)

    return handler


def _handle_by_model(
    parse: Callable[[dict[str, Any]], tuple[str, Request] | None],
    handle: Callable[[str, list[Request]], None],
    records: list[dict[str, Any]],
) -> dict[str, Exception]:
    """Handle the messages of a batch; return the errors of those that failed, by message id."""
    failures: dict[str, Exception] = {}
    requests: dict[str, dict[str, Request]] = defaultdict(dict)
    for record in records:
        message = record["messageId"]
        try:
            parsed = parse(json.loads(record["body"]))
        except Exception as error:  # this message fails; the others are handled
            failures[message] = error
            continue
        if parsed is not None:
            model, request = parsed
            requests[model][message] = request
    for model, by_message in requests.items():
        try:
            handle(model, list(by_message.values()))
        except Exception as error:  # each message about this model fails
            failures |= dict.fromkeys(by_message, error)
    return failures


def per_message(
    handle: Callable[[dict[str, Any]], None],
) -> Callable[[dict[str, Any], Any], Any]:
    """Make a Lambda handler of a function that handles the JSON body of one SQS message.

    A message whose handling raises is reported as failed, counted for the alarm, and delivered
    again after a short wait; the others of the batch are done. Lambda needs
    `ReportBatchItemFailures` on the event source for this. A batch of which only some messages
    fail is no error of the function, so the function's metric Errors does not count it.
    """

    @logger.inject_lambda_context
    def handler(event: dict[str, Any], context: Any) -> Any:
        with MessageLease(event["Records"]) as lease:
            return _handle_batch(
                event, context, lease, lambda record: handle(json.loads(record["body"]))
            )

    return handler


def _handle_batch(
    event: dict[str, Any], context: Any, lease: MessageLease, handle: Callable[[Any], None]
) -> Any:
    def handle_record(record: Any) -> None:
        try:
            handle(record)
        except Exception as error:
            _prepare_redelivery(record, error, lease, context.function_name)
            raise

    processor = BatchProcessor(event_type=EventType.SQS)
    return process_partial_response(
        event=event, record_handler=handle_record, processor=processor, context=context
    )


def _prepare_redelivery(record: Any, error: Exception, lease: MessageLease, function: str) -> None:
    """Count a failed message, and shorten the time until SQS delivers it again."""
    receives = int(record["attributes"]["ApproximateReceiveCount"])
    if is_worth_an_alarm(receives, is_transient=isinstance(error, TransientError)):
        put_failed_message(function)
    lease.return_soon(record["receiptHandle"], redelivery_delay_s(receives))
