"""The state of the local SageMaker: one JSON file a resource, so that it survives a restart.

A record has the members of the Describe answer (times in epoch seconds) and members that begin with
an underscore, which no answer contains.
"""

from __future__ import annotations

import copy
import json
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from refit_local.sagemaker.records.naming import KINDS

if TYPE_CHECKING:
    from pathlib import Path

Record = dict[str, Any]


class NameTaken(Exception):
    """When a record of that kind and name exists."""


class RecordStore:
    """Keeps records by kind and name, in memory and on disk. The case of names does not matter."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._records: dict[str, dict[str, Record]] = {kind: {} for kind in KINDS}
        for kind in KINDS:
            (folder / kind).mkdir(parents=True, exist_ok=True)
            for path in (folder / kind).glob("*.json"):
                record = json.loads(path.read_text("utf-8"))
                self._records[kind][record["_key"]] = record

    def add(self, kind: str, name: str, record: Record) -> Record:
        """Store a new record; return a copy with its key in `_key`.

        Raises:
            NameTaken: when a record of that name exists.
        """
        key = name.lower()
        with self._lock:
            if key in self._records[kind]:
                raise NameTaken(f"there is a {kind} named {key}")
            return self._written(kind, key, {**copy.deepcopy(record), "_key": key})

    def get(self, kind: str, name: str) -> Record | None:
        """Return a copy of the record, or None."""
        with self._lock:
            record = self._records[kind].get(name.lower())
            return copy.deepcopy(record) if record is not None else None

    def change(self, kind: str, name: str, /, *removed: str, **members: Any) -> Record | None:
        """Remove and set members; return a copy of the result, or None when there is no record."""
        key = name.lower()
        with self._lock:
            record = self._records[kind].get(key)
            if record is None:
                return None
            changed = {name: value for name, value in record.items() if name not in removed}
            return self._written(kind, key, changed | copy.deepcopy(members))

    def remove(self, kind: str, name: str) -> None:
        """Delete a record, if there is one."""
        key = name.lower()
        with self._lock:
            if self._records[kind].pop(key, None) is not None:
                self._path(kind, key).unlink(missing_ok=True)

    def all(self, kind: str) -> list[Record]:
        """Return copies of all records of a kind."""
        with self._lock:
            return [copy.deepcopy(record) for record in self._records[kind].values()]

    def clear(self) -> None:
        """Delete all records."""
        with self._lock:
            for kind in KINDS:
                for key in list(self._records[kind]):
                    self.remove(kind, key)

    @property
    def lock(self) -> threading.RLock:
        """The lock for callers that read a record and then change it."""
        return self._lock

    def _written(self, kind: str, key: str, record: Record) -> Record:
        """Store a record: first on disk, so that memory has nothing that a full disk refuses."""
        path = self._path(kind, key)
        temporary = path.with_suffix(".draft")
        temporary.write_text(json.dumps(record), "utf-8")
        temporary.replace(path)
        self._records[kind][key] = record
        return copy.deepcopy(record)

    def _path(self, kind: str, key: str) -> Path:
        return self._folder / kind / f"{quote(key, safe='')}.json"
