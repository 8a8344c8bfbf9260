"""What is known of the cells of a column before it is decided how the column is read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refit.domain.cell_shapes import CellShape
    from refit.domain.number_forms import NumberShape


@dataclass
class ColumnEvidence:
    """What is known of the cells of a column.

    Attributes:
        shapes: number of cells of each shape.
        odd: distinct texts, up to a limit.
        markers: words such as `NA`, which may mean a missing value.
        first: the first distinct cells with a value, and those that may stand for a gap.
        distinct: number of distinct texts in good rows; None if they were not counted. Above
            `MAX_TEXTS` they are not counted further.
        is_whole: whether all rows were read, and not only the first ones.
        is_precise: whether each number was looked at, and not only whole blocks of rows.
        date_forms: number of dates by the forms that each can have (`refit.domain.date_forms`).
            Of all rows for a time column, else of the first rows.
    """

    shapes: Counter[CellShape] = field(default_factory=Counter)
    odd: Counter[str] = field(default_factory=Counter)
    markers: Counter[str] = field(default_factory=Counter)
    first: tuple[str, ...] = ()
    distinct: int | None = None
    is_whole: bool = False
    is_precise: bool = True
    date_forms: Counter[frozenset[str]] = field(default_factory=Counter)

    def cells(self, *kinds: str) -> int:
        """Return the number of cells of these kinds."""
        return sum(count for shape, count in self.shapes.items() if shape.kind in kinds)

    @property
    def numbers(self) -> int:
        return self.cells("number", "infinite")

    @property
    def texts(self) -> int:
        return self.cells("boolean", "date", "unit", "text")

    @property
    def number_shapes(self) -> Counter[NumberShape]:
        shapes: Counter[NumberShape] = Counter()
        for shape, count in self.shapes.items():
            if shape.number is not None:
                shapes[shape.number] += count
        return shapes
