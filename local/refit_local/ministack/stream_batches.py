"""Lambda: collect the records of a stream for the batching window, and deliver failed ones again.

AWS        invokes the function when the batch is full, its payload would exceed 6 MB, or the window
           has passed since the first record; delivers the batch again from the first failed record
MiniStack  invokes it at once, with any payload, and drops records that are reported as failed
Source     Lambda Developer Guide, "Batching behavior" and "Configuring partial batch response with
           DynamoDB and Lambda"; botocore's model, BatchSize ("up to the payload limit for
           synchronous invocation (6 MB)") and MaximumBatchingWindowInSeconds

Here the whole batch is delivered again, so a function sees more records twice than on AWS.
"""

from __future__ import annotations

import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from refit_local.ministack.hooks import function_name
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit_local.ministack.hooks import Document

PAYLOAD_BYTES = 6 * 1024 * 1024
_Begun = dict[tuple[str, int], float]


def install() -> None:
    """Install these patches into MiniStack."""
    Hook.STREAM_RECORDS.wrap(partial(_records_since, {}))
    Hook.EXECUTE_FUNCTION.wrap(_execute)


def _execute(
    original: Callable[..., Document], function: Document, event: Any, *rest: Any, **more: Any
) -> Document:
    outcome = original(function, event, *rest, **more)
    body = outcome.get("body")
    if not isinstance(body, dict) or not body.get("batchItemFailures"):
        return outcome
    records = event.get("Records") or [{}]
    if records[0].get("eventSource") != "aws:dynamodb" or not _reports_failures(function):
        return outcome
    failure = {"errorType": "BatchItemFailures", "errorMessage": json.dumps(body)}
    return {**outcome, "error": True, "body": failure}


def _reports_failures(function: Document) -> bool:
    name = function_name(function)
    return any(
        mapping.get("FunctionName") == name
        and "ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or ())
        for mapping in Hook.EVENT_SOURCES.get().values()
    )


def _records_since(
    begun: _Begun,
    original: Callable[..., list[Document]],
    table: str,
    position: int,
    limit: int,
    **scope: Any,
) -> list[Document]:
    """Return the records of a batch, or none while they are still collected."""
    records = original(table, position, limit, **scope)
    if not records:
        return records
    batch = _within_payload(records)
    first = begun.setdefault((table, position), time.monotonic())
    is_full = len(batch) == limit or len(batch) < len(records)
    if not is_full and time.monotonic() < first + _window_s(table):
        return []
    for key in [key for key in begun if key[0] == table]:
        # A batch that fails is read again at the same position, and does not wait again.
        if key[1] < position:
            del begun[key]
    return batch


def _window_s(table: str) -> float:
    stream = (Hook.TABLES.get().get(table) or {}).get("LatestStreamArn")
    windows = [
        mapping.get("MaximumBatchingWindowInSeconds") or 0
        for mapping in Hook.EVENT_SOURCES.get().values()
        if mapping.get("EventSourceArn") == stream
    ]
    return float(max(windows, default=0))


def _within_payload(records: list[Document]) -> list[Document]:
    size = len('{"Records": []}')
    for count, record in enumerate(records):
        size += len(json.dumps(record, default=str)) + 2
        if size > PAYLOAD_BYTES:
            return records[: max(count, 1)]
    return records
