"""The database file in which the local stack keeps its state.

A transaction that has ended survives the death of the process at any moment, because SQLite has
handed it to the operating system by then. A power failure can damage the file: SQLite does not wait
for the disk, which would stop the local stack for tenths of a second, several times a minute.

Source: SQLite, "Pragma statements", section "PRAGMA synchronous".
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

FILE_NAME = "state.db"
_LOCKED_S = 2.0
"""How long a write waits for another program that has locked the file."""
_CACHE_KIB = 16 * 1024
_JOURNAL_BYTES = 64 * 1024 * 1024
_LAYOUT = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
CREATE TABLE IF NOT EXISTS snapshots (service TEXT PRIMARY KEY, payload BLOB NOT NULL);
"""


class DatabaseUnreadable(RuntimeError):
    """Raised when the database of a state folder cannot be opened."""


class _Exclusive:
    """Keeps other threads from a connection. A generator would take longer than most reads."""

    def __init__(self, lock: Any, connection: sqlite3.Connection) -> None:
        self._lock = lock
        self._connection = connection

    def __enter__(self) -> sqlite3.Connection:
        self._lock.acquire()
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class Database:
    """A connection that all threads of the process share, one transaction at a time."""

    def __init__(self, path: Path) -> None:
        """Open the file, or create it."""
        self._path = path
        self._lock = threading.RLock()
        self._depth = 0
        self._connection = sqlite3.connect(
            path, timeout=_LOCKED_S, isolation_level=None, check_same_thread=False
        )
        self._exclusive = _Exclusive(self._lock, self._connection)
        self._connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._connection.execute(f"PRAGMA journal_size_limit = {_JOURNAL_BYTES}")
        self.create(_LAYOUT)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection to the caller's thread; commit at the end, roll back on an error.

        A transaction within another one of the same thread is part of it: nothing is committed
        before the outer one ends, and only an error that leaves the outer one rolls back.

        Raises:
            sqlite3.Error: when the database cannot be written, such as on a full disk. Nothing of
                the transaction is stored then.
        """
        with self._lock:
            self._depth += 1
            try:
                if self._depth == 1:
                    self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                if self._depth == 1:
                    self._connection.execute("COMMIT")
            except BaseException:
                if self._depth == 1 and self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            finally:
                self._depth -= 1

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """Give the connection to the caller's thread for reading."""
        return self._exclusive

    def read(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return the rows of a query."""
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    def write(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Execute a statement, in the transaction of the caller's thread or in one of its own.

        Raises:
            sqlite3.Error: as `transaction` does.
        """
        with self._lock:
            return self._connection.execute(statement, values)

    def create(self, layout: str) -> None:
        """Execute statements that create tables, if they are missing."""
        with self._lock:
            self._connection.executescript(layout)

    def reader(self) -> sqlite3.Connection:
        """Return a new connection that reads beside the transactions, for the caller to close."""
        return sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)

    def close(self) -> None:
        """Close the connection. Nothing depends on it: a process may end without."""
        with self._lock:
            self._connection.close()


def connect(state: Path) -> Database:
    """Open the database in a state folder, or create it.

    Args:
        state: an existing folder.

    Raises:
        DatabaseUnreadable: when the file is damaged, or cannot be created.
    """
    path = state / FILE_NAME
    try:
        return Database(path)
    except sqlite3.Error as error:
        raise DatabaseUnreadable(
            f"the state of the local stack in {path} cannot be opened: {error}. A power failure or "
            "a full disk can be the cause. `refit down --discard` deletes the state; then "
            "`refit up` starts without it"
        ) from error


def read_snapshot(database: Database, service: str) -> bytes | None:
    """Return the newest snapshot of a service's state; None if there is none."""
    rows = database.read("SELECT payload FROM snapshots WHERE service = ?", (service,))
    return bytes(rows[0][0]) if rows else None


def write_snapshot(database: Database, service: str, payload: bytes) -> None:
    """Replace the snapshot of a service's state."""
    database.write("REPLACE INTO snapshots VALUES (?, ?)", (service, payload))
