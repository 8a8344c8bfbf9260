"""Patches of moto's DynamoDB: concurrent requests, faster transactions and faster responses."""

from __future__ import annotations

import copy
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from moto.core.serialize import BaseJSONSerializer
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


def serialize_only_the_type_that_a_value_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the member of an AttributeValue that is there. moto looks for each of the ten."""
    serialize = BaseJSONSerializer._serialize_type_structure

    def _serialize_type_structure(
        self: Any, serialized: dict[str, Any], value: Any, shape: Any, key: str
    ) -> None:
        if shape.name != "AttributeValue" or not isinstance(value, dict):
            serialize(self, serialized, value, shape, key)
            return
        typed: dict[str, Any] = {}
        for member, content in value.items():
            self._serialize(typed, content, shape.members[member], member)
        self._default_serialize(serialized, typed, shape, key)

    monkeypatch.setattr(BaseJSONSerializer, "_serialize_type_structure", _serialize_type_structure)
