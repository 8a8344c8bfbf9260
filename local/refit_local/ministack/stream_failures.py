"""What becomes of a stream batch whose function failed.

Source: Lambda Developer Guide, "Using AWS Lambda with Amazon DynamoDB", sections "Error handling"
(also for the shape of `discarded_batch`) and "Reporting batch item failures".
"""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refit_local.ministack.hooks import Document

SHARD = "shardId-00000000000000000000-00000000"
"""The only shard of a stream in MiniStack."""


@dataclass(frozen=True)
class Batch:
    """Records of a stream that a function receives together.

    Attributes:
        records: at least one record.
        positions: positions of the records in the stream.
        end: position from which the stream is read after the batch.
        retries: how often the function has received this same batch again.
    """

    records: Sequence[Document]
    positions: Sequence[int]
    end: int
    retries: int = 0

    def part(self, start: int, stop: int) -> Batch:
        """Return some of the records as a batch that the function has not received yet."""
        end = self.positions[stop] if stop < len(self.records) else self.end
        return Batch(self.records[start:stop], self.positions[start:stop], end)


class Discarded(Enum):
    """Why a batch is not delivered again."""

    TOO_OLD = "MaxRecordAgeExceeded"
    RETRIED = "RetryAttemptsExhausted"


def first_failed(batch: Batch, outcome: Document, mapping: Document) -> int | None:
    """Return the index of the first record that failed; None if no record failed."""
    if outcome.get("error"):
        return 0
    body = outcome.get("body")
    if "ReportBatchItemFailures" not in (mapping.get("FunctionResponseTypes") or ()):
        return None
    failures = body.get("batchItemFailures") if isinstance(body, dict) else None
    if not failures:
        return None
    numbers = [record["dynamodb"]["SequenceNumber"] for record in batch.records]
    try:
        return min(numbers.index(failure["itemIdentifier"]) for failure in failures)
    except (KeyError, TypeError, ValueError):
        return 0  # "treats a batch as a complete failure" if an identifier is empty or not named so


def after_failure(
    batch: Batch, failed: int, mapping: Document, now: float
) -> list[Batch] | Discarded:
    """Return what is delivered instead of a batch, in order, or why nothing is.

    Args:
        batch: the batch that the function has received.
        failed: index of the first record that failed.
        mapping: the event source mapping, as MiniStack records it.
        now: Unix time.
    """
    count = len(batch.records)
    if failed:  # "retries all records starting from that checkpoint"
        return [batch.part(failed, count)]
    age_limit = int(mapping.get("MaximumRecordAgeInSeconds") or -1)
    if 0 < age_limit < now - _arrival(batch.records[0]):
        return Discarded.TOO_OLD
    if mapping.get("BisectBatchOnFunctionError") and count > 1:
        # "Splitting a batch does not count towards the retry quota"
        return [batch.part(0, count // 2), batch.part(count // 2, count)]
    limit = mapping.get("MaximumRetryAttempts")
    if limit is not None and 0 <= int(limit) <= batch.retries:
        return Discarded.RETRIED
    return [replace(batch, retries=batch.retries + 1)]


def discarded_batch(
    batch: Batch,
    reason: Discarded,
    outcome: Document,
    mapping: Mapping[str, Any],
    function_arn: str,
) -> str:
    """Return the message that a failure destination receives. It does not have the records."""
    first, last = batch.records[0], batch.records[-1]
    message = {
        "requestContext": {
            "requestId": str(uuid.uuid4()),
            "functionArn": function_arn,
            "condition": reason.value,
            "approximateInvokeCount": batch.retries + 1,
        },
        "responseContext": {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": "Unhandled" if outcome.get("error") else None,
        },
        "version": "1.0",
        "timestamp": _text(time.time(), "milliseconds"),
        "DDBStreamBatchInfo": {
            "shardId": SHARD,
            "startSequenceNumber": first["dynamodb"]["SequenceNumber"],
            "endSequenceNumber": last["dynamodb"]["SequenceNumber"],
            "approximateArrivalOfFirstRecord": _text(_arrival(first), "seconds"),
            "approximateArrivalOfLastRecord": _text(_arrival(last), "seconds"),
            "batchSize": len(batch.records),
            "streamArn": mapping["EventSourceArn"],
        },
    }
    return json.dumps(message)


def _arrival(record: Document) -> float:
    return float(record["dynamodb"]["ApproximateCreationDateTime"])


def _text(at: float, precision: str) -> str:
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec=precision)
    return text.replace("+00:00", "Z")
