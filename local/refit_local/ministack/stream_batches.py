"""Lambda: collect the records of a DynamoDB stream for the batching window, up to 6 MB.

AWS        invokes the function when the batch is full, its payload would exceed 6 MB, or the window
           has passed since the first record
MiniStack  invokes it at once, with any payload
Source     Lambda Developer Guide, "Batching behavior"; botocore's model, BatchSize ("up to the
           payload limit for synchronous invocation (6 MB)") and MaximumBatchingWindowInSeconds
"""

from __future__ import annotations

import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit_local.ministack.hooks import Document

PAYLOAD_BYTES = 6 * 1024 * 1024
_Begun = dict[tuple[str, int], float]


def install() -> None:
    """Install this patch into MiniStack."""
    Hook.STREAM_RECORDS.wrap(partial(_records_since, {}))


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
