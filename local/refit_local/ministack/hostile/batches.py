"""Batches of which one entry is refused.

AWS        answers 200 to PutEvents, PutRecordBatch, BatchGetItem and BatchWriteItem although some
           entries failed, and says which
MiniStack  takes every entry
Source     botocore's models: PutEvents (FailedEntryCount), PutRecordBatch (FailedPutCount),
           BatchGetItem (UnprocessedKeys), BatchWriteItem (UnprocessedItems)

The last entry is the one that fails.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from refit_local.ministack.hooks import Document, Response

_JSON = {"Content-Type": "application/x-amz-json-1.1"}
_FAILURES = {
    "PutEvents": {"ErrorCode": "ThrottlingException", "ErrorMessage": "Rate exceeded"},
    "PutRecordBatch": {
        "ErrorCode": "ServiceUnavailableException",
        "ErrorMessage": "Slow down.",
    },
}
_ENTRIES = {"PutEvents": ("Entries", "Entries"), "PutRecordBatch": ("Records", "RequestResponses")}
_COUNTS = {"PutEvents": "FailedEntryCount", "PutRecordBatch": "FailedPutCount"}
_UNPROCESSED = {"BatchGetItem": "UnprocessedKeys", "BatchWriteItem": "UnprocessedItems"}


def is_batch(service: str, operation: str) -> bool:
    """Return whether AWS can refuse a part of such a request."""
    return service in {"events", "firehose", "dynamodb"} and operation in {*_ENTRIES, *_UNPROCESSED}


async def handle_in_part(
    original: Callable[..., Awaitable[Response]],
    operation: str,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    query: Document,
) -> Response:
    """Let the service handle all entries of a batch but the last, and report that as failed."""
    request = json.loads(body)

    async def handle(shorter: Document) -> Response:
        return await original(method, path, headers, json.dumps(shorter).encode(), query)

    if operation in _ENTRIES:
        return await _handle_entries(handle, operation, request)
    return await _handle_items(handle, operation, request)


async def _handle_entries(
    handle: Callable[[Document], Awaitable[Response]], operation: str, request: Document
) -> Response:
    sent, answered = _ENTRIES[operation]
    accepted: list[Any] = []
    if entries := request[sent][:-1]:
        status, headers, body = await handle({**request, sent: entries})
        if status != 200:
            return status, headers, body
        accepted = json.loads(body)[answered]
    answer = {answered: [*accepted, _FAILURES[operation]], _COUNTS[operation]: 1}
    return 200, _JSON, json.dumps(answer).encode()


async def _handle_items(
    handle: Callable[[Document], Awaitable[Response]], operation: str, request: Document
) -> Response:
    tables = request["RequestItems"]
    name, asked = next(iter(tables.items()))
    is_read = operation == "BatchGetItem"
    entries = asked["Keys"] if is_read else asked
    if len(entries) < 2:  # AWS fails the request if it can process nothing
        return await handle(request)
    done, left = entries[:-1], entries[-1:]
    rest = {key: value for key, value in tables.items() if key != name}
    shorter = {name: {**asked, "Keys": done} if is_read else done}
    status, headers, body = await handle({**request, "RequestItems": shorter | rest})
    if status != 200:
        return status, headers, body
    unprocessed = {name: {**asked, "Keys": left} if is_read else left}
    answer = json.loads(body) | {_UNPROCESSED[operation]: unprocessed}
    return status, headers, json.dumps(answer).encode()
