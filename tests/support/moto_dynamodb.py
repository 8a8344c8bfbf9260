"""What moto's DynamoDB lacks for our tests: threads, and transactions that do not take seconds."""

from __future__ import annotations

import copy
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from moto.dynamodb import models, responses
from moto.dynamodb.models.table import Table

if TYPE_CHECKING:
    import pytest


def let_threads_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer one request at a time: moto reads a table while another thread changes it."""
    lock = threading.Lock()
    answer = responses.DynamoHandler.call_action

    def call_action(self: Any) -> Any:
        with lock:
            return answer(self)

    monkeypatch.setattr(responses.DynamoHandler, "call_action", call_action)


def copy_tables_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copy a table once a transaction, to fall back to it: moto does for each of its items."""
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
