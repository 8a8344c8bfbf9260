"""Reads the rows of a file or of stdin that are to be predicted."""
# ruff: noqa: PLC0415 (duckdb is only needed for Parquet)

from __future__ import annotations

import csv
import gzip
import sys
import zlib
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain, islice
from typing import IO, TYPE_CHECKING, Literal, TypeAlias

from refit_cli.errors import BadInput

if TYPE_CHECKING:
    import io
    from collections.abc import Iterable, Iterator
    from pathlib import Path

Header = Literal["auto", "yes", "no"]

DELIMITERS = (",", ";", "\t", "|")
LONGEST_LINE_BYTES = 4_000_000
_SAMPLE_LINES = 50
_SHOWN_NAMES = 10
_GZIP_MAGIC = b"\x1f\x8b"
_PARQUET_MAGIC = b"PAR1"
_PICKLE_MAGIC = b"\x80"

_Lines: TypeAlias = "Iterator[tuple[int, list[str]]]"  # each with its line number in the file


@dataclass(frozen=True)
class Row:
    """One row: its number from 1, its cells as text, and its label when a column was named so."""

    number: int
    cells: list[str]
    label: str | None = None


@dataclass(frozen=True)
class Table:
    """The columns' names, or None where nothing names them, and the rows, read as they are used."""

    names: list[str] | None
    rows: Iterator[Row]


def numbered(lines: Iterable[list[str]]) -> Iterator[Row]:
    """Give rows that are in memory their numbers."""
    return (Row(number, cells) for number, cells in enumerate(lines, 1))


@contextmanager
def open_table(
    path: Path, header: Header, columns: list[str] | None, label: str | None
) -> Iterator[Table]:
    """Open a CSV, CSV.gz or Parquet file; `-` is stdin.

    Args:
        path: the file.
        header: whether the first line names the columns; `auto` looks.
        columns: names for the columns, in place of a header's.
        label: name or position from 0 of a column that is not a feature.

    Raises:
        BadInput: here or while rows are read, naming the line.
    """
    with ExitStack() as opened:
        stream = opened.enter_context(open_bytes(path))
        name = "stdin" if str(path) == "-" else str(path)
        magic = stream.peek(4)[:4]
        if magic == _PARQUET_MAGIC:
            lines, names = _parquet(path)
        elif magic[:1] == _PICKLE_MAGIC:
            raise BadInput(
                f"{name} looks like a pickle, which may run code when it is read",
                "give its rows as CSV or Parquet",
            )
        elif magic[:2] == _GZIP_MAGIC:
            lines, names = _csv(name, opened.enter_context(gzip.GzipFile(fileobj=stream)), header)
        else:
            lines, names = _csv(name, stream, header)
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


def _csv(name: str, stream: IO[bytes], header: Header) -> tuple[_Lines, list[str] | None]:
    lines = _lines(name, stream)
    sample = list(islice(lines, _SAMPLE_LINES))
    if not sample:
        raise BadInput(f"{name} is empty: there is no row to predict")
    rows = _parsed(name, chain(sample, lines), delimiter_of(sample))
    first = list(islice(rows, _SAMPLE_LINES))
    has_header = header == "yes" or (
        header == "auto" and looks_like_header([cells for _, cells in first])
    )
    names = first.pop(0)[1] if has_header and first else None
    return chain(first, rows), names


def _lines(name: str, stream: IO[bytes]) -> Iterator[str]:
    number = 0
    try:
        while line := stream.readline(LONGEST_LINE_BYTES):
            number += 1
            if len(line) == LONGEST_LINE_BYTES and not line.endswith(b"\n"):
                raise BadInput(
                    f"{name}: line {number} is longer than {LONGEST_LINE_BYTES:,} bytes, "
                    "more than one request carries"
                )
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{name}: line {number} is not UTF-8 text; is it a CSV file?") from error
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"{name} is damaged after line {number}: {error}") from error


def _parsed(name: str, lines: Iterator[str], delimiter: str) -> _Lines:
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise BadInput(f"{name}: line {reader.line_num} is not CSV: {error}") from error


def delimiter_of(sample: list[str]) -> str:
    """Return the delimiter that splits the sample's lines most evenly; a comma without any."""

    def evenness(delimiter: str) -> tuple[int, int]:
        counts = [line.count(delimiter) for line in sample if line.strip()]
        return (min(counts, default=0), max(counts, default=0))

    best = max(DELIMITERS, key=evenness)
    return best if evenness(best)[1] else ","


def looks_like_header(rows: list[list[str]]) -> bool:
    """Say whether the first row has text where the rows after it have numbers."""
    if len(rows) < 2:
        return False
    for position, name in enumerate(rows[0]):
        below = [row[position].strip() for row in rows[1:] if position < len(row)]
        filled = [cell for cell in below if cell]
        if name.strip() and not is_number(name) and filled and all(map(is_number, filled)):
            return True
    return False


def is_number(cell: str) -> bool:
    """Say whether a cell reads as a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _parquet(path: Path) -> tuple[_Lines, list[str] | None]:
    if str(path) == "-":
        raise BadInput("Parquet cannot be read from stdin", "give the file's name")
    import duckdb

    try:
        found = duckdb.connect(":memory:").execute("SELECT * FROM read_parquet(?)", [str(path)])
    except duckdb.Error as error:
        raise BadInput(f"{path} cannot be read as Parquet: {error}") from error

    def rows() -> _Lines:
        number = 0
        while block := found.fetchmany(1000):
            for values in block:
                number += 1
                yield number, ["" if value is None else str(value) for value in values]

    return rows(), [column[0] for column in found.description or []]


def _table(
    name: str,
    names: list[str] | None,
    lines: _Lines,
    label: str | None,
) -> Table:
    place = None if label is None else _position_of(label, names)
    features = None
    if names is not None:
        features = [name for position, name in enumerate(names) if position != place]

    def rows() -> Iterator[Row]:
        for number, (line, cells) in enumerate(lines, 1):
            if names is not None and len(cells) != len(names):
                raise BadInput(
                    f"{name}: line {line} has {len(cells)} cells, and there are {len(names)} "
                    "column names"
                )
            if place is None:
                yield Row(number, cells)
                continue
            if place >= len(cells):
                raise BadInput(f"{name}: line {line} has no column {place} for the label")
            yield Row(number, cells[:place] + cells[place + 1 :], cells[place])

    return Table(features, rows())


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
        "name a column of the header, or give a position from 0",
    )
