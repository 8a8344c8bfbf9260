"""The SQS shell of the handlers: each message by itself, the failed ones reported to Lambda."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Generic, TypeVar

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
        batch = _BatchByModel(parse, handle, event["Records"])
        return _handle_batch(event, context, batch.handle_record)

    return handler


class _BatchByModel(Generic[Request]):
    """The messages of one batch. The first message about a model handles all about it."""

    def __init__(
        self,
        parse: Callable[[dict[str, Any]], tuple[str, Request] | None],
        handle: Callable[[str, list[Request]], None],
        records: list[dict[str, Any]],
    ) -> None:
        self._handle = handle
        self._models: dict[str, str] = {}
        self._requests: dict[str, list[Request]] = {}
        self._failures: dict[str, Exception] = {}
        for record in records:
            message = record["messageId"]
            try:
                parsed = parse(json.loads(record["body"]))
            except Exception as error:  # this message fails; the others are handled
                self._failures[message] = error
                continue
            if parsed is not None:
                self._models[message], request = parsed
                self._requests.setdefault(parsed[0], []).append(request)

    def handle_record(self, record: Any) -> None:
        """Handle one message; raise what its handling raises."""
        message = record["messageId"]
        model = self._models.get(message)
        requests = self._requests.pop(model, None) if model is not None else None
        if model is not None and requests is not None:
            try:
                self._handle(model, requests)
            except Exception as error:  # for each of these messages
                self._failures |= {
                    other: error for other, name in self._models.items() if name == model
                }
        if message in self._failures:
            raise self._failures[message]


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
        return _handle_batch(event, context, lambda record: handle(json.loads(record["body"])))

    return handler


def _handle_batch(event: dict[str, Any], context: Any, handle: Callable[[Any], None]) -> Any:
    def handle_record(record: Any) -> None:
        try:
            handle(record)
        except Exception as error:
            _prepare_redelivery(record, error, context.function_name)
            raise

    processor = BatchProcessor(event_type=EventType.SQS)
    return process_partial_response(
        event=event, record_handler=handle_record, processor=processor, context=context
    )


def _prepare_redelivery(record: Any, error: Exception, function: str) -> None:
    """Count a failed message, and shorten the time until SQS delivers it again."""
    receives = int(record["attributes"]["ApproximateReceiveCount"])
    if is_worth_an_alarm(receives, is_transient=isinstance(error, TransientError)):
        put_failed_message(function)
    services().messaging.return_soon(
        record["eventSourceARN"], record["receiptHandle"], redelivery_delay_s(receives)
    )
