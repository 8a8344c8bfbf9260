"""Write labelled predictions as tables of training rows.

The slices of the ledger state which predictions are labelled. Their features are read from the
capture files. `refit.domain.retraining.row_decoder` decides which rows can be used and decodes
them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias

from refit.domain.errors import DatasetNotFound
from refit.domain.inferences.capture_reader import CaptureUnreadable, inputs_of
from refit.domain.pipeline.manifest import Slice, UsedSlice
from refit.domain.retraining.row_decoder import (
    FILE_GONE,
    NO_SUCH_ROW,
    RowDecoder,
    RowUnusable,
    decoders,
    is_fresh,
    reading_order,
)
from refit.tabular.labelled_rows import LabelledRow, LabelledRows, labelled_rows
from refit.tabular.readers.table import READ_BYTES, CsvTable, RowOrigin

if TYPE_CHECKING:
    from datetime import datetime

    from refit.domain.schema import Schema

StoredObject: TypeAlias = tuple[str, str | None]
"""Key and version of an object; the version is None for the newest one."""

FetchObjects: TypeAlias = Callable[[Sequence[StoredObject]], Iterator[Path | None]]
"""Yields each object as a file, which exists until the next one is requested, or None if the object
does not exist."""


@dataclass(frozen=True)
class LabelledTables:
    """The rows of ledger slices.

    Attributes:
        tables: at most two tables: rows in the live model's training data, and fresh rows.
        slices: slices, each with its number of rows and the number of rows that were not used.
    """

    tables: list[CsvTable]
    slices: list[UsedSlice]


def labelled_tables(
    slices: Sequence[Slice],
    fetch: FetchObjects,
    schema_of: Callable[[int], Schema | None],
    live: Schema,
    folder: Path,
    fresh_since: datetime | None = None,
) -> LabelledTables:
    """Read the rows of slices, with their features.

    Args:
        slices: slices of the ledger.
        fetch: reads objects of the bucket.
        schema_of: returns a version's schema; None if there is no such version.
        live: the live model's schema, whose names and labels the written rows have.
        folder: an empty folder for the rows.
        fresh_since: rows predicted before this time are not fresh, regardless of their slice.

    Raises:
        DatasetNotFound: if a slice does not exist.
    """
    if not slices:
        return LabelledTables([], [])
    paths: dict[RowOrigin, Path] = {
        "labelled": folder / "labelled.csv",
        "fresh": folder / "fresh.csv",
    }
    with (
        labelled_rows(folder) as rows,
        paths["labelled"].open("wb") as labelled,
        paths["fresh"].open("wb") as fresh,
    ):
        _read_slices(slices, fetch, rows, fresh_since)
        unused = {number: Counter[str]() for number in range(len(slices))} | rows.unused()
        writer = _RowWriter(decoders(schema_of, live), labelled, fresh)
        captures = fetch([(key, None) for key in rows.files()])
        for path, rows_of_file in zip(captures, rows.by_file(), strict=True):
            for row, reason in writer.write(path, rows_of_file):
                unused[row.slice][reason] += 1
    names = (live.label, *(feature.name for feature in live.own.features))
    return LabelledTables(
        [
            CsvTable(
                name=f"{origin} rows",
                split=None,
                blocks=partial(_blocks, path),
                columns=names,
                label_first=True,
                origin=origin,
            )
            for origin, path in paths.items()
            if path.stat().st_size
        ],
        [
            UsedSlice(**used.model_dump(), rows=rows.given[number], lost=+unused[number])
            for number, used in enumerate(slices)
        ],
    )


def _read_slices(
    slices: Sequence[Slice], fetch: FetchObjects, rows: LabelledRows, fresh_since: datetime | None
) -> None:
    order = reading_order(slices)
    objects = [(slices[number].key, slices[number].version) for number in order]
    for number, path in zip(order, fetch(objects), strict=True):
        if path is None:
            missing = slices[number]
            raise DatasetNotFound(
                f"{missing.key} (version {missing.version}) does not exist any more. It holds "
                "labelled rows that this run needs: restore that version of the object"
            )
        with path.open("rb") as lines:
            rows.add(number, lines, partial(is_fresh, slices[number].fresh, fresh_since))


class _RowWriter:
    """Writes the rows of capture files as CSV, fresh rows to a separate file."""

    def __init__(
        self, decoder_of: Callable[[int], RowDecoder], labelled: IO[bytes], fresh: IO[bytes]
    ) -> None:
        self._decoder_of = decoder_of
        self._labelled = labelled
        self._fresh = fresh

    def write(
        self, path: Path | None, rows: Sequence[LabelledRow]
    ) -> Iterator[tuple[LabelledRow, str]]:
        """Write rows of one capture file; yield the rows that cannot be used, with the reason.

        Args:
            path: path of the file; None if it does not exist.
            rows: rows in the order of the file's lines.
        """
        if path is None:
            yield from ((row, FILE_GONE) for row in rows)
            return
        with path.open("rb") as file:
            lines = enumerate(file)
            for number, rows_of_line in groupby(rows, key=attrgetter("line")):
                inputs = _inputs(next((line for index, line in lines if index == number), b""))
                for row in rows_of_line:
                    try:
                        line = self._line(row, inputs)
                    except RowUnusable as reason:
                        yield row, str(reason)
                    else:
                        (self._fresh if row.fresh else self._labelled).write(line)

    def _line(self, row: LabelledRow, inputs: Sequence[Sequence[float | None]]) -> bytes:
        if row.row >= len(inputs):
            raise RowUnusable(NO_SUCH_ROW)
        return self._decoder_of(row.version).line(row.label, inputs[row.row])


def _inputs(line: bytes) -> Sequence[Sequence[float | None]]:
    """Return the rows of a captured request; an empty list if its line cannot be read."""
    try:
        return inputs_of(line)
    except CaptureUnreadable:
        return ()


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            yield block
