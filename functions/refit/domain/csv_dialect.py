"""Detect the dialect of a CSV file: its delimiter, its width and whether it has a header.

Data preparation and the command line call `detect_dialect` on the first lines of a file, so both
read the file in the same way. The predict API accepts only comma-separated text/csv without a
header. It calls `is_header` to explain why a first row was rejected.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from refit.domain.cells import is_missing, number_of
from refit.domain.csv_rows import CsvFormat, CsvRecord, read_records

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HeaderSetting: TypeAlias = Literal["auto", "yes", "no"]

DELIMITERS = (",", ";", "|", "\t")
SAMPLE_LINES = 200
SAMPLE_BYTES = 256 * 1024
"""How much of a file is read to detect its dialect: whichever limit is reached first."""

# A header is detected from about this many cells, and from at least this many records.
_SAMPLE_CELLS = 5000
_MIN_SAMPLE_RECORDS = 20
# In a table without numbers, a header is recognized because texts repeat only below it. That
# requires some rows.
_MIN_ROWS_TO_REPEAT = 10
_MIN_NUMBERED_COLUMNS = 5


@dataclass(frozen=True)
class CsvDialect:
    """The dialect of one CSV file.

    Attributes:
        csv_format: how cells are separated and quoted.
        width: the most frequent number of cells in a record; 0 if there is no record.
        header: the column names in the first record; None if the first record is a row.
        header_lines: number of lines before the first row.
        rows: the first rows, if they have this width.
    """

    csv_format: CsvFormat
    width: int
    header: tuple[str, ...] | None
    header_lines: int
    rows: tuple[tuple[str, ...], ...]


def detect_dialect(
    lines: Sequence[bytes],
    *,
    delimiter: str = "auto",
    header: HeaderSetting = "auto",
    label: str | None = None,
    known_names: Sequence[str] | None = None,
    lone_record_is_header: bool = True,
) -> CsvDialect:
    """Return the dialect of a file.

    Args:
        lines: the first lines of the file; bytes that are not UTF-8 are replaced.
        delimiter: one character, or `auto` for the one of `DELIMITERS` that splits most records
            into the same number of cells, which must be at least two.
        header: `auto` calls `is_header`.
        label: name of the label column, if it is selected by name. If the first record has this
            cell, it is a header.
        known_names: names of the columns, if known from another source.
        lone_record_is_header: whether the only record of a file is a header if all of its cells
            are texts.
    """
    sample = [line.decode(errors="replace").encode() for line in lines[:SAMPLE_LINES]]
    csv_format = _most_regular_format(sample) if delimiter == "auto" else CsvFormat(delimiter)
    records = _records(sample, csv_format)
    if not records:
        return CsvDialect(csv_format, 0, None, 0, ())
    width = _usual_width(records)
    records = records[: max(_MIN_SAMPLE_RECORDS, _SAMPLE_CELLS // width)]
    first, *rest = (tuple(record.cells) for record in records)
    rows = tuple(cells for cells in rest if len(cells) == width)
    if header == "auto":
        has_header = len(first) == width and (
            label in first or is_header(first, rows, known_names, lone_record_is_header)
        )
    else:
        has_header = header == "yes"
    if has_header:
        header_lines = records[0].line - 1 + records[0].lines
        return CsvDialect(csv_format, width, column_names(first), header_lines, rows)
    return CsvDialect(csv_format, width, None, 0, ((first,) if len(first) == width else ()) + rows)


def is_header(
    first: Sequence[str],
    rows: Sequence[Sequence[str]],
    known_names: Sequence[str] | None = None,
    lone_record_is_header: bool = True,
) -> bool:
    """Return whether the first record holds the names of the columns.

    A record that has the known names, in any order, is a header. If the table has columns of
    numbers, a record is a header if it has texts in most of these columns, or if it numbers the
    columns from 0 or 1. If the table has no column of numbers, a record is a header if the texts
    below it repeat in every column, and none of them equals the record's own cell.

    Args:
        first: the record; (n_columns,) cells.
        rows: the records after it; (n_rows, n_columns) cells.
        known_names: names of the columns, if known from another source.
        lone_record_is_header: the result for a record of texts without any row after it.
    """
    if known_names is not None and sorted(column_names(first)) == sorted(known_names):
        return True
    is_name = [not is_missing(cell) and number_of(cell) is None for cell in first]
    if not rows:
        return lone_record_is_header and all(is_name)
    columns = list(zip(*rows, strict=True))
    names_over_numbers = [
        name for name, column in zip(is_name, columns, strict=True) if _mostly_numbers(column)
    ]
    if names_over_numbers:
        mostly_names = 2 * sum(names_over_numbers) > len(names_over_numbers)
        return mostly_names or _counts_columns(first, columns)
    return all(is_name) and _only_rows_repeat(first, columns)


def column_names(header: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the columns; a column without a name is named after its index."""
    return tuple(name or f"column{index}" for index, name in enumerate(header))


def _records(lines: Sequence[bytes], csv_format: CsvFormat) -> list[CsvRecord]:
    records, _ = read_records(lines, 1, csv_format)
    return [record for record in records if isinstance(record, CsvRecord)]


def _usual_width(records: Iterable[CsvRecord]) -> int:
    return Counter(len(record.cells) for record in records).most_common(1)[0][0]


def _most_regular_format(lines: Sequence[bytes]) -> CsvFormat:
    def regularity(csv_format: CsvFormat) -> tuple[float, int]:
        widths = Counter(len(record.cells) for record in _records(lines, csv_format))
        width, count = widths.most_common(1)[0] if widths else (0, 0)
        return (count / widths.total(), width) if width > 1 else (0.0, 0)

    return max(map(CsvFormat, DELIMITERS), key=regularity)


def _mostly_numbers(cells: Sequence[str]) -> bool:
    values = [cell for cell in cells if not is_missing(cell)]
    return 2 * sum(number_of(cell) is not None for cell in values) > len(values)


def _counts_columns(first: Sequence[str], columns: Sequence[Sequence[str]]) -> bool:
    """Return whether the cells are 0, 1, 2 … or 1, 2, 3 …, as in a table without column names.

    One cell may be a text: the name of the label. A row with few cells can have such numbers by
    chance. Then the text must differ from the values of its column.
    """
    numbers = [cell for cell in first if number_of(cell) is not None]
    texts = [
        (cell, column)
        for cell, column in zip(first, columns, strict=True)
        if number_of(cell) is None
    ]
    if len(texts) > 1 or not any(
        numbers == [str(start + index) for index in range(len(numbers))] for start in (0, 1)
    ):
        return False
    return len(numbers) >= _MIN_NUMBERED_COLUMNS or any(
        _mostly_numbers(column) or _only_rows_repeat([cell], [column]) for cell, column in texts
    )


def _only_rows_repeat(first: Sequence[str], columns: Sequence[Sequence[str]]) -> bool:
    return len(columns[0]) >= _MIN_ROWS_TO_REPEAT and all(
        name not in column and 2 * len(set(column)) <= len(column)
        for name, column in zip(first, columns, strict=True)
    )
