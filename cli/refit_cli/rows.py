"""Read the rows to predict, from a file or from stdin."""
# ruff: noqa: PLC0415 (duckdb is only needed for Parquet)

from __future__ import annotations

import gzip
import sys
import zlib
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

from refit.domain.csv_dialect import HeaderSetting, detect_dialect, is_repeated_header
from refit.domain.csv_rows import CsvFault
from refit.tabular.csv_stream import RecordStream, first_lines
from refit.tabular.readers.lines import LineBlock, OverlongLine, line_blocks

from refit_cli.errors import BadInput

if TYPE_CHECKING:
    import io
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from refit.domain.csv_rows import CsvFormat, CsvRecord

MAX_LINE_BYTES = 4_000_000
_READ_BYTES = 512 * 1024
_SHOWN_NAMES = 10
_GZIP_MAGIC = b"\x1f\x8b"
_PARQUET_MAGIC = b"PAR1"
_PICKLE_MAGIC = b"\x80"

_Lines: TypeAlias = "Iterator[tuple[int, list[str]]]"  # each with its line number in the file


@dataclass(frozen=True)
class InputRow:
    """One row to predict.

    Attributes:
        number: of the row, from 1.
        cells: the features as text.
        label: the cell of the label column; None if no such column was named.
    """

    number: int
    cells: list[str]
    label: str | None = None


@dataclass(frozen=True)
class InputTable:
    """The rows to predict.

    Attributes:
        names: of the features' columns; None if nothing names them.
        rows: read while they are consumed.
    """

    names: list[str] | None
    rows: Iterator[InputRow]


def numbered(lines: Iterable[list[str]]) -> Iterator[InputRow]:
    """Number rows that are in memory, from 1."""
    return (InputRow(number, cells) for number, cells in enumerate(lines, 1))


@contextmanager
def open_table(
    path: Path, header: HeaderSetting, columns: list[str] | None, label: str | None
) -> Iterator[InputTable]:
    """Open a CSV, CSV.gz or Parquet file; `-` is stdin.

    A CSV file has the same delimiter, header and cells here as in data preparation.

    Args:
        path: the file.
        header: whether the first record names the columns; `auto` decides by the first rows.
        columns: names of the columns that replace those of a header.
        label: name of a column that is not a feature, or its position from 0.

    Raises:
        BadInput: if the file cannot be read; also while rows are consumed, with the line.
    """
    with ExitStack() as stack:
        file = stack.enter_context(open_bytes(path))
        name = "stdin" if str(path) == "-" else str(path)
        magic = file.peek(4)[:4]
        if magic == _PARQUET_MAGIC:
            lines, names = _parquet(path)
        elif magic[:1] == _PICKLE_MAGIC:
            raise BadInput(
                f"{name} looks like a pickle, which may run code when it is read",
                "provide its rows as CSV or Parquet",
            )
        else:
            stream: io.BufferedIOBase = file
            if magic[:2] == _GZIP_MAGIC:
                stream = stack.enter_context(gzip.GzipFile(fileobj=file))
            label_name = None if label is None or label.isdigit() else label
            lines, names = _csv(name, stream, header, columns, label_name)
        yield _table(name, columns or names, lines, label)


def open_bytes(path: Path) -> AbstractContextManager[io.BufferedReader]:
    """Open a file for reading; `-` is stdin. Raises BadInput when it cannot be read."""
    if str(path) == "-":
        return nullcontext(sys.stdin.buffer)  # type: ignore[arg-type]
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise BadInput(f"there is no file {path}") from error
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error


def _csv(
    name: str,
    stream: io.BufferedIOBase,
    header: HeaderSetting,
    columns: list[str] | None,
    label: str | None,
) -> tuple[_Lines, list[str] | None]:
    blocks = line_blocks(_blocks(name, stream), MAX_LINE_BYTES)
    read: list[LineBlock | OverlongLine] = []
    lines = first_lines(_remembered(blocks, read))
    dialect = detect_dialect(
        lines, header=header, label=label, known_names=columns, lone_record_is_header=False
    )
    if not read:
        raise BadInput(f"{name} is empty: there is no row to predict")
    below = _below(chain(read, blocks), dialect.header_lines)
    records = _records(name, below, dialect.csv_format)
    names = None if dialect.header is None else list(dialect.header)
    return _without_headers(records, dialect.header_cells), names


def _below(
    blocks: Iterable[LineBlock | OverlongLine], lines: int
) -> Iterator[LineBlock | OverlongLine]:
    """Yield the lines below the first ones, which hold the header and what is above it."""
    for block in blocks:
        if isinstance(block, OverlongLine):
            yield block
            continue
        first, data = block.first, block.data
        while data and first <= lines:
            first, data = first + 1, data[data.index(b"\n") + 1 :]
        if data:
            yield LineBlock(first, data)


def _without_headers(records: _Lines, header_cells: Sequence[str]) -> _Lines:
    return (record for record in records if not is_repeated_header(record[1], header_cells))


def _remembered(
    blocks: Iterator[LineBlock | OverlongLine], read: list[LineBlock | OverlongLine]
) -> Iterator[LineBlock | OverlongLine]:
    for block in blocks:
        read.append(block)
        yield block


def _blocks(name: str, stream: io.BufferedIOBase) -> Iterator[bytes]:
    lines = 0
    try:
        while block := stream.read1(_READ_BYTES):
            lines += block.count(b"\n")
            yield block
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"{name} is damaged after line {lines}: {error}") from error


def _records(
    name: str, blocks: Iterable[LineBlock | OverlongLine], csv_format: CsvFormat
) -> _Lines:
    stream = RecordStream(csv_format)
    for block in blocks:
        if isinstance(block, OverlongLine):
            raise BadInput(
                f"{name}: line {block.number} is longer than {MAX_LINE_BYTES:,} bytes, "
                "more than one request carries"
            )
        yield from _cells(name, stream.read(block))
    yield from _cells(name, stream.finish())


def _cells(name: str, records: Iterable[CsvRecord | CsvFault]) -> _Lines:
    for record in records:
        if isinstance(record, CsvFault):
            raise BadInput(f"{name}: line {record.line} is not CSV: {record.reason}")
        yield record.line, record.cells


def _parquet(path: Path) -> tuple[_Lines, list[str] | None]:
    if str(path) == "-":
        raise BadInput("Parquet cannot be read from stdin", "provide the file's name")
    import duckdb

    try:
        result = duckdb.connect(":memory:").execute("SELECT * FROM read_parquet(?)", [str(path)])
    except duckdb.Error as error:
        raise BadInput(f"{path} cannot be read as Parquet: {error}") from error

    def rows() -> _Lines:
        number = 0
        while block := result.fetchmany(1000):
            for values in block:
                number += 1
                yield number, ["" if value is None else str(value) for value in values]

    return rows(), [column[0] for column in result.description or []]


def _table(
    name: str,
    names: list[str] | None,
    lines: _Lines,
    label: str | None,
) -> InputTable:
    index = None if label is None else _position_of(label, names)
    features = None
    if names is not None:
        features = [name for position, name in enumerate(names) if position != index]

    def rows() -> Iterator[InputRow]:
        for number, (line, cells) in enumerate(lines, 1):
            if names is not None and len(cells) != len(names):
                raise BadInput(
                    f"{name}: line {line} has {len(cells)} cells, and there are {len(names)} "
                    "column names"
                )
            if index is None:
                yield InputRow(number, cells)
                continue
            if index >= len(cells):
                raise BadInput(f"{name}: line {line} has no column {index} for the label")
            yield InputRow(number, cells[:index] + cells[index + 1 :], cells[index])

    return InputTable(features, rows())


def _position_of(label: str, names: list[str] | None) -> int:
    if names is not None and label in names:
        return names.index(label)
    if label.isdigit() and (names is None or int(label) < len(names)):
        return int(label)
    known = "no header names the columns"
    if names:
        rest = ", …" if len(names) > _SHOWN_NAMES else ""
        known = f"the columns are {', '.join(names[:_SHOWN_NAMES])}{rest}"
    raise BadInput(
        f"there is no column {label!r}: {known}",
        "provide the name of a column in the header, or a position from 0",
    )
