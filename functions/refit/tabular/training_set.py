"""Labelled predictions as training rows: what the ledger says, with the features captured then.

A version reads encoded rows, so what was captured is decoded by that version's own schema into the
texts that were dropped for it, and goes the way of every dropped row from there. Whatever cannot be
used is counted by its reason; nothing is left out in silence.

A number is written in its shortest form. The hash that decides a row's side reads texts, so a row
that was dropped as `5.0` and is predicted again as `5` may stand on another side than it did; rows
that were predicted stay on theirs, however often they come.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeAlias

from refit.domain.errors import DatasetNotFound
from refit.domain.inferences.captured import CaptureUnreadable, inputs_of
from refit.domain.pipeline.manifest import Slice, UsedSlice
from refit.domain.schema import FLOAT32_MAX, Feature, Schema, csv_line, number_text
from refit.tabular.labelled_rows import LabelledRow, LabelledRows
from refit.tabular.readers.table import READ_BYTES, Origin, Table

if TYPE_CHECKING:
    from types import TracebackType

Object: TypeAlias = tuple[str, str | None]
"""A key, and the version that is wanted; None for the newest."""

Fetch: TypeAlias = Callable[[Sequence[Object]], Iterator[Path | None]]
"""Yields each object as a file that is there until the next one is asked for; None if gone."""

FILE_GONE = "whose capture file is gone"
NO_SUCH_ROW = "not found in the capture file"
VERSION_UNKNOWN = "of an unknown version"
OTHER_COLUMNS = "with other columns"
LABEL_UNKNOWN = "with a label that is unknown now"
NO_VALUE = "without any value"
BAD_VALUE = "with a value that the column cannot hold"


_ALWAYS = datetime.min.replace(tzinfo=UTC)


class Unusable(Exception):
    """A labelled row cannot be trained on; the text is the reason."""


@dataclass(frozen=True)
class LabelledTables:
    """What slices of the ledger give.

    Attributes:
        tables: at most two: rows that the live model's training has seen, and fresh ones.
        slices: each with how many rows it gave and lost.
    """

    tables: list[Table]
    slices: list[UsedSlice]


def labelled_tables(
    slices: Sequence[Slice],
    fetch: Fetch,
    schema_of: Callable[[int], Schema | None],
    live: Schema,
    folder: Path,
    fresh_since: datetime | None = None,
) -> LabelledTables:
    """Read the rows of slices, with their features.

    Args:
        slices: of the ledger.
        fetch: gets objects of the bucket.
        schema_of: returns a version's schema; None when there is no such version.
        live: the live model's schema, in whose terms the rows are written.
        folder: an empty one; takes the rows.
        fresh_since: rows predicted before it are not fresh, whatever their slice is.

    Raises:
        DatasetNotFound: when a slice is gone.
    """
    if not slices:
        return LabelledTables([], [])
    with LabelledRows(folder) as rows:
        _read_slices(slices, fetch, rows, fresh_since or _ALWAYS)
        lost = {number: Counter[str]() for number in range(len(slices))} | rows.lost()
        with _Writer(_decoders(schema_of, live), folder) as writer:
            captures = fetch([(key, None) for key in rows.files()])
            for path, wanted in zip(captures, rows.by_file(), strict=True):
                for row, reason in writer.write(path, wanted):
                    lost[row.slice][reason] += 1
    names = (live.label, *(feature.name for feature in live.features))
    return LabelledTables(
        [
            Table(
                name=f"{origin} rows",
                split=None,
                blocks=_blocks_of(path),
                columns=names,
                label_first=True,
                origin=origin,
            )
            for origin, path in writer.paths.items()
            if path.stat().st_size
        ],
        [
            UsedSlice(**one.model_dump(), rows=rows.given[number], lost=+lost[number])
            for number, one in enumerate(slices)
        ],
    )


def _read_slices(
    slices: Sequence[Slice], fetch: Fetch, rows: LabelledRows, fresh_since: datetime
) -> None:
    # What a slice that is not fresh says already is not fresh where another repeats it.
    order = sorted(range(len(slices)), key=lambda number: (slices[number].fresh, number))
    wanted = [(slices[number].key, slices[number].version) for number in order]
    for number, path in zip(order, fetch(wanted), strict=True):
        if path is None:
            one = slices[number]
            raise DatasetNotFound(
                f"{one.key} (version {one.version}) is not there any more: it holds labelled rows "
                "that this run needs. Restore that version of the object"
            )
        with path.open("rb") as lines:
            rows.add(number, lines, fresh_since if slices[number].fresh else None)


class _Writer:
    """Writes the rows of capture files as CSV, fresh ones apart; a context manager.

    Attributes:
        paths: of what is written, by the rows' origin.
    """

    def __init__(self, decoder_of: Callable[[int], RowDecoder | str], folder: Path) -> None:
        self._decoder_of = decoder_of
        self.paths: dict[Origin, Path] = {
            "labelled": folder / "labelled.csv",
            "fresh": folder / "fresh.csv",
        }
        self._open = ExitStack()
        self._files = {
            origin: self._open.enter_context(path.open("wb")) for origin, path in self.paths.items()
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def write(
        self, path: Path | None, wanted: Sequence[LabelledRow]
    ) -> list[tuple[LabelledRow, str]]:
        """Write the wanted rows of one capture file; return those that are lost, with the reason.

        Args:
            path: of the file; None when it is gone.
            wanted: in the order of lines.
        """
        if path is None:
            return [(row, FILE_GONE) for row in wanted]
        lost = []
        with path.open("rb") as file:
            lines = enumerate(file)
            for number, rows in groupby(wanted, key=attrgetter("line")):
                line = next((line for place, line in lines if place == number), b"")
                inputs = _inputs(line)
                for row in rows:
                    try:
                        self._files["fresh" if row.fresh else "labelled"].write(
                            self._line(row, inputs)
                        )
                    except Unusable as reason:
                        lost.append((row, str(reason)))
        return lost

    def _line(self, row: LabelledRow, inputs: Sequence[Sequence[float | None]]) -> bytes:
        if row.row >= len(inputs):
            raise Unusable(NO_SUCH_ROW)
        decoder = self._decoder_of(row.version)
        if isinstance(decoder, str):
            raise Unusable(decoder)
        return decoder.line(row.label, inputs[row.row])


def _inputs(line: bytes) -> Sequence[Sequence[float | None]]:
    """Return the rows that a captured line says were asked; none when it cannot be read."""
    try:
        return inputs_of(line)
    except CaptureUnreadable:
        return ()


def _blocks_of(path: Path) -> Callable[[], Iterator[bytes]]:
    def blocks() -> Iterator[bytes]:
        with path.open("rb") as file:
            while block := file.read(READ_BYTES):
                yield block

    return blocks


def _decoders(
    schema_of: Callable[[int], Schema | None], live: Schema
) -> Callable[[int], RowDecoder | str]:
    """Return what gives each version's decoder, or why there is none."""

    @cache
    def decoder(version: int) -> RowDecoder | str:
        schema = schema_of(version)
        if schema is None:
            return VERSION_UNKNOWN
        return OTHER_COLUMNS if live.changes_to(schema) else RowDecoder(schema, live)

    return decoder


class RowDecoder:
    """Writes the rows that one version read as the texts that were dropped for it."""

    def __init__(self, schema: Schema, live: Schema) -> None:
        """Prepare.

        Args:
            schema: of the version that predicted.
            live: the live model's, with the same columns.
        """
        self._width = len(schema.features)
        self._categories = {
            place: feature
            for place, feature in enumerate(schema.features)
            if feature.type == "category"
        }
        self._live = live
        self._label_text = cache(self._label)

    def line(self, label: str, values: Sequence[float | None]) -> bytes:
        """Return a CSV line, label first.

        Raises:
            Unusable: when label or values are none of this model's.
        """
        if len(values) != self._width:
            raise Unusable(OTHER_COLUMNS)
        known = [value for value in values if value is not None]
        if not known:
            raise Unusable(NO_VALUE)
        if not _fits(known):
            raise Unusable(BAD_VALUE)
        if self._categories:
            features = ",".join(self._cell(place, value) for place, value in enumerate(values))
        else:
            features = csv_line(values)
        return f"{self._label_text(label)},{features}\n".encode()

    def _cell(self, place: int, value: float | None) -> str:
        if value is None:
            return ""
        feature = self._categories.get(place)
        return number_text(value) if feature is None else _quoted(_category(feature, value))

    def _label(self, text: str) -> str:
        code = self._live.encode_label(text)
        if code is None:
            raise Unusable(LABEL_UNKNOWN)
        classes = self._live.classes
        return number_text(code) if classes is None else _quoted(classes[int(code)])


def _fits(numbers: Sequence[float]) -> bool:
    # One NaN makes the sum one; minimum and maximum alone may miss it.
    low, high = min(numbers), max(numbers)
    return math.isfinite(sum(numbers)) and low >= -FLOAT32_MAX and high <= FLOAT32_MAX


def _category(feature: Feature, code: float) -> str:
    values = feature.values or ()
    if not code.is_integer() or not 0 <= code < len(values):
        raise Unusable(BAD_VALUE)
    return values[int(code)]


def _quoted(text: str) -> str:
    if any(character in text for character in ',"\n\r'):
        return '"' + text.replace('"', '""') + '"'
    return text
