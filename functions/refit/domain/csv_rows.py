"""Split CSV text into records and cells.

Data preparation, the predict API and the command line all use this module, so a row has the same
cells wherever it is read. The rules:

- A line ends with a line feed, a carriage return, or both. A blank line is not a record.
- Cells are separated by one delimiter, or by any number of blanks and tabs. Whitespace around a
  cell is removed, also within its quotes.
- A cell that begins with a quote must end with a quote. Within the quotes, delimiters and line ends
  are ordinary characters, and two quotes stand for one. Elsewhere a quote is an ordinary character.
  If the quotes of a record do not match, a backslash before a quote is tried as well.
- A quoted cell of many lines which all look like records is two stray quotes, not a cell.

`csv_dialect` detects the delimiter and the header. `refit.tabular.csv_bytes` is a faster reader for
blocks of plain numbers; a property test shows that both return the same rows.
"""

from __future__ import annotations

import csv
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_RECORD_BYTES = 4 * 1024**2
"""Longer records are rejected. 4 MiB hold 400,000 cells of ten characters."""

UNCLOSED_QUOTE = "a quote is never closed"

BLANKS = " "
"""The delimiter of a format whose cells are separated by any number of blanks and tabs."""

MAX_RECORDS_IN_CELL = 20
"""A quoted cell with more lines than this is refused if all of them look like records."""

_BLANKS_OR_QUOTED = {
    '"': re.compile(r'[ \t]+|"(?:[^"]|"")*"'),
    "'": re.compile(r"[ \t]+|'(?:[^']|'')*'"),
}
_ESCAPED_QUOTE = b'\\"'

# By default the csv module rejects a cell of more than 128 kB.
csv.field_size_limit(MAX_RECORD_BYTES)


@dataclass(frozen=True)
class CsvFormat:
    """How cells are separated and quoted.

    Attributes:
        delimiter: one ASCII character; `BLANKS` stands for any number of blanks and tabs.
        quote: a double or a single quote.
    """

    delimiter: str = ","
    quote: Literal['"', "'"] = '"'

    @property
    def quote_byte(self) -> bytes:
        return self.quote.encode()


class CsvLineInvalid(Exception):
    """Raised when a record cannot be split into cells; the text is the reason.

    Attributes:
        lines: number of lines of the record.
    """

    lines = 1


class CsvRecord(NamedTuple):
    """The cells of one record.

    Attributes:
        line: number of the record's first line, from 1.
        cells: cells without the whitespace around them.
        lines: number of lines of the record.
        text: first line of the record, without its line end.
    """

    line: int
    cells: list[str]
    lines: int
    text: bytes


class CsvFault(NamedTuple):
    """A line that is not CSV.

    Attributes:
        line: number of the line, from 1.
        reason: why the line cannot be read.
        text: content of the line, without its line end.
    """

    line: int
    reason: str
    text: bytes


def normal_line_ends(text: bytes) -> bytes:
    """Return a text whose lines all end with a line feed.

    CR LF becomes LF. A line that ends with a carriage return alone keeps it before its line feed,
    because only the reader of records knows whether the carriage return is within quotes.
    """
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n")
        if b"\r" in text:
            text = text.replace(b"\r", b"\r\n")
    return text


def split_line(line: bytes, csv_format: CsvFormat) -> list[str]:
    """Return the cells of a record of one line, including the whitespace around them.

    Args:
        line: UTF-8 text with or without its line end.
        csv_format: how the cells are separated and quoted.

    Returns:
        The cells; an empty list for a blank line.

    Raises:
        CsvLineInvalid: if the line is not UTF-8 text, or its quotes do not match.
    """
    if csv_format.quote_byte in line:
        return _QuotedRecords([line], csv_format).read(0, is_last=True)[0]
    text = _decoded(line).rstrip("\r\n")
    if not text or text.isspace():
        return []
    return text.split() if csv_format.delimiter == BLANKS else text.split(csv_format.delimiter)


def read_records(
    lines: Sequence[bytes], first: int, csv_format: CsvFormat, *, is_last: bool = True
) -> tuple[list[CsvRecord | CsvFault], int]:
    """Split whole lines into records.

    If the quotes of a line do not match, that line is reported as a fault and reading continues
    with the next line. The same applies to two stray quotes with many records between them.

    Args:
        lines: UTF-8 text with the line ends of `normal_line_ends`, split at line feeds.
        first: number of the first line.
        csv_format: how the cells are separated and quoted.
        is_last: whether the text ends with these lines. If not, a record of up to
            `MAX_RECORD_BYTES` whose quote is still open at the end is left for the next call.

    Returns:
        The records and faults in the order of the lines, and the number of lines they take.
    """
    records: list[CsvRecord | CsvFault] = []
    quoted, quote = _QuotedRecords(lines, csv_format), csv_format.quote_byte
    index = 0
    stray: dict[int, str] = {}
    while index < len(lines):
        line, taken = lines[index], 1
        try:
            if index in stray:
                raise CsvLineInvalid(stray.pop(index))
            if quote in line:
                cells, taken = quoted.read(index, is_last=is_last)
                if _holds_records(lines[index : index + taken], csv_format.delimiter):
                    opens, closes = first + index, first + index + taken - 1
                    stray = {index + taken - 1: f"the quote that opens in line {opens} closes here"}
                    raise CsvLineInvalid(
                        f"a quote opens here and closes in line {closes}: {taken} lines would be "
                        "one cell"
                    )
                cells = [cell.strip() for cell in cells]
            else:
                cells = _plain_cells(_decoded(line), csv_format.delimiter)
            if cells:
                records.append(CsvRecord(first + index, cells, taken, line.removesuffix(b"\r")))
        except _Unfinished:
            break
        except CsvLineInvalid as error:
            records.append(CsvFault(first + index, str(error), line.removesuffix(b"\r")))
            taken = error.lines
        index += taken
    return records, index


def _holds_records(lines: Sequence[bytes], delimiter: str) -> bool:
    """Return whether the lines of a quoted record look like records themselves.

    They do if there are many of them, with as many delimiters each as the first line.
    """
    if len(lines) <= MAX_RECORDS_IN_CELL:
        return False
    if delimiter == BLANKS:
        widths = {len(line.split()) for line in lines[:-1]}
        return len(widths) == 1 and min(widths) > 1
    counts = {line.count(delimiter.encode()) for line in lines[:-1]}
    return len(counts) == 1 and min(counts) > 0


def read_text(text: str, csv_format: CsvFormat) -> list[list[str]]:
    """Return the cells of all records of a text.

    Raises:
        CsvLineInvalid: for the first line that is not CSV, with its number.
    """
    if csv_format.quote not in text:  # this is three times as fast as the general case
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        rows = (_plain_cells(line, csv_format.delimiter) for line in text.split("\n"))
        return [cells for cells in rows if cells]
    rows_with_quotes = []
    lines = normal_line_ends(text.encode(errors="surrogatepass")).split(b"\n")
    for record in read_records(lines, 1, csv_format)[0]:
        if isinstance(record, CsvFault):
            raise CsvLineInvalid(f"line {record.line} is not CSV: {record.reason}")
        rows_with_quotes.append(record.cells)
    return rows_with_quotes


def _plain_cells(text: str, delimiter: str) -> list[str]:
    """Return the stripped cells of a line without quotes; an empty list for a blank line."""
    if delimiter == BLANKS:
        return text.split()
    words = text.split(None, 1)
    if not words:
        return []
    cells = text.split(delimiter)
    # Most lines have no whitespace, so their cells need not be stripped.
    return cells if words[0] == text else [cell.strip() for cell in cells]


class _Unfinished(Exception):
    """Raised when the lines end within a quoted cell."""


class _QuotedRecords:
    """Reads records with quotes through the csv module, and counts their lines."""

    def __init__(self, lines: Sequence[bytes], csv_format: CsvFormat) -> None:
        self._lines = lines
        self._next = 0
        self._is_exhausted = False
        self._blanks = csv_format.delimiter == BLANKS
        self._quote = csv_format.quote
        form: dict[str, Any] = {
            "delimiter": "\t" if self._blanks else csv_format.delimiter,
            "quotechar": csv_format.quote,
            "skipinitialspace": True,
            "strict": True,
        }
        self._reader = csv.reader(self, **form)
        self._reader_of_escapes = csv.reader(self, **form, escapechar="\\", doublequote=False)

    def read(self, index: int, *, is_last: bool) -> tuple[list[str], int]:
        """Return the cells of the record that begins at a line, and its number of lines.

        Raises:
            CsvLineInvalid: if the quotes do not match, or the record is not UTF-8 text.
            _Unfinished: if lines that follow may complete the record.
        """
        self._next, self._is_exhausted = index, False
        try:
            return next(self._reader), self._next - index
        except csv.Error as error:
            if _ESCAPED_QUOTE in self._lines[index]:
                # Spark and MySQL write a quote within a cell as \" and not as two quotes.
                self._next, self._is_exhausted = index, False
                with suppress(csv.Error):
                    return next(self._reader_of_escapes), self._next - index
            if not self._is_exhausted:
                raise CsvLineInvalid(f"the quotes do not match ({error})") from None
            if not is_last and sum(map(len, self._lines[index:])) <= MAX_RECORD_BYTES:
                raise _Unfinished from None
            raise CsvLineInvalid(UNCLOSED_QUOTE) from None
        except CsvLineInvalid as error:
            error.lines = self._next - index
            raise

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """Return the next line to the csv module."""
        if self._next == len(self._lines):
            self._is_exhausted = True
            raise StopIteration
        line = self._lines[self._next]
        self._next += 1
        text = _decoded(line)
        if self._blanks:
            text = _BLANKS_OR_QUOTED[self._quote].sub(_with_one_tab, text.strip())
        # A carriage return at the end was the line end, so that it stays within a quoted cell.
        return text if text.endswith("\r") else text + "\n"


def _with_one_tab(match: re.Match[str]) -> str:
    return "\t" if match[0].isspace() else match[0]


def _decoded(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise CsvLineInvalid("not UTF-8 text: save the file as UTF-8") from None
