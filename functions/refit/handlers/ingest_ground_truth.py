"""Take the labels of a file.

Invoked by  GroundTruthQueue, for each object below {model}/ground-truth/ (batches of up to 10)
Input       SQS records around "Object Created" events    events/ingest_ground_truth.json
Output      the failed message ids only
Raises      nothing of its own: a message that keeps failing goes to the dead-letter queue

A label that does not say when it was observed was observed when its file was written. So a file
that is delivered again, or is taken up again after a failure, tells only what is known already.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)

from refit.domain.errors import DatasetNotFound
from refit.domain.inferences.ground_truth_records import MAX_RECORDS
from refit.stores import s3
from refit.tabular.label_files import labels_in
from refit.telemetry import logger
from refit.usecases import find_model as drops
from refit.usecases.record_labels import Rejections, record_labels

if TYPE_CHECKING:
    from datetime import datetime

    from refit.domain.inferences.ground_truth import Status

_BLOCK_BYTES = 1024 * 1024

processor = BatchProcessor(event_type=EventType.SQS)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> Any:
    """Handle a batch of messages, each by itself."""
    return process_partial_response(
        event=event, record_handler=_ingest, processor=processor, context=context
    )


def _ingest(record: Any) -> None:
    dropped = json.loads(record["body"])["detail"]["object"]
    key, version = dropped["key"], dropped.get("version-id")
    model = drops.model_of(key, "ground-truth")
    if model is None or key.endswith("/"):
        return
    try:
        written_at = s3.last_modified(key, version)
        counted = _recorded(model, key, version, written_at)
    except DatasetNotFound as error:
        logger.warning("labels are gone", extra={"model": model, "reason": str(error)})
        return
    logger.info("labels taken", extra={"model": model, "file": key, "counts": counted})


def _recorded(model: str, key: str, version: str | None, written_at: datetime) -> Counter[Status]:
    counted: Counter[Status] = Counter()
    rejections = Rejections(model, key)
    stream = s3.open_stream(key, version)
    labels = labels_in(iter(partial(stream.read, _BLOCK_BYTES), b""), key)
    while some := list(islice(labels, MAX_RECORDS)):
        outcomes = record_labels(model, some, written_at)
        rejections.add(some, outcomes)
        counted.update(outcome.status for outcome in outcomes)
    rejections.tell(written_at)
    return counted
