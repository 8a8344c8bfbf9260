"""Take captured inferences: one item for each predicted row.

Invoked by  IngestCapturesQueue, for each capture file of a model (batches of up to 5)
Input       SQS records around "Object Created" events    events/ingest_captures.json
Output      the failed message ids only
Raises      nothing of its own: a message that keeps failing goes to the dead-letter queue

Whoever wrote the file, the predict API or the endpoint itself, its lines have the form of
SageMaker's data capture. A file that is delivered again changes nothing.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)

from refit.domain.inferences.captured import capture_key_of
from refit.telemetry import logger
from refit.usecases.ingest_captures import consume

processor = BatchProcessor(event_type=EventType.SQS)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> Any:
    """Handle a batch of messages, each by itself."""
    return process_partial_response(
        event=event, record_handler=_capture, processor=processor, context=context
    )


def _capture(record: Any) -> None:
    written = json.loads(record["body"])["detail"]["object"]
    key = written["key"]
    place = capture_key_of(key)
    if place is None:
        logger.warning("no capture file of a model", extra={"key": key})
        return
    consumed = consume(place, key, written.get("version-id"), datetime.now(UTC))
    logger.info("captured", extra={"model": place.model, "file": key, **asdict(consumed)})
