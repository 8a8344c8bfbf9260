"""Read the weight, the group and the time of each row."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import compress
from typing import TYPE_CHECKING, NamedTuple

from refit.domain.cell_shapes import MISSING, PLAIN_NUMBER, CellShape, cell_shape
from refit.domain.cells import number_of, number_text
from refit.domain.column_reading import CellRefused
from refit.domain.date_forms import ISO, forms_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refit.domain.column_reading import ColumnReading
    from refit.tabular.csv_bytes import BlockView
    from refit.tabular.role_columns import RoleColumn
    from refit.tabular.table_source import ScanState, TableSource

_SHORT_DIGITS = 15
_DATE = CellShape("date")
_ISO_ONLY = frozenset([ISO])


class RowRoles(NamedTuple):
    """What a row's cells say about it.

    Attributes:
        weight: text of the weight, as XGBoost reads it.
        group: the group, in the form that is hashed; empty if it is missing.
        time: the number, or the days since 1970-01-01; None if it is not known.
    """

    weight: bytes = b"1"
    group: bytes = b""
    time: float | None = None


NO_ROLES = RowRoles()
"""The roles of labelled predictions, which have a weight of 1 and neither a group nor a time."""


class RoleRefused(Exception):
    """Raised when a row's weight or time cannot be used; the text is the reason.

    Attributes:
        kind: the reason without the value.
    """

    def __init__(self, reason: str, kind: str = "") -> None:
        super().__init__(reason)
        self.kind = kind or reason


class RoleReader:
    """Reads the roles of the rows of one table."""

    def __init__(self, state: ScanState, source: TableSource) -> None:
        """Prepare to read a table by the plan of a state, whose tally counts what is read."""
        self._tally = state.tally
        features = dict(state.plan.readings(source.is_normal))
        self._kept = features.keys()
        # A labelled prediction has a group if that is a feature. Its weight is 1, and the hash of
        # its features decides its split, so that its time is not read.
        self._columns = [
            (_as_feature(column, features), pick)
            for column in state.plan.roles
            if (pick := source.picks[column.column]) is not None
            and (column.role == "group" or not source.is_normal)
        ]

    def of_row(self, cells: Sequence[str]) -> RowRoles:
        """Return the roles of a row.

        Raises:
            RoleRefused: if the weight or the time is missing or cannot be read.
        """
        if not self._columns:
            return NO_ROLES
        for column, pick in self._columns:
            self._count(column, cells[pick])
        return self._roles([cells[pick] for _, pick in self._columns])

    def of_block(self, lines: Sequence[bytes], view: BlockView) -> list[RowRoles]:
        """Return the roles of each line; mark the lines that the row reader must check."""
        if not self._columns:
            return [NO_ROLES] * len(lines)
        roles = []
        for index, cells in enumerate(zip(*self._cells(lines, view), strict=True)):
            try:
                roles.append(self._roles([cell.decode() for cell in cells]))
            except (RoleRefused, UnicodeDecodeError):
                view.doubtful[index] = True
                roles.append(NO_ROLES)
        return roles

    def count_block(self, lines: Sequence[bytes], view: BlockView) -> None:
        """Count the cells of the lines that are not doubtful."""
        if not self._columns:
            return
        good = [not doubtful for doubtful in view.doubtful.tolist()]
        columns = [column for column, _ in self._columns]
        for column, cells in zip(columns, self._cells(lines, view), strict=True):
            if column.role != "group":
                self._count_read(column, list(compress(cells, good)))

    def _count_read(self, column: RoleColumn, cells: Sequence[bytes]) -> None:
        """Count cells that were read as numbers or dates of the expected form.

        Most shapes follow from the form, and need not be found for each cell.
        """
        is_date = column.reading.type == "date"
        if not column.reading.form.is_plain:
            for cell, number in Counter(cells).items():
                self._count(column, cell.decode(), number)
            return
        if column.column not in self._kept:
            shape = _DATE if is_date else PLAIN_NUMBER
            self._tally.shapes[column.column][shape] += len(cells)
        forms = self._tally.date_forms[column.column]
        if column.reading.date_form == ISO:
            forms[_ISO_ONLY] += len(cells)
        elif is_date:
            for cell, number in Counter(cells).items():
                text = cell.decode()
                self._tally.count_odd(column.column, text, number)
                forms[forms_of(text)] += number

    def _cells(self, lines: Sequence[bytes], view: BlockView) -> list[list[bytes]]:
        """Return (n_columns, n_lines) the cells; those of doubtful lines are meaningless."""
        cells = []
        for _, pick in self._columns:
            starts, ends = view.bounds(pick)
            bounds = zip(lines, starts.tolist(), ends.tolist(), strict=True)
            cells.append([line[start:end] for line, start, end in bounds])
        return cells

    def _roles(self, cells: Sequence[str]) -> RowRoles:
        weight, group, time = NO_ROLES
        for (column, _), cell in zip(self._columns, cells, strict=True):
            try:
                normal = column.reading.normal(cell)
            except CellRefused as error:
                raise RoleRefused(str(error), error.kind) from None
            if column.role == "group":
                group = _group(normal)
            elif not normal:
                raise RoleRefused(f"the {column.role} ({column.reading.name!r}) is missing")
            elif column.role == "weight":
                weight = _weight(normal, column)
            else:
                time = float(normal)
        return RowRoles(weight, group, time)

    def _count(self, column: RoleColumn, cell: str, number: int = 1) -> None:
        """Count a cell as evidence of how its column is read."""
        if column.role == "group":
            return
        shape = MISSING if column.reading.is_named_missing(cell) else cell_shape(cell)
        if column.column not in self._kept:  # else it is counted as a feature
            self._tally.count(column.column, shape, cell, number)
        if shape.kind == "date":
            self._tally.date_forms[column.column][forms_of(cell)] += number


def _as_feature(column: RoleColumn, features: Mapping[int, ColumnReading]) -> RoleColumn:
    """Read a group that is a feature as the feature, of which labelled predictions have a value."""
    if column.role != "group" or column.column not in features:
        return column
    return replace(column, reading=features[column.column])


def _weight(normal: str, column: RoleColumn) -> bytes:
    if float(normal) < 0:
        name = column.reading.name
        raise RoleRefused(
            f"the weight ({name!r}) is {normal}: a weight is 0 or more",
            f"the weight ({name!r}) is negative",
        )
    return number_text(float(normal)).encode()


def _group(normal: str) -> bytes:
    """Return a group in the form that is hashed: `1001` and `1001.0` are the same group.

    Programs write whole numbers with a decimal point as soon as a cell of the column is missing.
    """
    number = number_of(normal) if len(normal) <= _SHORT_DIGITS else None
    return (normal if number is None else number_text(number)).encode()
