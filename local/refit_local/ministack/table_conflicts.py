"""DynamoDB: transactions take time, and writes that meet one are refused.

AWS        cancels a TransactWriteItems with the reason TransactionConflict if one of its items is
           part of a transaction that is still running, and refuses a PutItem, UpdateItem or
           DeleteItem of such an item with TransactionConflictException. Neither waits. Refuses a
           transaction whose items have more than 4 MB together, before and after it.
MiniStack  applies each request at once, so two writers never meet; compares the request with 4 MB
Source     DynamoDB Developer Guide, "Amazon DynamoDB Transactions: How it works", "Transaction
           conflict handling in DynamoDB"; botocore's model of TransactWriteItems and of
           TransactionCanceledException ("Transaction is ongoing for the item")

AWS publishes no duration of a transaction. Here one takes 5 ms and 0.2 ms for each item, so 25 ms
for 100 items; `REFIT_TRANSACTION_MS` replaces the 5. BatchWriteItem meets no transaction, because
its model has no such error.
"""

from __future__ import annotations

import asyncio
import json
import os
from functools import partial
from typing import TYPE_CHECKING, Any

from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from refit_local.ministack.hooks import Document, Response

_TRANSACTION_MS = 5
_ITEM_S = 0.0002
_AGGREGATE_BYTES = 4 * 1024 * 1024
_BYTES_PER_CHARACTER = 4  # at most, in UTF-8
_ONGOING = "Transaction is ongoing for the item"

_Key = tuple[str, ...]


def install() -> None:
    """Install these patches into MiniStack."""
    transaction_s = float(os.environ.get("REFIT_TRANSACTION_MS", _TRANSACTION_MS)) / 1000
    Hook.TABLES_HANDLE.wrap(partial(_handle, set(), transaction_s))


async def _handle(
    running: set[_Key],
    transaction_s: float,
    original: Callable[..., Awaitable[Response]],
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    query: Document,
) -> Response:
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    request = (method, path, headers, body, query)
    if operation in {"PutItem", "UpdateItem", "DeleteItem"}:
        if running and _key(json.loads(body)) in running:
            return _refused("TransactionConflictException", _ONGOING)
    elif operation == "TransactWriteItems":
        writes = list(_writes(json.loads(body)))
        keys = [_key(write) for write in writes]
        if not running.isdisjoint(keys):
            return _cancelled([key in running for key in keys])
        running.update(keys)
        try:
            await asyncio.sleep(transaction_s + _ITEM_S * len(keys))
            if _are_too_large(writes):
                return _refused(
                    "ValidationException",
                    "The aggregate size of the items in the transaction exceeds 4 MB",
                )
            return await original(*request)
        finally:
            running.difference_update(keys)
    return await original(*request)


def _writes(request: Document) -> Iterator[Document]:
    for element in request.get("TransactItems") or ():
        yield from element.values()


def _key(write: Mapping[str, Any]) -> _Key:
    """Return what identifies the item of a write, also if the request is not valid."""
    table = _table_of(write)
    attributes = write.get("Item") or write.get("Key") or {}
    names = (table["pk_name"], table["sk_name"]) if table else ()
    values = [json.dumps(attributes.get(name)) for name in names if name]
    return (str(write.get("TableName")), *values)


def _table_of(write: Mapping[str, Any]) -> Document | None:
    table: Document | None = Hook.TABLES.get().get(str(write.get("TableName")))
    return table


def _are_too_large(writes: list[Document]) -> bool:
    if sum(_size(write, _most_bytes) for write in writes) <= _AGGREGATE_BYTES:
        return False
    size_of = Hook.ITEM_BYTES.get()
    return sum(_size(write, size_of) for write in writes) > _AGGREGATE_BYTES


def _most_bytes(item: Document) -> int:
    """Return what an item takes at most: MiniStack's exact measure takes many times as long."""
    return _BYTES_PER_CHARACTER * len(repr(item))


def _size(write: Mapping[str, Any], size_of: Callable[[Document], int]) -> int:
    """Return the size of the item of a write: the stored one or the new one, if that is larger."""
    table = _table_of(write)
    if table is None:
        return 0
    value_of = Hook.KEY_VALUE.get()
    new = write.get("Item") or {}
    key = new or write.get("Key") or {}
    partition = table["items"].get(value_of(key.get(table["pk_name"])), {})
    sort = value_of(key.get(table["sk_name"])) if table["sk_name"] else "__no_sort__"
    stored = partition.get(sort)
    added = write.get("ExpressionAttributeValues") or {}
    grown = size_of(added) + (size_of(stored) if stored else 0)
    return max(grown, size_of(new))


def _cancelled(conflicts: list[bool]) -> Response:
    reasons = [
        {"Code": "TransactionConflict", "Message": _ONGOING} if conflict else {"Code": "None"}
        for conflict in conflicts
    ]
    codes = ", ".join(reason["Code"] for reason in reasons)
    return _refused(
        "TransactionCanceledException",
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]",
        CancellationReasons=reasons,
    )


def _refused(code: str, message: str, **details: Any) -> Response:
    answer = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message, **details}
    headers = {"Content-Type": "application/x-amz-json-1.0", "x-amzn-errortype": code}
    return 400, headers, json.dumps(answer).encode()
