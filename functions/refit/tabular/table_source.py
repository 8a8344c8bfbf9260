"""A table of a drop, how it is read, and what reading it has counted so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from refit.domain.csv_rows import BLANKS
from refit.domain.label_limits import LabelLimits
from refit.tabular.column_tally import ColumnTally

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refit.domain.csv_rows import CsvFormat
    from refit.tabular.column_tally import ColumnTracker
    from refit.tabular.readers.table import CsvTable
    from refit.tabular.reading_plan import ReadingPlan


@dataclass(frozen=True)
class TableSource:
    """A table, and how to read it.

    Attributes:
        table: the table.
        csv_format: how the cells are separated and quoted.
        width: number of cells in a row.
        header_cells: cells of the header as they are in the file; empty without a header.
        header_lines: number of lines before the first row.
        picks: index of each column's cell in this table's rows, label first; None for a column that
            this table does not have.
    """

    table: CsvTable
    csv_format: CsvFormat
    width: int
    header_lines: int
    picks: tuple[int | None, ...]
    header_cells: tuple[str, ...] = ()

    @property
    def constants(self) -> tuple[str, ...]:
        """Cells that follow those of the file in each row."""
        return tuple(value for _, value in self.table.constants)

    @property
    def is_normal(self) -> bool:
        """Whether the cells are in their normal form, because Refit has written them."""
        return self.table.origin != "dropped"

    def is_sliceable(self, plan: ReadingPlan) -> bool:
        """Return whether good rows are slices of their lines, so that blocks are read at once."""
        if self.csv_format.delimiter == BLANKS or self.constants:
            return False
        features = self.kept_picks(plan)[1:]
        return (self.is_normal or plan.is_plain) and features == sorted(features)

    def kept_picks(self, plan: ReadingPlan) -> list[int]:
        """Return the index of each normal cell in this table's rows, label first."""
        picks = [self.picks[column] for column in plan.kept]
        return [pick for pick in picks if pick is not None]


@dataclass
class ScanState:
    """What is known while the tables of a drop are read.

    Attributes:
        plan: how the columns are read.
        trackers: follow the cells of some columns.
        tally: counts of the cells.
        rows: number of rows of the expected width that have a cell with a value.
        repeated_headers: number of rows that repeat the header of their table.
        is_precise: whether every number was looked at by itself, and not only whole blocks.
        limits: which labels can be trained on.
    """

    plan: ReadingPlan
    trackers: Mapping[int, ColumnTracker]
    limits: LabelLimits = field(default_factory=LabelLimits)
    tally: ColumnTally = field(default_factory=ColumnTally)
    rows: int = 0
    repeated_headers: int = 0
    is_precise: bool = True
