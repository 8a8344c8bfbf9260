"""Find the newest label of each prediction in slices of the ledger, in bounded memory.

The newest line of each prediction is stored in an SQLite file. A million predictions take about
130 MB on disk. The memory is 64 MB for any number of predictions.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from refit.domain.inferences.ledger import LedgerRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

SUPERSEDED = "superseded"
WITHDRAWN = "withdrawn"

_CACHE_KIB = 64 * 1024
_TABLE = """
CREATE TABLE newest (
    id TEXT PRIMARY KEY, seq INTEGER, slice INTEGER, withdrawn INTEGER,
    label TEXT, version INTEGER, file INTEGER, line INTEGER, row INTEGER, fresh INTEGER
) WITHOUT ROWID
"""
_KEEP_NEWEST = """
INSERT INTO newest VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    seq = excluded.seq, slice = excluded.slice, withdrawn = excluded.withdrawn,
    label = excluded.label, version = excluded.version,
    file = excluded.file, line = excluded.line, row = excluded.row, fresh = excluded.fresh
WHERE excluded.seq > newest.seq
"""


@dataclass(frozen=True)
class LabelledRow:
    """A prediction with its newest label.

    Attributes:
        slice: number of the slice that contains this label.
        label: the recorded label.
        version: the model version that predicted.
        line: index of the line in the capture file.
        row: index of the row within that line.
        fresh: whether the row counts as new to the live model.
    """

    slice: int
    label: str
    version: int
    line: int
    row: int
    fresh: bool


@contextmanager
def labelled_rows(folder: Path) -> Iterator[LabelledRows]:
    """Open an empty set of labelled rows, with its database in a folder."""
    path = folder / "labelled.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        database.execute(_TABLE)
        yield LabelledRows(database)


class LabelledRows:
    """Reads lines of the ledger and keeps the newest line of each prediction.

    Attributes:
        given: number of lines in each slice, by the number of the slice.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._files: dict[str, int] = {}
        self.given: Counter[int] = Counter()

    def add(
        self, number: int, lines: Iterable[bytes], is_fresh: Callable[[datetime], bool]
    ) -> None:
        """Add the lines of a slice. Of two lines with the same `seq`, the first one is used.

        Args:
            number: number of the slice.
            lines: lines of the slice.
            is_fresh: returns whether a row that was predicted at a given time is fresh.
        """
        self._database.execute("BEGIN")
        self._database.executemany(_KEEP_NEWEST, self._values(number, lines, is_fresh))
        self._database.execute("COMMIT")

    def _values(
        self, number: int, lines: Iterable[bytes], is_fresh: Callable[[datetime], bool]
    ) -> Iterator[tuple[str | int, ...]]:
        for line in lines:
            row = LedgerRow.model_validate_json(line)
            self.given[number] += 1
            yield (
                row.inference_id,
                row.seq,
                number,
                row.withdrawn,
                row.label,
                row.version,
                self._files.setdefault(row.source.key, len(self._files)),
                row.source.line,
                row.source.row,
                is_fresh(row.predicted_at),
            )

    def unused(self) -> dict[int, Counter[str]]:
        """Return how many lines of each slice are not used, by reason."""
        unused = {number: Counter({SUPERSEDED: count}) for number, count in self.given.items()}
        for number, withdrawn, count in self._database.execute(
            "SELECT slice, withdrawn, COUNT(*) FROM newest GROUP BY slice, withdrawn"
        ):
            unused[number][SUPERSEDED] -= count
            if withdrawn:
                unused[number][WITHDRAWN] += count
        return unused

    def files(self) -> list[str]:
        """Return the keys of the capture files with labelled rows, in the order of `by_file`."""
        keys = list(self._files)
        numbers = self._database.execute(
            "SELECT DISTINCT file FROM newest WHERE NOT withdrawn ORDER BY file"
        )
        return [keys[number] for (number,) in numbers]

    def by_file(self) -> Iterator[list[LabelledRow]]:
        """Yield the rows of one capture file after the other, in the order of line and row."""
        values = self._database.execute(
            "SELECT file, slice, label, version, line, row, fresh FROM newest WHERE NOT withdrawn "
            "ORDER BY file, line, row, id"
        )
        for _, rows in groupby(values, key=itemgetter(0)):
            yield [LabelledRow(*row[1:]) for row in rows]
