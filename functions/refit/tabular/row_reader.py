"""Check rows one by one, and return their normal form or the reason why they are refused.

In the normal form, cells are joined by commas, with the label first and the features in the order
of the schema. Each cell is in the normal form of its column (`refit.domain.column_reading`). A
comma or a line break within a text is written as a control character, so every normal row is one
line without quotes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from refit.domain.column_reading import CellRefused
from refit.domain.csv_dialect import is_repeated_header
from refit.domain.csv_rows import CsvFault, CsvLineInvalid, split_line
from refit.tabular.column_cells import ColumnCells
from refit.tabular.row_roles import NO_ROLES, RoleReader, RoleRefused, RowRoles

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from refit.domain.csv_rows import CsvRecord
    from refit.tabular.table_source import ScanState, TableSource

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
    roles: RowRoles = NO_ROLES

    @property
    def line(self) -> bytes:
        return self.label + b"," + self.features


@dataclass(frozen=True)
class NormalRows:
    """Good rows in their normal form.

    Attributes:
        lines: (n_rows,) rows without line ends.
        features: (n_rows,) part of each row after its label.
        roles: (n_rows,) weight, group and time of each row; empty if no column has a role.
    """

    lines: list[bytes]
    features: list[bytes]
    roles: list[RowRoles] = field(default_factory=list)


@dataclass(frozen=True)
class Refusal:
    """A row that cannot be used for training.

    Attributes:
        line: number of the row's first line in the file, from 1.
        reason: reason for the user.
        text: first line of the row.
        kind: the reason without the value of this row, by which refused rows are counted.
        has_no_label: whether the row is refused only because its label is missing.
    """

    line: int
    reason: str
    text: bytes
    kind: str = ""
    has_no_label: bool = False


class _RowRefused(Exception):
    """Raised when a row cannot be used for training; the text is the reason."""

    def __init__(self, reason: str, kind: str = "", *, has_no_label: bool = False) -> None:
        super().__init__(reason)
        self.kind = kind or reason
        self.has_no_label = has_no_label


class RowReader:
    """Checks the rows of one table, one by one. The rows are counted until `flush`."""

    def __init__(self, state: ScanState, source: TableSource) -> None:
        """Prepare to read a table by the plan of a state, which counts what is read."""
        self._state = state
        self._picks = source.picks
        self._format = source.csv_format
        self._width = source.width
        self._header_cells = source.header_cells
        self._constants = source.constants
        self._tally = state.tally
        self._roles = RoleReader(state, source)
        written = state.plan.types if source.is_normal else {}
        readings = state.plan.readings(normal=source.is_normal)
        self._columns = [
            ColumnCells(column, pick, reading, written.get(column))
            for column, reading in readings
            if (pick := source.picks[column]) is not None
        ]
        self._texts = [i for i, (_, reading) in enumerate(readings) if reading.type == "category"]
        self._values: defaultdict[int, Counter[str]] = defaultdict(Counter)
        self._has_read = False
        self._no_label = f"the label {state.plan.label.name!r} is missing"

    def line(
        self, line: bytes, number: int, *, is_tracked: bool = False
    ) -> NormalRow | Refusal | None:
        """Check a row of one line; return None for a blank line or a repeated header.

        Args:
            line: the line.
            number: number of the line in the file.
            is_tracked: whether the caller lets the trackers follow the row.
        """
        try:
            cells = [cell.strip() for cell in split_line(line, self._format)]
            return self._row(cells, is_tracked=is_tracked) if cells else None
        except _RowRefused as error:
            return Refusal(number, str(error), line, error.kind, error.has_no_label)
        except CsvLineInvalid as error:
            return Refusal(number, str(error), line, str(error))

    def records(self, records: Sequence[CsvRecord | CsvFault]) -> Iterator[NormalRow | Refusal]:
        """Check records that are already split into cells."""
        for record in records:
            if isinstance(record, CsvFault):
                yield Refusal(record.line, record.reason, record.text, record.reason)
                continue
            try:
                row = self._row(record.cells)
                if row is not None:
                    yield row
            except _RowRefused as error:
                yield Refusal(record.line, str(error), record.text, error.kind, error.has_no_label)

    def flush(self) -> None:
        """Add what was counted to the tally of the state."""
        if not self._has_read:
            return
        self._has_read = False
        for column in self._columns:
            column.flush(self._tally)
        for index, values in self._values.items():
            self._tally.count_values(
                index, Counter({text.encode(): number for text, number in values.items()})
            )
        self._values.clear()

    def _track(self, cells: Sequence[str]) -> None:
        for column, tracker in self._state.trackers.items():
            pick = self._picks[column]
            if pick is not None and tracker.is_alive:
                tracker.add((cells[pick],))

    def _row(self, cells: list[str], *, is_tracked: bool = False) -> NormalRow | None:
        if is_repeated_header(cells, self._header_cells):
            self._state.repeated_headers += 1
            return None
        width = self._width - len(self._constants)
        if len(cells) != width:
            raise _RowRefused(f"{len(cells)} cells, not {width}")
        cells = [*cells, *self._constants]
        if not any(cells):  # the rest of a spreadsheet, which is no row of any column
            raise _RowRefused(self._no_label, has_no_label=True)
        self._state.rows += 1
        self._has_read = True
        if not is_tracked:
            self._track(cells)
        normal, problem = self._normal(cells)
        roles: RowRoles | RoleRefused
        try:
            roles = self._roles.of_row(cells)
        except RoleRefused as error:
            roles = error
        has_value = self._left_out_has_value(cells) or any(normal[1:])
        if not normal[LABEL]:
            raise _RowRefused(self._no_label, has_no_label=True)
        if problem is not None:
            raise _RowRefused(str(problem), problem.kind)
        label = self._state.plan.label
        fault = self._state.limits.fault(label.name, label.type, normal[LABEL])
        if fault is not None:
            raise _RowRefused(fault.reason, fault.kind)
        if not has_value:
            raise _RowRefused("no feature has a value")
        if isinstance(roles, RoleRefused):
            raise _RowRefused(str(roles), roles.kind)
        return self._good(normal, roles)

    def _normal(self, cells: list[str]) -> tuple[list[str], CellRefused | None]:
        """Return the normal form of each cell, label first, and what is wrong with the first."""
        normal: list[str] = []
        problem: CellRefused | None = None
        for column in self._columns:
            try:
                normal.append(column.normal(cells[column.pick]))
            except CellRefused as error:
                problem = problem or error
                normal.append(cells[column.pick])
        return normal, problem

    def _left_out_has_value(self, cells: list[str]) -> bool:
        """Count the missing cells of the columns that are left out; return if one has a value."""
        has_value, plan = False, self._state.plan
        for column in plan.left_out:
            pick = self._picks[column]
            if pick is not None:
                cell = cells[pick]
                missing = len(cell) <= plan.longest_missing and plan.is_missing(cell)
                self._tally.left_out_missing[column] += missing
                has_value |= not missing
        return has_value

    def _good(self, normal: list[str], roles: RowRoles) -> NormalRow:
        for index in self._texts:
            normal[index] = normal[index].translate(_ESCAPED)
        for index, column in self._state.plan.counted:
            if normal[index]:
                self._values[column][normal[index]] += 1
        label, *features = normal
        return NormalRow(label.encode(), ",".join(features).encode(), roles)
