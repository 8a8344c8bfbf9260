"""The input and output of a reader: a dropped file, and the tables in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from refit.tabular.split import Split

RowOrigin: TypeAlias = Literal["dropped", "labelled", "fresh"]
"""`dropped` rows are from a user's files. `labelled` rows were predicted by a live version and
labelled later. `fresh` rows are labelled rows that are not in the champion's training data."""

READ_BYTES = 512 * 1024
"""Number of bytes of a stream that are read at a time. The data fits in the CPU cache."""


@dataclass(frozen=True)
class DroppedFile:
    """A file of a drop.

    Attributes:
        name: path below the drop folder, for messages and as a hint at the kind of the file.
        size_bytes: stored size.
        open: opens the file for reading; may be called repeatedly.
    """

    name: str
    size_bytes: int
    open: Callable[[], IO[bytes]]


@dataclass(frozen=True)
class CsvTable:
    """Rows as CSV bytes.

    Attributes:
        name: name of the file that contains the table, for messages.
        split: the given split of all rows; None if a hash of each row decides.
        blocks: starts to read the table; may be called repeatedly. A block may end anywhere.
        columns: names of the columns if the format of the file states them. Its bytes are then
            lines of comma-separated cells without a header. None for CSV files.
        label_first: whether the format has the label in the first column.
        origin: where the rows come from. The split of rows that were not dropped is always decided
            by a hash, even if the drop defines splits. Otherwise none of them would be held out.
        constants: (name, value) of columns whose value is the same in all rows, from folders like
            `year=2024/`. They follow the columns of the file, and are not in its bytes.
        index_columns: names of columns that hold the index of a pandas data frame.
    """

    name: str
    split: Split | None
    blocks: Callable[[], Iterator[bytes]]
    columns: tuple[str, ...] | None = None
    label_first: bool = False
    origin: RowOrigin = "dropped"
    constants: tuple[tuple[str, str], ...] = ()
    index_columns: tuple[str, ...] = ()


def two_sources(file: str, column: str) -> str:
    """Return the message for a column that a file and its folder both have."""
    return (
        f"{file} has a column {column!r}, and its folder names the same column: rename one of them"
    )
