"""Check rows one by one, and return their normal form or the reason why they are refused.

In the normal form, cells are joined by commas, with the label first and the features in the order
of the schema. A missing value is an empty cell. A comma or a line break within a text is written as
a control character, so every normal row is one line without quotes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from refit.domain.csv_dialect import is_repeated_header
from refit.domain.csv_rows import CsvFault, CsvLineInvalid, split_line
from refit.domain.schema import FLOAT32_MAX, is_missing, number_of, number_text, shown
from refit.tabular.csv_bytes import READ_DIGITS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from refit.domain.csv_rows import CsvFormat, CsvRecord

MAX_TEXTS = 1000
"""A column with more distinct texts is not a category: it contains identifiers or free text."""

LABEL = 0
"""Index of the label in a normal row. The indexes of the features start at 1."""

_ESCAPES = {",": "\x1c", "\n": "\x1d", "\r": "\x1e"}
_ESCAPED = str.maketrans(_ESCAPES)
_UNESCAPED = str.maketrans({mark: character for character, mark in _ESCAPES.items()})


def unescaped(cell: bytes) -> str:
    """Return the original text of a normal row's cell."""
    return cell.decode().translate(_UNESCAPED)


@dataclass(frozen=True)
class NormalRow:
    """A good row in its normal form."""

    label: bytes
    features: bytes

    @property
    def line(self) -> bytes:
        return self.label + b"," + self.features


@dataclass(frozen=True)
class Refusal:
    """A row that cannot be used for training.

    Attributes:
        line: number of the row's first line in the file, from 1.
        reason: reason for the user.
        text: first line of the row.
    """

    line: int
    reason: str
    text: bytes


@dataclass(frozen=True)
class ColumnKinds:
    """The expected kind of each column of a normal row.

    Attributes:
        names: names of the columns, label first.
        texts: indexes of the columns that hold texts; all others hold numbers.
        open_label: whether the label may still be a class, so that its distinct values are counted.
    """

    names: tuple[str, ...]
    texts: frozenset[int]
    open_label: bool

    @property
    def counted(self) -> frozenset[int]:
        """Indexes of the columns whose distinct cells are counted."""
        return self.texts | {LABEL} if self.open_label else self.texts


@dataclass
class ColumnTally:
    """Counts of the column values in all rows of the expected width.

    Attributes:
        numbers: number of cells with a number, by column index.
        texts: number of cells with a text, by column index.
        values: distinct cells in good rows and their frequency, by index of the counted column.
    """

    numbers: Counter[int] = field(default_factory=Counter)
    texts: Counter[int] = field(default_factory=Counter)
    values: dict[int, Counter[bytes]] = field(default_factory=dict)

    def count_values(self, column: int, cells: Counter[bytes]) -> None:
        """Add the distinct cells of a column, unless more than `MAX_TEXTS` are already counted."""
        known = self.values.setdefault(column, Counter())
        if len(known) <= MAX_TEXTS:
            known.update(cells)


def plain_number(cell: str) -> str:
    """Return the text of a number in a form that XGBoost's CSV reader reads correctly.

    XGBoost reads `100000000000000000000` as 7766279631452241920, without an error. So a number with
    more digits than it can read is rewritten. Any other number is returned unchanged.
    """
    if len(cell) <= READ_DIGITS:
        return cell
    mantissa = cell.lower().partition("e")[0].lstrip("+-")
    whole, _, fraction = mantissa.partition(".")
    tiny = not whole.strip("0") and fraction.startswith("0" * (READ_DIGITS // 2))
    if len(whole.lstrip("0")) > READ_DIGITS or (len(fraction) > READ_DIGITS and tiny):
        return number_text(float(cell))
    return cell


class _RowRefused(Exception):
    """Raised when a row cannot be used for training; the text is the reason."""


class RowReader:
    """Checks the rows of one table, one by one.

    Attributes:
        kinds: the expected kinds of the columns.
        header_cells: cells of the table's header; a record with the same cells is skipped.
        constants: cells that follow those of the file in each row.
        repeated_headers: number of skipped records.
    """

    def __init__(
        self,
        kinds: ColumnKinds,
        picks: Sequence[int],
        csv_format: CsvFormat,
        width: int,
        tally: ColumnTally,
    ) -> None:
        """Prepare to read.

        Args:
            kinds: the expected kinds of the columns.
            picks: index of each normal column's cell in this table's rows.
            csv_format: how the table's cells are separated and quoted.
            width: number of cells in a row.
            tally: counts the values of the columns.
        """
        self.kinds = kinds
        self._picks = tuple(picks)
        self._format = csv_format
        self._width = width
        self._tally = tally
        self.header_cells: tuple[str, ...] = ()
        self.constants: tuple[str, ...] = ()
        self.repeated_headers = 0

    def line(self, line: bytes, number: int) -> NormalRow | Refusal | None:
        """Check a row of one line; return None for a blank line."""
        try:
            cells = split_line(line, self._format)
            return self._row([cell.strip() for cell in cells]) if cells else None
        except (CsvLineInvalid, _RowRefused) as error:
            return Refusal(number, str(error), line)

    def records(
        self, records: Sequence[CsvRecord | CsvFault]
    ) -> Iterator[NormalRow | Refusal | None]:
        """Check records that are already split into cells."""
        for record in records:
            if isinstance(record, CsvFault):
                yield Refusal(record.line, record.reason, record.text)
                continue
            try:
                yield self._row(record.cells)
            except _RowRefused as error:
                yield Refusal(record.line, str(error), record.text)

    def _row(self, cells: list[str]) -> NormalRow | None:
        if is_repeated_header(cells, self.header_cells):
            self.repeated_headers += 1
            return None
        width = self._width - len(self.constants)
        if len(cells) != width:
            raise _RowRefused(f"{len(cells)} cells, not {width}")
        cells = [*cells, *self.constants]
        normal: list[str] = []
        problems: list[str] = []
        for column, pick in enumerate(self._picks):
            cell = cells[pick]
            if is_missing(cell):
                normal.append("")
                continue
            problem = self._counted(column, cell)
            if problem:
                problems.append(problem)
            normal.append(cell if problem or column in self.kinds.texts else plain_number(cell))
        if not normal[LABEL]:
            problems.insert(0, f"the label {self.kinds.names[LABEL]!r} is missing")
        elif not any(normal[1:]):
            problems.append("no feature has a value")
        if problems:
            raise _RowRefused(problems[0])
        return self._good(normal)

    def _counted(self, column: int, cell: str) -> str | None:
        """Count a cell that has a value; return why the cell is invalid, or None."""
        is_number = number_of(cell) is not None
        (self._tally.numbers if is_number else self._tally.texts)[column] += 1
        name = self.kinds.names[column]
        if column in self.kinds.texts:
            if all(character.isprintable() or character in "\t\n\r" for character in cell):
                return None
            return f"column {name!r} has control characters: {shown(cell)}"
        if is_number:
            return None
        fault = "is not finite" if _is_infinite(cell) else "is text where numbers are expected"
        return f"column {name!r}: {shown(cell)} {fault}"

    def _good(self, normal: list[str]) -> NormalRow:
        escaped = [cell.translate(_ESCAPED).encode() for cell in normal]
        for column in self.kinds.counted:
            if escaped[column]:
                self._tally.count_values(column, Counter([escaped[column]]))
        return NormalRow(escaped[LABEL], b",".join(escaped[1:]))


def _is_infinite(cell: str) -> bool:
    try:
        return not abs(float(cell)) <= FLOAT32_MAX
    except ValueError:
        return False
