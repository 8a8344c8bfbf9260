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

from refit.telemetry import logger

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

    A message whose handling raises is reported as failed, and SQS delivers it again; the others of
    the batch are done. Lambda needs `ReportBatchItemFailures` on the event source for this.
    """
    processor = BatchProcessor(event_type=EventType.SQS)

    def handle_record(record: Any) -> None:
        handle(json.loads(record["body"]))

    @logger.inject_lambda_context
    def handler(event: dict[str, Any], context: Any) -> Any:
        return process_partial_response(
            event=event, record_handler=handle_record, processor=processor, context=context
        )

    return handler
