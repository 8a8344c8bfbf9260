"""CloudWatch Logs: store log lines in batches, and keep a limited number of them.

AWS        keeps the lines of a log group for its retention, without a limit on their number
MiniStack  holds all lines in memory, for ever
Source     CloudWatch Logs User Guide, "Change log data retention in CloudWatch Logs"

The newest lines are kept, up to `MOST_BYTES` in all groups together.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from refit_local.ministack.hooks import Document
    from refit_local.state.database import Database

MOST_BYTES = 64 * 1024 * 1024
_KEPT_SHARE = 0.75
_EVENT_BYTES = 400
"""What an event takes in memory besides its message."""
_LAYOUT = """
CREATE TABLE IF NOT EXISTS log_events (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    log_group TEXT NOT NULL,
    stream TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    newest_ms INTEGER NOT NULL,
    events TEXT NOT NULL
)
"""


@dataclass
class LogEvents:
    """The stored log lines."""

    database: Database
    most_bytes: int = MOST_BYTES
    _pending: dict[int, list[Document]] = field(default_factory=lambda: defaultdict(list))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _bytes: int = 0

    def install(self) -> None:
        """Store lines from now on, and load the stored ones. Call it when the groups are loaded."""
        with self.database.transaction() as connection:
            connection.execute(_LAYOUT)
        append = Hook.APPEND_LOG.get()
        self._load(append)
        Hook.APPEND_LOG.wrap(self._append)

    def store(self) -> None:
        """Store the lines that have arrived, and drop the oldest beyond the limit."""
        with self._lock:
            pending, self._pending = self._pending, defaultdict(list)
        rows = []
        for group, name, stream in _streams():
            events = pending.get(id(stream))
            if events:
                newest = max(event["timestamp"] for event in events)
                rows.append((group, name, stream["creationTime"], newest, json.dumps(events)))
        if rows:
            with self.database.transaction() as connection:
                connection.executemany(
                    "INSERT INTO log_events (log_group, stream, created_ms, newest_ms, events) "
                    "VALUES (?, ?, ?, ?, ?)",
                    rows,
                )
        if self._bytes > self.most_bytes:
            self._drop_oldest()

    def _append(
        self, original: Callable[..., None], stream: Document, events: list[Document]
    ) -> None:
        original(stream, events)
        with self._lock:
            self._pending[id(stream)].extend(events)
            self._bytes += sum(map(_size, events))

    def _load(self, append: Callable[..., None]) -> None:
        streams = {
            (group, name, stream["creationTime"]): stream for group, name, stream in _streams()
        }
        with self.database.transaction() as connection:
            rows = connection.execute(
                "SELECT row, log_group, stream, created_ms, events FROM log_events ORDER BY row"
            )
            for row, group, name, created_ms, text in rows.fetchall():
                stream = streams.get((group, name, created_ms))
                if stream is None:  # the stream was deleted
                    connection.execute("DELETE FROM log_events WHERE row = ?", (row,))
                    continue
                events = json.loads(text)
                append(stream, events)
                self._bytes += sum(map(_size, events))

    def _drop_oldest(self) -> None:
        """Drop the oldest lines, until three quarters of the limit are left."""
        with Hook.LOG_EVENTS_LOCK.get():
            sizes = sorted(
                (
                    (event["timestamp"], _size(event))
                    for *_, s in _streams()
                    for event in s["events"]
                ),
                reverse=True,
            )
            kept, oldest_ms = 0, 0
            for timestamp_ms, size in sizes:
                if kept + size > self.most_bytes * _KEPT_SHARE:
                    oldest_ms = timestamp_ms + 1
                    break
                kept += size
            for *_, stream in _streams():
                stream["events"] = [e for e in stream["events"] if e["timestamp"] >= oldest_ms]
            self._bytes = kept
        with self.database.transaction() as connection:
            connection.execute("DELETE FROM log_events WHERE newest_ms < ?", (oldest_ms,))


def _streams() -> Iterator[tuple[str, str, Document]]:
    for (_, _, group), record in list(Hook.LOG_GROUPS.get().all_items()):
        for name, stream in list(record["streams"].items()):
            yield group, name, stream


def _size(event: Document) -> int:
    return len(event["message"]) + _EVENT_BYTES
