"""DynamoDB: tables, streams and their positions are on disk, not in memory.

AWS        has stored a write before it answers, and a transaction as a whole; a stream keeps its
           records for 24 hours
MiniStack  keeps items, stream records and the requests of transactions in memory, and writes them
           to a file when it ends, without the stream records
Source     DynamoDB Developer Guide, "Amazon DynamoDB Transactions: How it works" and "Change data
           capture for DynamoDB Streams"; botocore's model of TransactWriteItems, ClientRequestToken

Each write is one transaction of the database: the item, its stream record and its token.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from refit_local.ministack import hooks
from refit_local.ministack.names import Hook
from refit_local.state.database import read_snapshot, write_snapshot
from refit_local.state.table_items import TableItems
from refit_local.state.table_streams import StreamLogs, StreamPositions
from refit_local.state.transaction_tokens import TransactionTokens

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from refit_local.ministack.hooks import Document, Response
    from refit_local.state.database import Database
    from refit_local.state.table_items import Item, StoredItems
    from refit_local.state.table_streams import Key

_SERVICE = "dynamodb"
_ITEMS = "items"
_INDEX_MEMBERS = "_index_members"
_DERIVED = ("ItemCount", "TableSizeBytes")
_BYTES_OF_ITEM = 200  # MiniStack's estimate
_PAGE_BYTES = 1024 * 1024
_TOKEN_S = 600
_SWEEP_S = 60
_WRITES = (
    Hook.PUT_ITEM,
    Hook.UPDATE_ITEM,
    Hook.DELETE_ITEM,
    Hook.WRITE_BATCH,
    Hook.WRITE_TRANSACTION,
    Hook.STATEMENT,
    Hook.STATEMENT_BATCH,
    Hook.STATEMENT_TRANSACTION,
)
_ITEM_OPERATIONS = frozenset(
    {
        "PutItem",
        "UpdateItem",
        "DeleteItem",
        "GetItem",
        "Query",
        "Scan",
        "BatchWriteItem",
        "BatchGetItem",
        "TransactWriteItems",
        "TransactGetItems",
        "ExecuteStatement",
        "BatchExecuteStatement",
        "ExecuteTransaction",
    }
)
_RESOURCES = ("AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable")

log = logging.getLogger("refit.stack.tables")


class _Table(dict[str, Any]):
    """MiniStack's record of a table, whose items are stored."""

    def __init__(self, table: Document, items: StoredItems) -> None:
        super().__init__(table)
        super().__setitem__(_ITEMS, items)

    def __setitem__(self, name: str, value: Any) -> None:
        if name == _ITEMS:
            self[_ITEMS].replace(value)
        else:
            super().__setitem__(name, value)

    def count_again(self) -> None:
        """Set what MiniStack derives from the items of a table."""
        self.pop(_INDEX_MEMBERS, None)
        self["ItemCount"] = self[_ITEMS].count()
        self["TableSizeBytes"] = self["ItemCount"] * _BYTES_OF_ITEM


class _Tables(MutableMapping[tuple[str, str, str], Any]):
    """MiniStack's tables by account, region and name."""

    def __init__(self, items: TableItems) -> None:
        self._items = items
        self._tables: dict[Key, _Table] = {}
        self._shown = threading.local()

    def load(self, key: Key, definition: Document) -> None:
        """Add a table with the items that are stored."""
        table = _Table(definition, self._items.of(*key))
        table.count_again()
        self._tables[key] = table

    @contextmanager
    def showing(self, key: Key, table: Document) -> Iterator[None]:
        """Return another record of a table to the caller's thread until the block ends."""
        self._shown.value = key, table
        try:
            yield
        finally:
            del self._shown.value

    def __getitem__(self, key: Key) -> Any:
        shown = getattr(self._shown, "value", None)
        return shown[1] if shown and shown[0] == key else self._tables[key]

    def __setitem__(self, key: Key, table: Document) -> None:
        items = self._items.of(*key)
        items.replace(table[_ITEMS])
        self._tables[key] = _Table(table, items)

    def __delitem__(self, key: Key) -> None:
        self._tables.pop(key)[_ITEMS].clear()

    def __iter__(self) -> Iterator[Key]:
        return iter(list(self._tables))

    def __len__(self) -> int:
        return len(self._tables)


class _Store:
    """What is stored of DynamoDB."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.items = TableItems(database)
        self.tables = _Tables(self.items)
        self.logs = StreamLogs(database)
        self.positions = StreamPositions(database)
        self.tokens = TransactionTokens(database)
        self._swept_at = 0.0
        self._definitions = read_snapshot(database, _SERVICE) or b""
        self._state: Callable[[], Document] = Hook.TABLES_STATE.get()

    def load(self) -> None:
        """Give MiniStack the tables, streams and positions that are stored."""
        Hook.TABLES.get()._data = self.tables
        Hook.STREAM_LOGS.get()._data = self.logs
        Hook.STREAM_POSITIONS.get()._data = self.positions
        self._set_horizons()
        if self._definitions:
            state = json.loads(self._definitions, object_hook=Hook.STATE_FROM_JSON.get())
            for key, table in state.pop("tables")._data.items():
                self.tables.load(key, table)
            Hook.RESTORE_TABLES.get()(state)

    def save_definitions(self) -> None:
        """Store all of DynamoDB but items and streams, if it has changed."""
        state = self._state()
        for table in state["tables"].all_values():
            for name in _DERIVED:
                table.pop(name, None)
        text = json.dumps(state, default=Hook.STATE_TO_JSON.get()).encode()
        if text != self._definitions:
            write_snapshot(self.database, _SERVICE, text)
            self._definitions = text

    def write(self, original: Callable[[Document], Response], request: Document) -> Response:
        """Write all of a request, or nothing."""
        try:
            with self.database.transaction():
                return original(request)
        except Exception as error:
            self._forget_unstored()
            if not isinstance(error, sqlite3.Error):
                raise
            log.error("a write to DynamoDB was not stored: %s", error)
            return _not_stored(error)

    def _forget_unstored(self) -> None:
        self.items.forget()
        self.logs.reload()
        self._set_horizons()
        for table in self.tables.values():
            table.count_again()

    def _set_horizons(self) -> None:
        trimmed = Hook.STREAM_TRIMMED.get()
        for key, records in self.logs.items():
            trimmed.set_scoped(*key, records.start)

    def scan(self, original: Callable[[Document], Response], request: Document) -> Response:
        """Scan a table without reading all of its items for each page."""
        key = hooks.account(), hooks.region(), str(request.get("TableName"))
        table = self.tables.get(key)
        if table is None or "IndexName" in request or "Segment" in request:
            return original(request)
        with self.tables.showing(key, {**table, _ITEMS: _page(table, request)}):
            return original(request)

    def read_token(self, token: str) -> Document | None:
        """Return the entry of a transaction that was completed in the last 10 minutes."""
        scope = hooks.account(), hooks.region()
        return self.tokens.read(scope, token, time.time() - _TOKEN_S)

    def store_token(self, token: str, entry: Document) -> None:
        """Store the entry of a transaction that is completed."""
        now = time.time()
        self.tokens.store((hooks.account(), hooks.region()), token, entry, now)
        if now >= self._swept_at + _SWEEP_S:
            self._swept_at = now
            self.tokens.delete_before(now - _TOKEN_S)


def install(database: Database) -> None:
    """Install these patches into MiniStack, and give it what is stored."""
    store = _Store(database)
    store.load()
    for write in _WRITES:
        write.wrap(store.write)
    Hook.SCAN.wrap(store.scan)
    Hook.TOKEN_LOOKUP.put(store.read_token)
    Hook.TOKEN_STORE.put(store.store_token)
    Hook.INDEX_MEMBERS.put(_index_members)
    # MiniStack's own files have nothing of DynamoDB.
    Hook.TABLES_STATE.put(lambda: None)
    Hook.LOAD_TABLES.put(lambda state: None)
    Hook.TABLES_HANDLE.wrap(partial(_handle, store))
    for resource in _RESOURCES:
        provisioner = Hook.PROVISIONERS.get()[resource]
        for action in ("create", "update", "delete"):
            provisioner[action] = partial(_provision, store, provisioner[action])


async def _handle(
    store: _Store,
    original: Callable[..., Awaitable[Response]],
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    query: Document,
) -> Response:
    response = await original(method, path, headers, body, query)
    if headers.get("x-amz-target", "").rpartition(".")[2] not in _ITEM_OPERATIONS:
        store.save_definitions()
    return response


def _provision(store: _Store, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Create, update or delete a table of a CloudFormation stack."""
    try:
        return original(*args, **kwargs)
    finally:
        store.save_definitions()


def _index_members(table: _Table) -> Document:
    """Return the keys of the items in each index: index, its partition, then the keys as a set.

    They are in memory, so an index of all items of a large table takes memory as well.
    """
    members: Document | None = table.get(_INDEX_MEMBERS)
    if members is None:
        members = table[_INDEX_MEMBERS] = {}
        for index, hashes, ranges in Hook.INDEX_SCHEMAS.get()(table):
            partitions = members.setdefault(index, {})
            for pk, sk, item in table[_ITEMS].with_attributes(hashes + ranges):
                partition = Hook.INDEX_PARTITION.get()(item, hashes, ranges)
                if partition is not None:
                    partitions.setdefault(partition, {})[pk, sk] = None
    return members


def _page(table: _Table, request: Document) -> dict[str, dict[str, Item]]:
    """Return the items of a page of a scan, and one more."""
    start = request.get("ExclusiveStartKey") or {}
    value_of = Hook.KEY_VALUE.get()
    first = [value_of(start.get(table[name])) for name in ("pk_name", "sk_name")]
    most = int(request.get("Limit") or sys.maxsize)
    items: dict[str, dict[str, Item]] = {}
    size = 0
    for count, (pk, sk, item) in enumerate(table[_ITEMS].since(*first)):
        items.setdefault(pk, {})[sk] = item
        size += Hook.ITEM_BYTES.get()(item)
        # The item with the start key itself, which is not on the page, may be among them.
        if size > 2 * _PAGE_BYTES or count > most:
            break
    return items


def _not_stored(error: sqlite3.Error) -> Response:
    answer = {
        "__type": "com.amazonaws.dynamodb.v20120810#InternalServerError",
        "message": f"the local stack could not store this write, nothing of it is stored: {error}",
    }
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "x-amzn-errortype": "InternalServerError",
    }
    return 500, headers, json.dumps(answer).encode()
