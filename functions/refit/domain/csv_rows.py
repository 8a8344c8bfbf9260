"""Split CSV text into records and cells: the one reader that all of Refit uses.

Data preparation, the predict API and the command line read rows through this module, so a row has
the same cells wherever it is read. The rules:

- A line ends with a line feed, or with a carriage return and a line feed. A carriage return alone
  is an ordinary character. A line of blanks is not a record.
- Cells are separated by one delimiter. Blanks around a cell are removed.
- A cell that begins with a double quote ends with one. In between, delimiters and line ends are
  ordinary characters and two double quotes stand for one. Elsewhere a double quote is an ordinary
  character.

`csv_dialect` finds the delimiter and the header. `refit.tabular.csv_bytes` is a faster reader for
blocks of plain numbers; a property test shows that both give the same rows.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_RECORD_BYTES = 4 * 1024**2
"""Longer records are rejected. 4 MiB hold 400,000 cells of ten characters."""

UNCLOSED_QUOTE = "a quote is never closed"

# By default the csv module rejects a cell of more than 128 kB.
csv.field_size_limit(MAX_RECORD_BYTES)


class CsvLineInvalid(Exception):
    """A record cannot be split into cells; the text is the reason.

    Attributes:
        lines: how many lines the record takes.
    """

    lines = 1


class CsvRecord(NamedTuple):
    """The cells of one record.

    Attributes:
        line: number of its first line, from 1.
        cells: without the blanks around them.
        lines: how many lines it takes.
        text: its first line.
    """

    line: int
    cells: list[str]
    lines: int
    text: bytes


class CsvFault(NamedTuple):
    """A line that is not CSV.

    Attributes:
        line: its number, from 1.
        reason: why it cannot be read.
        text: the line.
    """

    line: int
    reason: str
    text: bytes


def split_line(line: bytes, delimiter: str) -> list[str]:
    """Return the cells of a record that takes one line, with the blanks around them.

    Args:
        line: UTF-8 text with or without its line end.
        delimiter: one character.

    Returns:
        The cells; none for a blank line.

    Raises:
        CsvLineInvalid: if the line is not UTF-8 text, or its quotes do not match.
    """
    text = _decoded(line)
    if '"' not in text:
        return text.split(delimiter) if text.strip() else []
    feed = _LineFeed([line], 0)
    try:
        return _quoted_record(feed, delimiter)
    except csv.Error as error:
        reason = UNCLOSED_QUOTE if feed.is_exhausted else _mismatch(error)
        raise CsvLineInvalid(reason) from None


def read_records(
    lines: Sequence[bytes], first: int, delimiter: str, *, is_last: bool = True
) -> tuple[list[CsvRecord | CsvFault], int]:
    """Read the records of whole lines.

    Quotes that do not match cost one line: reading continues with the line after it.

    Args:
        lines: UTF-8 text, split at line feeds.
        first: number of the first line.
        delimiter: one character.
        is_last: whether the text ends here. Otherwise a record whose quote is still open at the
            end is left for the next call, up to `MAX_RECORD_BYTES`.

    Returns:
        The records and faults in the order of the lines, and how many lines they take.
    """
    records: list[CsvRecord | CsvFault] = []
    index = 0
    while index < len(lines):
        line, taken = lines[index], 1
        try:
            if b'"' in line:
                cells, taken = _quoted_at(lines, index, delimiter, is_last=is_last)
            else:
                cells = split_line(line, delimiter)
            if cells:
                stripped = [cell.strip() for cell in cells]
                records.append(CsvRecord(first + index, stripped, taken, line))
        except _Unfinished:
            break
        except CsvLineInvalid as error:
            records.append(CsvFault(first + index, str(error), line))
            taken = error.lines
        index += taken
    return records, index


class _Unfinished(Exception):
    """The lines end within a record."""


def _quoted_at(
    lines: Sequence[bytes], index: int, delimiter: str, *, is_last: bool
) -> tuple[list[str], int]:
    """Return the cells of the record that begins with a line, and how many lines it takes."""
    feed = _LineFeed(lines, index)
    try:
        return _quoted_record(feed, delimiter), feed.taken
    except csv.Error as error:
        if not feed.is_exhausted:
            raise CsvLineInvalid(_mismatch(error)) from None
        if is_last or not _fits(lines[index:]):
            raise CsvLineInvalid(UNCLOSED_QUOTE) from None
        raise _Unfinished from None
    except CsvLineInvalid as error:
        error.lines = feed.taken
        raise


def _fits(lines: Sequence[bytes]) -> bool:
    return sum(map(len, lines)) <= MAX_RECORD_BYTES


def _quoted_record(feed: _LineFeed, delimiter: str) -> list[str]:
    reader = csv.reader(feed, delimiter=delimiter, skipinitialspace=True, strict=True)
    return next(reader, [])


def _mismatch(error: csv.Error) -> str:
    return f"quotes are not in order ({error})"


class _LineFeed:
    """Passes lines to the csv module one by one, and counts them."""

    def __init__(self, lines: Sequence[bytes], index: int) -> None:
        self._lines = lines
        self._begin = self._index = index
        self.is_exhausted = False

    @property
    def taken(self) -> int:
        return self._index - self._begin

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._index == len(self._lines):
            self.is_exhausted = True
            raise StopIteration
        line = self._lines[self._index]
        self._index += 1
        return _decoded(line) + "\n"


def _decoded(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise CsvLineInvalid("not UTF-8 text: save the file as UTF-8") from None
