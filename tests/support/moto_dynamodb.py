"""Patches of moto's DynamoDB: concurrent requests, and faster transactions."""

from __future__ import annotations

import copy
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from moto.dynamodb import models, responses
from moto.dynamodb.models.table import Table

if TYPE_CHECKING:
    import pytest


def serialize_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Handle one request at a time, because moto's tables are not thread-safe."""
    lock = threading.Lock()
    handle = responses.DynamoHandler.call_action

    def call_action(self: Any) -> Any:
        with lock:
            return handle(self)

    monkeypatch.setattr(responses.DynamoHandler, "call_action", call_action)


def copy_each_table_once_per_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copy a table once per transaction for the rollback. moto copies it once per item."""
    copies: dict[str, Table] = {}
    write = models.DynamoDBBackend.transact_write_items

    def transact_write_items(self: Any, transact_items: Any) -> None:
        copies.clear()
        write(self, transact_items)

    def deepcopy(original: Any) -> Any:
        if not isinstance(original, Table):
            return copy.deepcopy(original)
        if original.name not in copies:
            copies[original.name] = copy.deepcopy(original)
        return copies[original.name]

    monkeypatch.setattr(models, "copy", SimpleNamespace(deepcopy=deepcopy))
    monkeypatch.setattr(models.DynamoDBBackend, "transact_write_items", transact_write_items)
