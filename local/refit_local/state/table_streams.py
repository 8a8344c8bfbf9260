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
CREATE TABLE IF NOT EXISTS stream_records (id INTEGER PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS stream_positions (
    account TEXT, region TEXT, reader TEXT, position INTEGER NOT NULL,
    PRIMARY KEY (account, region, reader)
) WITHOUT ROWID;
"""
_PAGE = 1000
_RECORDS_OF_STREAM = 2**40
"""The ids of the records of stream N begin with N times this number, and follow each other.

A key of several columns would store each record of more than a kilobyte on a page of its own.
"""

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
        self._first_id = stream * _RECORDS_OF_STREAM
        self.reload()

    def reload(self) -> None:
        """Read again where the stream starts and ends, after a transaction that failed."""
        query = "SELECT start FROM streams WHERE id = ?"
        self.start = int(self._database.read(query, (self._stream,))[0][0])
        query = "SELECT max(id) FROM stream_records WHERE id >= ? AND id < ?"
        ids = self._first_id, self._first_id + _RECORDS_OF_STREAM
        last = self._database.read(query, ids)[0][0]
        self._end = self.start if last is None else int(last) - self._first_id + 1
        self._oldest: Record | None = None

    def append(self, record: Record) -> None:
        """Store a record at the end."""
        row = (self._first_id + self._end, _to_text(record))
        self._database.write("INSERT INTO stream_records VALUES (?, ?)", row)
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
        rows = self._database.read(
            "SELECT record FROM stream_records WHERE id >= ? AND id < ? ORDER BY id",
            (self._first_id + self.start + begin, self._first_id + self.start + stop),
        )
        return [_from_text(record) for (record,) in rows]

    def __iter__(self) -> Iterator[Record]:
        for begin in range(0, len(self), _PAGE):
            yield from self[begin : begin + _PAGE]

    def __delitem__(self, oldest: slice) -> None:
        start = self.start + len(range(*oldest.indices(len(self))))
        expired = "DELETE FROM stream_records WHERE id >= ? AND id < ?"
        with self._database.transaction():
            self._database.write(expired, (self._first_id, self._first_id + start))
            self._database.write("UPDATE streams SET start = ? WHERE id = ?", (start, self._stream))
        self.start = start
        self._oldest = None

    def close(self) -> None:
        """Let the records be deleted when the database is opened the next time."""
        self._database.write("UPDATE streams SET name = NULL WHERE id = ?", (self._stream,))


class StreamLogs(MutableMapping[Key, StreamLog]):
    """The open streams, by account, region and table."""

    def __init__(self, database: Database) -> None:
        """Open the streams that are stored, and delete the records of closed ones."""
        self._database = database
        database.create(_LAYOUT)
        with database.transaction():
            for (stream,) in database.read("SELECT id FROM streams WHERE name IS NULL"):
                log = StreamLog(database, stream)
                del log[:]
                database.write("DELETE FROM streams WHERE id = ?", (stream,))
        self.reload()

    def __getitem__(self, key: Key) -> StreamLog:
        return self._logs[key]

    def __setitem__(self, key: Key, records: Any) -> None:
        """Open a stream with these records."""
        self.pop(key, None)
        new = "INSERT INTO streams (account, region, name, start) VALUES (?, ?, ?, 0)"
        with self._database.transaction():
            stream = self._database.write(new, key).lastrowid
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
        query = "SELECT account, region, name, id FROM streams WHERE name IS NOT NULL"
        self._logs: dict[Key, StreamLog] = {
            tuple(key): StreamLog(self._database, stream)
            for *key, stream in self._database.read(query)
        }


class StreamPositions(MutableMapping[Key, int]):
    """Up to where each reader has read its stream, by account, region and reader."""

    def __init__(self, database: Database) -> None:
        """Read the positions."""
        self._database = database
        database.create(_LAYOUT)
        query = "SELECT account, region, reader, position FROM stream_positions"
        self._positions: dict[Key, int] = {
            tuple(key): position for *key, position in database.read(query)
        }

    def __getitem__(self, key: Key) -> int:
        return self._positions[key]

    def __setitem__(self, key: Key, position: int) -> None:
        if self._positions.get(key) == position:
            return
        statement = "REPLACE INTO stream_positions VALUES (?, ?, ?, ?)"
        self._database.write(statement, (*key, position))
        self._positions[key] = position

    def __delitem__(self, key: Key) -> None:
        del self._positions[key]
        self._database.write(
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
