"""The SQS shell of the handlers: each message by itself, the failed ones reported to Lambda."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from pydantic import BaseModel, Field

from refit.domain.errors import TransientError
from refit.domain.redelivery import is_worth_an_alarm, redelivery_delay_s
from refit.handlers.wiring import services
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


def per_message(
    handle: Callable[[dict[str, Any]], None],
) -> Callable[[dict[str, Any], Any], Any]:
    """Make a Lambda handler of a function that handles the JSON body of one SQS message.

    A message whose handling raises is reported as failed, counted for the alarm, and delivered
    again after a short wait; the others of the batch are done. Lambda needs
    `ReportBatchItemFailures` on the event source for this. A batch of which only some messages
    fail is no error of the function, so the function's metric Errors does not count it.
    """
    processor = BatchProcessor(event_type=EventType.SQS)

    @logger.inject_lambda_context
    def handler(event: dict[str, Any], context: Any) -> Any:
        def handle_record(record: Any) -> None:
            try:
                handle(json.loads(record["body"]))
            except Exception as error:
                _prepare_redelivery(record, error, context.function_name)
                raise

        return process_partial_response(
            event=event, record_handler=handle_record, processor=processor, context=context
        )

    return handler


def _prepare_redelivery(record: Any, error: Exception, function: str) -> None:
    """Count a failed message, and shorten the time until SQS delivers it again."""
    receives = int(record["attributes"]["ApproximateReceiveCount"])
    if is_worth_an_alarm(receives, is_transient=isinstance(error, TransientError)):
        put_failed_message(function)
    services().messaging.return_soon(
        record["eventSourceARN"], record["receiptHandle"], redelivery_delay_s(receives)
    )
