"""Store what the services were told before the answer is sent, so that a kill loses nothing.

AWS        a resource that a request has created stays, whatever dies
MiniStack  writes the state of its services when it ends, and not when it is killed

A request that may change the state of its service stores that state before its answer, if it has
changed. A deployment by CloudFormation changes many services in the background: their state is
stored before the answer that says that the stack is no longer in progress. What changes without a
request (metrics, states of alarms, log lines) is stored every few seconds.

Items, messages, executions and objects are too many for this; they are stored one by one, by
`state.tables`, `queue_messages`, `execution_records` and MiniStack's S3.
"""

from __future__ import annotations

import hashlib
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from refit_local.ministack.durability.encoding import Blobs, decoded, encoded
from refit_local.ministack.durability.requests import may_change
from refit_local.ministack.durability.service_states import Part, keys_of, parts
from refit_local.ministack.names import Hook
from refit_local.state.database import read_snapshot

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from pathlib import Path

    from refit_local.ministack.hooks import Response
    from refit_local.state.database import Database

FORMATION = "cloudformation"
_IN_PROGRESS = "_IN_PROGRESS"
_MOST_ATTEMPTS = 50


class Snapshots:
    """The stored states of the services.

    Args:
        database: where they are stored.
        folder: for the code of functions and layers.
    """

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._blobs = Blobs(folder)
        self._stored: dict[str, str] = {}
        self._lock = threading.Lock()
        self._settled: dict[Any, tuple[str, Any]] = {}

    def load(self) -> None:
        """Give every service its stored state. Call it before the first request."""
        for part in parts():
            payload = read_snapshot(self._database, part.name)
            if payload is None:
                continue
            part.restore(decoded(payload, self._blobs))
            self._stored[part.name] = _digest(payload)
        self._blobs.keep_only_read()
        self._settled = _stacks()

    def save(self, selected: Iterable[Part]) -> None:
        """Store the states that have changed, in one transaction.

        Raises:
            OSError, sqlite3.Error: when they cannot be stored; nothing is stored then.
        """
        with self._lock:
            changed: dict[str, bytes] = {}
            for part in selected:
                payload = self._encoded(part)
                if payload is not None and self._stored.get(part.name) != _digest(payload):
                    changed[part.name] = payload
            if not changed:
                return
            with self._database.transaction() as connection:
                connection.executemany("REPLACE INTO snapshots VALUES (?, ?)", changed.items())
            self._stored |= {name: _digest(payload) for name, payload in changed.items()}

    def save_changed_in_background(self) -> None:
        """Store what has changed without a request."""
        self.save(part for part in parts() if part.in_background)

    def save_after(self, service: str, request: tuple[Any, ...]) -> None:
        """Store what a request of a service may have changed."""
        if service == FORMATION:
            self._save_settled_stacks()
        elif may_change(service, *request):
            keys = keys_of(service)
            self.save(part for part in parts() if part.key in keys)

    def _save_settled_stacks(self) -> None:
        """Store every service once all stacks have come to rest."""
        stacks = _stacks()
        if stacks == self._settled or any(_IN_PROGRESS in status for status, _ in stacks.values()):
            return
        self.save(parts())
        self._settled = stacks

    def _encoded(self, part: Part) -> bytes | None:
        attempts = 0
        while True:
            attempts += 1
            try:
                state = part.state()
                return None if state is None else encoded(state, self._blobs)
            except RuntimeError:  # another thread has changed the size of a dictionary
                if attempts == _MOST_ATTEMPTS:
                    raise


def install(snapshots: Snapshots) -> None:
    """Store what a request has changed before its answer is sent."""
    handlers = Hook.SERVICE_HANDLERS.get()
    for service in list(handlers):
        handlers[service] = partial(_handle_durably, snapshots, service, handlers[service])


async def _handle_durably(
    snapshots: Snapshots,
    service: str,
    original: Callable[..., Awaitable[Response]],
    *request: Any,
) -> Response:
    response = await original(*request)
    snapshots.save_after(service, request)
    return response


def _stacks() -> dict[Any, tuple[str, Any]]:
    """Return the status of each stack, and what tells its deployments apart."""
    return {
        key: (stack.get("StackStatus", ""), stack.get("LastUpdatedTime"))
        for key, stack in Hook.STACKS.get()._data.items()
    }


def _digest(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()
