"""What a reader takes and what it gives: a dropped file, and the tables found in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from refit.tabular.split import Split

Origin: TypeAlias = Literal["dropped", "labelled", "fresh"]
"""Dropped by a person; predicted by a live version and labelled since; so, after the champion."""

READ_BYTES = 512 * 1024
"""How much of a stream is taken at a time: what NumPy works on stays in the processor's cache."""


@dataclass(frozen=True)
class DroppedFile:
    """A file as it was dropped.

    Attributes:
        name: its path below the drop folder, for messages and as a hint of what it is.
        size_bytes: as it is stored.
        open: opens it for reading from its beginning, as often as is wanted.
    """

    name: str
    size_bytes: int
    open: Callable[[], IO[bytes]]


@dataclass(frozen=True)
class Table:
    """Rows as CSV bytes.

    Attributes:
        name: the file it came from, for messages.
        split: the side given for all its rows; None when their hash decides.
        blocks: begins to read it, as often as is wanted; blocks break anywhere.
        columns: the names of the columns where the format itself says; its bytes are then lines
            of comma-separated cells without a header. None for CSV files.
        label_first: whether the format itself says that the first column is the label.
        origin: where the rows come from. The hash decides for all that are not dropped, also where
            sides were given: else nothing of them would ever be held out.
    """

    name: str
    split: Split | None
    blocks: Callable[[], Iterator[bytes]]
    columns: tuple[str, ...] | None = None
    label_first: bool = False
    origin: Origin = "dropped"
