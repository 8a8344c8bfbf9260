"""Which labelled predictions hold, out of any number of slices of the ledger, in bounded memory.

The newest line of each prediction is kept in an SQLite file: a million of them are about 130 MB on
disk, and 64 MB of memory whatever they are.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Self

from refit.domain.inferences.ledger import LedgerRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from pathlib import Path
    from types import TracebackType

SUPERSEDED = "superseded"
WITHDRAWN = "withdrawn"

_CACHE_KIB = 64 * 1024
_TABLE = """
CREATE TABLE newest (
    id TEXT PRIMARY KEY, seq INTEGER, slice INTEGER, withdrawn INTEGER,
    label TEXT, version INTEGER, file INTEGER, line INTEGER, row INTEGER, fresh INTEGER
) WITHOUT ROWID
"""
_KEEP_THE_NEWEST = """
INSERT INTO newest VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    seq = excluded.seq, slice = excluded.slice, withdrawn = excluded.withdrawn,
    label = excluded.label, version = excluded.version,
    file = excluded.file, line = excluded.line, row = excluded.row, fresh = excluded.fresh
WHERE excluded.seq > newest.seq
"""


@dataclass(frozen=True)
class LabelledRow:
    """A labelled prediction that holds.

    Attributes:
        slice: the number of the slice that says so.
        version: the model version that predicted it.
        line: of the capture file, from 0.
        row: of that line, from 0.
        fresh: whether it is new to the live model, and of the world since the change.
    """

    slice: int
    label: str
    version: int
    line: int
    row: int
    fresh: bool


class LabelledRows:
    """Takes lines of the ledger, keeps the newest of each prediction; a context manager.

    Attributes:
        given: how many lines each slice gave, by its number.
    """

    def __init__(self, folder: Path) -> None:
        """Begin with none; the folder takes the file."""
        self._database = sqlite3.connect(folder / "labelled.sqlite", isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._database.execute(_TABLE)
        self._files: dict[str, int] = {}
        self.given: Counter[int] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.close()

    def add(self, number: int, lines: Iterable[bytes], fresh_from: datetime | None) -> None:
        """Take the lines of a slice; of two with the same `seq` the first one counts.

        Args:
            number: of the slice.
            lines: its content.
            fresh_from: rows predicted then or later are fresh; None when none is.
        """
        self._database.execute("BEGIN")
        self._database.executemany(_KEEP_THE_NEWEST, self._values(number, lines, fresh_from))
        self._database.execute("COMMIT")

    def _values(
        self, number: int, lines: Iterable[bytes], fresh_from: datetime | None
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
                fresh_from is not None and row.predicted_at >= fresh_from,
            )

    def lost(self) -> dict[int, Counter[str]]:
        """Return how many lines of each slice do not hold, by the reason."""
        lost = {number: Counter({SUPERSEDED: count}) for number, count in self.given.items()}
        for number, withdrawn, count in self._database.execute(
            "SELECT slice, withdrawn, COUNT(*) FROM newest GROUP BY slice, withdrawn"
        ):
            lost[number][SUPERSEDED] -= count
            if withdrawn:
                lost[number][WITHDRAWN] += count
        return lost

    def files(self) -> list[str]:
        """Return the keys of the capture files that hold a row, in the order of `by_file`."""
        keys = list(self._files)
        found = self._database.execute(
            "SELECT DISTINCT file FROM newest WHERE NOT withdrawn ORDER BY file"
        )
        return [keys[number] for (number,) in found]

    def by_file(self) -> Iterator[list[LabelledRow]]:
        """Yield the rows that hold, those of one capture file at a time, by line and row."""
        found = self._database.execute(
            "SELECT file, slice, label, version, line, row, fresh FROM newest WHERE NOT withdrawn "
            "ORDER BY file, line, row, id"
        )
        for _, rows in groupby(found, key=itemgetter(0)):
            yield [LabelledRow(*row[1:]) for row in rows]
