"""How a CSV file is written: its delimiter, how wide it is, and whether it has a header."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit.domain.errors import DatasetInvalid
from refit.domain.schema import is_missing, number_of
from refit.tabular.readers.lines import MAX_LINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.model_settings import DataSettings

DELIMITERS = (",", ";", "|", "\t")
_SNIFFED_LINES = 200
_SNIFFED_CELLS = 5000
_SNIFFED_LINES_AT_LEAST = 20
# A header is known by numbers below it; without any number, by texts that repeat below but not in
# it, which takes some rows to see.
_ROWS_THAT_SHOW_REPETITION = 10
_NUMBERED_COLUMNS = 5

# The module's own limit of 128 kB per cell is below the longest line that is read.
csv.field_size_limit(MAX_LINE_BYTES)


@dataclass(frozen=True)
class Dialect:
    """How one file is written.

    Attributes:
        delimiter: one character.
        width: how many cells its rows have.
        header: the names in its first line; None when the first line is a row.
        header_lines: how many lines come before the first row.
        rows: the rows among its first lines, of the right width, as texts.
    """

    delimiter: str
    width: int
    header: tuple[str, ...] | None
    header_lines: int
    rows: tuple[tuple[str, ...], ...]


def dialect_of(
    lines: Sequence[str], settings: DataSettings, known: tuple[str, ...] | None, name: str
) -> Dialect:
    """Find out how a file is written.

    Args:
        lines: its first lines, whole.
        settings: may say what the delimiter is, and whether there is a header.
        known: the names of the columns where they are known: of the model that is live, or of
            another file of the drop. A first line that repeats them is a header.
        name: the file, for messages.

    Raises:
        DatasetInvalid: when the rows have a single column.
    """
    sample = list(lines[:_SNIFFED_LINES])
    delimiter = settings.delimiter if settings.delimiter != "auto" else _delimiter(sample)
    records = _records(sample, delimiter)
    width = _usual_width(records)
    records = records[: max(_SNIFFED_LINES_AT_LEAST, _SNIFFED_CELLS // max(1, width))]
    if width < 2:
        raise DatasetInvalid(
            f"{name} has one column: a label and at least one feature are wanted, with one of "
            ", ; | or a tab between them"
        )
    first = tuple(cell.strip() for cell in records[0])
    rows = tuple(tuple(record) for record in records[1:] if len(record) == width)
    if _has_header(first, rows, width, settings, known):
        return Dialect(delimiter, width, first, _header_lines(sample, delimiter), rows)
    own = (tuple(records[0]),) if len(first) == width else ()
    return Dialect(delimiter, width, None, 0, own + rows)


def _records(lines: list[str], delimiter: str) -> list[list[str]]:
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    return [record for record in reader if record]


def _header_lines(lines: list[str], delimiter: str) -> int:
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    next(record for record in reader if record)
    return reader.line_num


def _usual_width(records: list[list[str]]) -> int:
    return Counter(map(len, records)).most_common(1)[0][0] if records else 0


def _delimiter(lines: list[str]) -> str:
    """Return the character that cuts most lines into the same number of cells, above one."""

    def agreement(delimiter: str) -> tuple[float, int]:
        widths = Counter(map(len, _records(lines, delimiter)))
        width, count = widths.most_common(1)[0] if widths else (0, 0)
        return (count / widths.total(), width) if width > 1 else (0.0, 0)

    return max(DELIMITERS, key=agreement)


def _has_header(
    first: tuple[str, ...],
    rows: tuple[tuple[str, ...], ...],
    width: int,
    settings: DataSettings,
    known: tuple[str, ...] | None,
) -> bool:
    if settings.header != "auto":
        return settings.header == "yes"
    if len(first) != width:
        return False
    if settings.label in first or (known is not None and sorted(first) == sorted(known)):
        return True
    named = [not is_missing(cell) and number_of(cell) is None for cell in first]
    if not rows:
        return all(named)
    numeric = [_mostly_numbers([row[place] for row in rows]) for place in range(width)]
    over_numbers = [named[place] for place in range(width) if numeric[place]]
    if over_numbers:
        return 2 * sum(over_numbers) > len(over_numbers) or _is_numbered(first)
    return all(named) and _repeats_below_only(first, rows)


def _mostly_numbers(cells: list[str]) -> bool:
    values = [cell for cell in cells if not is_missing(cell)]
    return 2 * sum(number_of(cell) is not None for cell in values) > len(values)


def _is_numbered(first: tuple[str, ...]) -> bool:
    """Say whether names are 0, 1, 2 …, as of a table whose columns were never named.

    One text among them is the label's name.
    """
    numbers = [cell for cell in first if number_of(cell) is not None]
    enough = len(numbers) >= _NUMBERED_COLUMNS or (len(numbers) == len(first) - 1)
    return (
        enough
        and len(numbers) >= len(first) - 1
        and any(
            numbers == [str(begin + place) for place in range(len(numbers))] for begin in (0, 1)
        )
    )


def _repeats_below_only(first: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> bool:
    if len(rows) < _ROWS_THAT_SHOW_REPETITION:
        return False
    columns = [[row[place].strip() for row in rows] for place in range(len(first))]
    return all(
        name not in column and 2 * len(set(column)) <= len(column)
        for name, column in zip(first, columns, strict=True)
    )
