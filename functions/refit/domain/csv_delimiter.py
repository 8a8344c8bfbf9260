"""Find the delimiter of a CSV file by its first lines.

A delimiter is likely if it splits nearly every line into the same number of cells, and if the cells
of a column are of one kind: numbers, also with a decimal comma, or texts without the regular traces
of another delimiter. So `5,5;3,4` has two numbers with a decimal comma, and not three cells.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from refit.domain.cells import is_missing
from refit.domain.csv_rows import BLANKS, CsvFormat, CsvRecord, read_records
from refit.domain.number_forms import is_number_like

if TYPE_CHECKING:
    from collections.abc import Sequence

_TYPED_SHARE = 0.9
DELIMITERS = (",", ";", "|", "\t")

_SAMPLE_CELLS = 5000
_MIN_SAMPLE_RECORDS = 20
_REGULAR = 0.9
# A first line with another number of cells is a title, or the delimiter is wrong.
_OTHER_FIRST = 0.5
_LIBSVM = re.compile(r"\S+(?:\s+[0-9]+:\S+)+\s*")
_UNSUPPORTED = {
    "\x01": "the character 1, Hive's default",
    "::": "::",
    ":": ":",
    "^": "^",
    "~": "~",
    "/": "/",
}


class _Split(NamedTuple):
    """How a delimiter splits the lines.

    Attributes:
        score: 0 to 1; how regular the records are, times the share of columns of one kind.
        regular: share of the lines with the usual number of cells.
        width: usual number of cells.
        numbers: share of the columns that hold numbers.
    """

    score: float
    regular: float
    width: int
    numbers: float


def likely_format(lines: Sequence[bytes]) -> CsvFormat:
    """Return the format with the delimiter that fits the lines best.

    One of `DELIMITERS` is preferred. Blanks are a delimiter only if no other one fits as well, and
    if at least half of the columns hold numbers.
    """
    splits = {delimiter: _split(lines, CsvFormat(delimiter)) for delimiter in DELIMITERS}
    best = max(splits, key=splits.__getitem__)
    if splits[best].score < 1:
        blanks = _split(lines, CsvFormat(BLANKS))
        is_table = blanks.regular >= _REGULAR and 2 * blanks.numbers >= 1
        if is_table and blanks.score > splits[best].score:
            return CsvFormat(BLANKS)
    return CsvFormat(best)


def unsupported_delimiter(lines: Sequence[str]) -> str | None:
    """Return what seems to separate the cells of lines that no delimiter splits; None if nothing.

    Args:
        lines: the lines of the file that have a text.
    """
    if all(map(_LIBSVM.fullmatch, lines)):
        return "a blank and an index each, as in LibSVM files"
    for delimiter, name in _UNSUPPORTED.items():
        counts = {line.count(delimiter) for line in lines}
        if len(counts) == 1 and min(counts) > 0:
            return name
    widths = {len(line.split()) for line in lines}
    return "blanks" if len(widths) == 1 and min(widths) > 1 else None


def _split(lines: Sequence[bytes], csv_format: CsvFormat) -> _Split:
    read, _ = read_records(lines, 1, csv_format)
    records = [record.cells for record in read if isinstance(record, CsvRecord)]
    widths = Counter(map(len, records))
    width, count = widths.most_common(1)[0] if widths else (0, 0)
    if width < 2:
        return _Split(0, 0, 0, 0)
    below = [cells for cells in records[1:] if len(cells) == width] or records[:1]
    below = below[: max(_MIN_SAMPLE_RECORDS, _SAMPLE_CELLS // width)]
    columns = [
        [cell for cell in column if not is_missing(cell)] for column in zip(*below, strict=False)
    ]
    numbers = [bool(column) and _holds_numbers(column) for column in columns]
    pure: float = sum(
        is_numeric or not _is_split_further(column, csv_format.delimiter)
        for is_numeric, column in zip(numbers, columns, strict=True)
    )
    regular = count / len(read)
    if abs(len(records[0]) - width) > 1:  # the header of R has one name fewer
        pure *= _OTHER_FIRST
    return _Split(regular * pure / len(columns), regular, width, sum(numbers) / len(columns))


def _is_split_further(cells: Sequence[str], delimiter: str) -> bool:
    """Return whether another delimiter splits nearly all of these texts in the same way."""
    counts = [
        Counter(_count(cell, other) for cell in cells) for other in DELIMITERS if other != delimiter
    ]
    if delimiter != BLANKS:
        counts.append(Counter(_numbers_between_blanks(cell) for cell in cells))
    for count in counts:
        del count[0]
        if count and max(count.values()) >= _REGULAR * len(cells):
            return True
    return False


def _count(cell: str, delimiter: str) -> int:
    # Before a blank, a comma and a semicolon are punctuation.
    return cell.count(delimiter) - (cell.count(f"{delimiter} ") if delimiter in ",;" else 0)


def _numbers_between_blanks(cell: str) -> int:
    parts = cell.split()
    return len(parts) - 1 if len(parts) > 1 and all(map(is_number_like, parts)) else 0


def _holds_numbers(cells: Sequence[str]) -> bool:
    """Return whether nearly all of these cells, which have a value, look like numbers."""
    return sum(map(is_number_like, cells)) >= _TYPED_SHARE * len(cells)
