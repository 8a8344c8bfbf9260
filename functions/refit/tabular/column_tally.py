"""Count what the cells of each column look like, and track constant columns and row ids."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from refit.domain.cell_shapes import PLAIN_NUMBER, CellShape, cell_shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from refit.domain.column_reading import ColumnType

MAX_TEXTS = 1000
"""A column with more distinct texts is not a category: it contains identifiers or free text."""

MAX_ODD_TEXTS = 50
"""Number of distinct texts of a column of numbers that are remembered."""

MAX_IDS = 100_000
"""Number of row ids that are compared with each other if they do not count up."""

IdPattern: TypeAlias = Literal["counts", "counts_down", "increases", "distinct"]
"""How the whole numbers of a column that has another one in each row follow each other: up or down
by one, in ascending order, or in any order."""

_WRITTEN: Mapping[ColumnType, CellShape] = {
    "number": PLAIN_NUMBER,
    "boolean": CellShape("boolean"),
    "date": CellShape("date"),
}
_TEXT_KINDS = frozenset(["boolean", "date", "unit", "text"])


@dataclass
class ColumnTally:
    """Counts of the cells of the rows that have the expected width.

    All counts are by the index of the column, with the label first.

    Attributes:
        shapes: number of cells of each shape.
        values: distinct normal cells in good rows, for the columns that are counted.
        odd: distinct texts and their frequency, at most `MAX_ODD_TEXTS`.
        markers: words such as `NA`, which may mean a missing value, and their frequency.
        left_out_missing: number of cells without a value, for columns that are left out.
        date_forms: number of dates by the forms that each can have, for a time column.
    """

    shapes: defaultdict[int, Counter[CellShape]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    values: dict[int, Counter[bytes]] = field(default_factory=dict)
    odd: defaultdict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    markers: defaultdict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    left_out_missing: Counter[int] = field(default_factory=Counter)
    date_forms: defaultdict[int, Counter[frozenset[str]]] = field(
        default_factory=lambda: defaultdict(Counter)
    )

    def count(
        self,
        column: int,
        shape: CellShape,
        cell: str,
        number: int = 1,
        written: ColumnType | None = None,
    ) -> None:
        """Count a cell, or several equal ones.

        Args:
            column: index of the column.
            shape: shape of the cell.
            cell: the cell.
            number: how many there are.
            written: type of the column if Refit wrote the cell, None if people did. Refit writes
                dates and truth values as numbers, and numbers in one form, which says nothing about
                how people write the column.
        """
        if written is not None and shape.kind == "number":
            self.shapes[column][_WRITTEN.get(written, shape)] += number
            return
        self.shapes[column][shape] += number
        if shape.kind == "marker":
            self.markers[column][cell] += number
        elif shape.kind in _TEXT_KINDS:
            self.count_odd(column, cell, number)

    def count_odd(self, column: int, cell: str, number: int = 1) -> None:
        """Remember a text and count it, unless the maximum is reached."""
        odd = self.odd[column]
        if cell in odd or len(odd) < MAX_ODD_TEXTS:
            odd[cell] += number

    def count_values(self, column: int, cells: Counter[bytes]) -> None:
        """Add the distinct cells of a column, unless more than `MAX_TEXTS` are already counted."""
        known = self.values.setdefault(column, Counter())
        if len(known) <= MAX_TEXTS:
            known.update(cells)


class ColumnTracker:
    """Follows the cells of a column in the order of the rows.

    Attributes:
        is_constant: whether all cells are equal. A column in which some cells have a value and
            others have none is not constant: a mark, or a blank, is information.
        constant: that value, empty if no cell has a value; None before the first cell.
    """

    def __init__(self, *, compares_ids: bool = False) -> None:
        """Begin.

        Args:
            compares_ids: whether ids in any order are row ids if they are all distinct.
        """
        self._compares_ids = compares_ids
        self.is_constant = True
        self.constant: str | None = None
        self._is_whole = True
        self._increases = self._decreases = True
        self._by_one = True
        self._lowest: int | None = None
        self._highest: int | None = None
        self._previous: int | None = None
        self._seen: set[int] | None = set() if compares_ids else None
        self._count = 0

    @property
    def is_alive(self) -> bool:
        """Whether more cells can change the result."""
        return self.is_constant or self.ids is not None

    @property
    def ids(self) -> IdPattern | None:
        """The pattern of row ids; None if the column has none."""
        if not self._is_whole or not self._count:
            return None
        if self._increases:
            return "counts" if self._by_one else "increases"
        if self._decreases and self._by_one:
            return "counts_down"
        return "distinct" if self._seen is not None else None

    @property
    def id_range(self) -> int:
        """Difference of the highest and the lowest id."""
        return (self._highest or 0) - (self._lowest or 0)

    def are_years(self, years: range) -> bool:
        """Return whether the ids are all within a range of years."""
        return self._lowest in years and self._highest in years

    def begin_table(self) -> None:
        """Let the ids begin again, as each file of a drop may count its own rows."""
        self._previous = None
        if self._compares_ids and self._by_one and (self._increases or self._decreases):
            self._seen = set()

    def add(self, cells: Iterable[str]) -> None:
        """Add the cells of further rows."""
        for cell in cells:
            if self.is_constant:
                self._compare(cell)
            if self._is_whole:
                self._number(cell)
            if not self.is_alive:
                return

    def _compare(self, cell: str) -> None:
        if cell == self.constant:
            return
        value = "" if cell_shape(cell).kind in {"missing", "marker"} else cell
        if self.constant is None:
            self.constant = value
        self.is_constant = value == self.constant

    def _number(self, cell: str) -> None:
        text = cell.removesuffix(".0")
        if not (text.isascii() and text.isdigit()) or len(text) > 18:
            self._is_whole = False
            return
        number = int(text)
        self._count += 1
        if self._previous is not None:
            self._by_one &= abs(number - self._previous) == 1
            self._increases &= number > self._previous
            self._decreases &= number < self._previous
        if self._lowest is None or number < self._lowest:
            self._lowest = number
        if self._highest is None or number > self._highest:
            self._highest = number
        self._previous = number
        if self._seen is not None and self._count <= MAX_IDS:
            if number in self._seen:
                self._seen = None
            else:
                self._seen.add(number)
