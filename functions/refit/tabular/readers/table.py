"""What a reader takes and returns: a dropped file, and the tables in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from refit.tabular.split import Split

RowOrigin: TypeAlias = Literal["dropped", "labelled", "fresh"]
"""`dropped` by a user; `labelled`: predicted by a live version, and labelled later; `fresh`:
labelled, and not in the training data of the champion."""

READ_BYTES = 512 * 1024
"""How much of a stream is read at a time: what NumPy works on stays in the processor's cache."""


@dataclass(frozen=True)
class DroppedFile:
    """A file as it was dropped.

    Attributes:
        name: its path below the drop folder, for messages and as a hint at its kind.
        size_bytes: its stored size.
        open: opens it for reading from its beginning; may be called repeatedly.
    """

    name: str
    size_bytes: int
    open: Callable[[], IO[bytes]]


@dataclass(frozen=True)
class CsvTable:
    """Rows as CSV bytes.

    Attributes:
        name: of the file it came from, for messages.
        split: the split given for all its rows; None if a hash of the row decides.
        blocks: starts reading it; may be called repeatedly. Blocks may end anywhere.
        columns: names of the columns, if the file's format has them: its bytes are then lines of
            comma-separated cells without a header. None for CSV files.
        label_first: whether the format puts the label into the first column.
        origin: where the rows come from. A hash decides about the split of all rows that were not
            dropped, even if the drop has splits of its own: otherwise none would be held out.
    """

    name: str
    split: Split | None
    blocks: Callable[[], Iterator[bytes]]
    columns: tuple[str, ...] | None = None
    label_first: bool = False
    origin: RowOrigin = "dropped"
