"""The records of DynamoDB streams and the positions of their readers, in the database."""

from __future__ import annotations

import json
from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refit_local.state.database import Database

Record = dict[str, Any]
Key = tuple[str, str, str]
"""Account, region and name."""

_LAYOUT = """
CREATE TABLE IF NOT EXISTS streams (
    id INTEGER PRIMARY KEY, account TEXT, region TEXT, name TEXT, start INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS stream_records (
    stream INTEGER, position INTEGER, record TEXT NOT NULL, PRIMARY KEY (stream, position)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stream_positions (
    account TEXT, region TEXT, reader TEXT, position INTEGER NOT NULL,
    PRIMARY KEY (account, region, reader)
) WITHOUT ROWID;
"""
_PAGE = 1000

_to_text = json.JSONEncoder(separators=(",", ":")).encode
_from_text = json.JSONDecoder().decode


class StreamLog:
    """The records of a stream. It looks like the list in which MiniStack keeps them.

    Attributes:
        start: position of the first record, counted from the first record that was ever written.
    """

    def __init__(self, database: Database, stream: int) -> None:
        """Give access to the records of the stream with this id."""
        self._database = database
        self._stream = stream
        self.reload()

    def reload(self) -> None:
        """Read again where the stream starts and ends, after a transaction that failed."""
        self.start = int(self._read("SELECT start FROM streams WHERE id = ?")[0][0])
        last = self._read("SELECT max(position) FROM stream_records WHERE stream = ?")[0][0]
        self._end = self.start if last is None else int(last) + 1
        self._oldest: Record | None = None

    def append(self, record: Record) -> None:
        """Store a record at the end."""
        row = (self._stream, self._end, _to_text(record))
        with self._database.transaction() as connection:
            connection.execute("INSERT INTO stream_records VALUES (?, ?, ?)", row)
        self._end += 1

    def __len__(self) -> int:
        return self._end - self.start

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            begin, stop, _ = index.indices(len(self))
            return self._between(begin, stop)
        if index != 0:
            return self._between(index, index + 1)[0]
        # MiniStack looks at the age of the oldest record at each write.
        if self._oldest is None:
            (self._oldest,) = self._between(0, 1)
        return self._oldest

    def _between(self, begin: int, stop: int) -> list[Record]:
        rows = self._read(
            "SELECT record FROM stream_records WHERE stream = ? AND position >= ? AND position < ? "
            "ORDER BY position",
            self.start + begin,
            self.start + stop,
        )
        return [_from_text(record) for (record,) in rows]

    def __iter__(self) -> Iterator[Record]:
        for begin in range(0, len(self), _PAGE):
            yield from self[begin : begin + _PAGE]

    def __delitem__(self, oldest: slice) -> None:
        start = self.start + len(range(*oldest.indices(len(self))))
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM stream_records WHERE stream = ? AND position < ?",
                (self._stream, start),
            )
            connection.execute("UPDATE streams SET start = ? WHERE id = ?", (start, self._stream))
        self.start = start
        self._oldest = None

    def close(self) -> None:
        """Let the records be deleted when the database is opened the next time."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE streams SET name = NULL WHERE id = ?", (self._stream,))

    def _read(self, statement: str, *values: int) -> list[Any]:
        with self._database.reading() as connection:
            return connection.execute(statement, (self._stream, *values)).fetchall()


class StreamLogs(MutableMapping[Key, StreamLog]):
    """The open streams, by account, region and table."""

    def __init__(self, database: Database) -> None:
        """Open the streams that are stored, and delete the records of closed ones."""
        self._database = database
        with database.reading() as connection:
            connection.executescript(_LAYOUT)
        with database.transaction() as connection:
            closed = "(SELECT id FROM streams WHERE name IS NULL)"
            connection.execute(f"DELETE FROM stream_records WHERE stream IN {closed}")
            connection.execute("DELETE FROM streams WHERE name IS NULL")
            rows = connection.execute("SELECT account, region, name, id FROM streams").fetchall()
        self._logs = {tuple(key): StreamLog(database, stream) for *key, stream in rows}

    def __getitem__(self, key: Key) -> StreamLog:
        return self._logs[key]

    def __setitem__(self, key: Key, records: Any) -> None:
        """Open a stream with these records."""
        self.pop(key, None)
        with self._database.transaction() as connection:
            stream = connection.execute(
                "INSERT INTO streams (account, region, name, start) VALUES (?, ?, ?, 0)", key
            ).lastrowid
            log = StreamLog(self._database, int(stream or 0))
            for record in records:
                log.append(record)
        self._logs[key] = log

    def __delitem__(self, key: Key) -> None:
        self._logs.pop(key).close()

    def __iter__(self) -> Iterator[Key]:
        return iter(list(self._logs))

    def __len__(self) -> int:
        return len(self._logs)

    def reload(self) -> None:
        """Read the streams again, after a transaction that failed."""
        with self._database.reading() as connection:
            query = "SELECT account, region, name, id FROM streams WHERE name IS NOT NULL"
            rows = connection.execute(query).fetchall()
        self._logs = {tuple(key): StreamLog(self._database, stream) for *key, stream in rows}


class StreamPositions(MutableMapping[Key, int]):
    """Up to where each reader has read its stream, by account, region and reader."""

    def __init__(self, database: Database) -> None:
        """Read the positions."""
        self._database = database
        with database.reading() as connection:
            connection.executescript(_LAYOUT)
            query = "SELECT account, region, reader, position FROM stream_positions"
            rows = connection.execute(query).fetchall()
        self._positions: dict[Key, int] = {tuple(key): position for *key, position in rows}

    def __getitem__(self, key: Key) -> int:
        return self._positions[key]

    def __setitem__(self, key: Key, position: int) -> None:
        if self._positions.get(key) == position:
            return
        with self._database.transaction() as connection:
            statement = "REPLACE INTO stream_positions VALUES (?, ?, ?, ?)"
            connection.execute(statement, (*key, position))
        self._positions[key] = position

    def __delitem__(self, key: Key) -> None:
        del self._positions[key]
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM stream_positions WHERE account = ? AND region = ? AND reader = ?", key
            )

    def __iter__(self) -> Iterator[Key]:
        return iter(list(self._positions))

    def __len__(self) -> int:
        return len(self._positions)

    def update(self, *others: Any, **_: Any) -> None:
        """Add positions of an older snapshot: they do not replace those that are stored."""
        for other in others:
            for key, position in dict(other).items():
                self.setdefault(key, position)

    def __deepcopy__(self, memo: object) -> dict[Key, int]:
        """Return no positions: a snapshot of their owner needs none."""
        return {}
