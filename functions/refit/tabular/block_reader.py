"""Read whole blocks of lines at once, and let the row reader decide about doubtful lines."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

from refit.domain.cell_shapes import MISSING, PLAIN_NUMBER, cell_shape
from refit.domain.cells import number_of
from refit.domain.column_reading import TRUTH_TEXTS, CellRefused
from refit.tabular.column_cells import plain_number
from refit.tabular.csv_bytes import BlockLayout, BlockView
from refit.tabular.repeated_header import repeated_headers
from refit.tabular.row_reader import LABEL, NormalRow, NormalRows, Refusal
from refit.tabular.row_roles import NO_ROLES, RoleReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit.domain.column_reading import ColumnReading
    from refit.tabular.csv_bytes import Flags
    from refit.tabular.readers.lines import LineBlock
    from refit.tabular.reading_plan import ReadingPlan
    from refit.tabular.row_reader import RowReader
    from refit.tabular.table_source import ScanState, TableSource


_LOWER_CASE = np.uint8(0x20)
"""The bit by which `a` differs from `A`."""

_LONGEST_TRUTH = len("false")


@dataclass(frozen=True)
class _Columns:
    """The columns of a table by a plan.

    Attributes:
        readings: reading by the index of each cell that is read.
        counted: column by the index of each cell whose distinct values are counted.
        numbers: column and index of the cell of each other column that is read.
        left_out: column and index of the cell of each column that is left out.
        truth_values: index of the cell of each column of truth values.
    """

    plan: ReadingPlan
    label: int
    readings: dict[int, ColumnReading]
    counted: dict[int, int]
    numbers: list[tuple[int, int]]
    left_out: list[tuple[int, int]]
    truth_values: list[int]
    layout: BlockLayout

    @classmethod
    def of(cls, source: TableSource, plan: ReadingPlan) -> _Columns:
        picks = source.kept_picks(plan)
        readings = dict(zip(picks, (r for _, r in plan.readings(source.is_normal)), strict=True))
        texts = {
            pick for pick, reading in readings.items() if reading.type in {"category", "boolean"}
        }
        unread = set(range(source.width)) - set(picks)
        counted = {picks[index]: column for index, column in plan.counted}
        return cls(
            plan=plan,
            label=picks[LABEL],
            readings=readings,
            counted=counted,
            numbers=[pair for pair in zip(plan.kept, picks, strict=True) if pair[1] not in counted],
            left_out=[
                (column, pick)
                for column in plan.left_out
                if (pick := source.picks[column]) is not None
            ],
            truth_values=[pick for pick, reading in readings.items() if reading.type == "boolean"],
            layout=BlockLayout(
                count=source.width,
                delimiter=source.csv_format.delimiter.encode(),
                label=picks[LABEL],
                features=frozenset(picks[1:]),
                texts=frozenset(texts | unread | counted.keys()),
                unread=frozenset(unread),
            ),
        )


class BlockReader:
    """Reads blocks of a table whose good rows are slices of their lines."""

    def __init__(
        self,
        state: ScanState,
        source: TableSource,
        reader: RowReader,
        refuse: Callable[[Refusal], None],
    ) -> None:
        """Prepare to read.

        Args:
            state: has the plan by which the table is read, and counts what is read.
            source: the table.
            reader: reads doubtful lines.
            refuse: called for each row that cannot be used for training.
        """
        self._state = state
        self._source = source
        self._reader = reader
        self._refuse = refuse
        self._has_roles = bool(state.plan.roles)
        self._roles = RoleReader(state, source)
        self._written = state.plan.types if source.is_normal else {}
        self._columns = _Columns.of(source, state.plan)
        self._spans = _spans(source.kept_picks(state.plan)[1:])
        self._good = 0
        self._blanks = np.zeros(source.width, dtype=np.intp)

    def read(self, block: LineBlock) -> NormalRows:
        """Return the good rows of a block of lines without quotes."""
        source = self._source
        if self._columns.plan is not self._state.plan:
            self.flush()
            self._columns = _Columns.of(source, self._state.plan)
        layout = self._columns.layout
        view = BlockView(block.data, layout)
        view.doubtful |= repeated_headers(block.data, source, view.lines)
        self._doubt_labels(view)
        lines = block.data.split(b"\n")[:-1] if self._has_roles else []
        roles = self._roles.of_block(lines, view)
        self._count(view)
        self._roles.count_block(lines, view)
        data = self._with_normal_truth(block.data, view)
        if layout.delimiter != b",":
            data = data.replace(layout.delimiter, b",")
        rows = _sliced(data, view, self._columns.label, self._spans)
        rows.roles.extend(roles)
        self._track(view, self._decide(rows, view.doubtful, block))
        if view.doubtful.any():
            good = [index for index, line in enumerate(rows.lines) if line]
            return NormalRows(
                [rows.lines[index] for index in good],
                [rows.features[index] for index in good],
                [rows.roles[index] for index in good] if rows.roles else [],
            )
        return rows

    def _doubt_labels(self, view: BlockView) -> None:
        """Let the row reader refuse the numbers that are no labels of the objective."""
        limits, good = self._state.limits, ~view.doubtful
        if not limits.has_bounds or self._state.plan.label.type != "number":
            return
        cells = view.cells(self._columns.label, good)
        outside = [limits.is_outside(cell.decode("ascii", "replace")) for cell in cells]
        view.doubtful[np.flatnonzero(good)[outside]] = True

    def _with_normal_truth(self, data: bytes, view: BlockView) -> bytes:
        """Return a block whose truth values in good lines are in lower case."""
        picks = self._columns.truth_values
        if not picks:
            return data
        letters = np.frombuffer(data, dtype=np.uint8).copy()
        good = ~view.doubtful
        for pick in picks:
            starts, ends = (bounds[good] for bounds in view.line_bounds(pick))
            for offset in range(_LONGEST_TRUTH):
                at = starts + offset
                letters[at[at < ends]] |= _LOWER_CASE
        return letters.tobytes()

    def _track(self, view: BlockView, is_row: Flags) -> None:
        """Let the trackers follow the rows of a block.

        Args:
            view: view of the block.
            is_row: (lines,) whether a line is a row of the expected width.
        """
        for column, tracker in self._state.trackers.items():
            pick = self._source.picks[column]
            if pick is None or not tracker.is_alive:
                continue
            constant = None if tracker.ids else tracker.constant
            if constant is None or not view.is_all(pick, constant.encode(), is_row):
                tracker.add(cell.decode().strip() for cell in view.cells(pick, is_row))

    def _count(self, view: BlockView) -> None:
        """Count the cells in the good lines of a block."""
        tally, columns = self._state.tally, self._columns
        counts: dict[int, Counter[bytes]] = {}
        # Counting a column can make lines doubtful. These must not be counted in any column.
        doubtful = -1
        while doubtful != (doubtful := int(view.doubtful.sum())):
            counts = {
                column: view.texts(
                    pick, partial(self._is_surely_good, pick, columns.readings[pick])
                )
                for pick, column in columns.counted.items()
            }
        good = view.lines - doubtful
        self._state.rows += good
        self._good += good
        self._blanks += view.blanks()
        for column, cells in counts.items():
            missing = cells.pop(b"", 0)
            tally.shapes[column][MISSING] += missing
            tally.count_values(column, self._normal_values(column, cells))
            for cell, number in cells.items():
                text = cell.decode()
                tally.count(column, cell_shape(text), text, number, self._written.get(column))
        plan = columns.plan
        for column, pick in columns.left_out:
            tally.left_out_missing[column] += sum(
                number
                for cell, number in view.texts(pick, _is_any).items()
                if not cell.isdigit()
                and len(cell.strip()) <= plan.longest_missing
                and plan.is_missing(cell.decode().strip())
            )

    def _normal_values(self, column: int, cells: Counter[bytes]) -> Counter[bytes]:
        """Return the counted cells in their normal form."""
        if self._state.plan.types[column] != "boolean":
            return cells
        values: Counter[bytes] = Counter()
        for cell, number in cells.items():
            values[cell.lower()] += number
        return values

    def flush(self) -> None:
        """Add the numbers of the blocks read so far to the tally of the state."""
        tally = self._state.tally
        for column, pick in self._columns.numbers:
            missing = int(self._blanks[pick])
            tally.shapes[column][MISSING] += missing
            numbers = self._good - missing
            tally.count(column, PLAIN_NUMBER, "", numbers, self._written.get(column))
        self._good = 0
        self._blanks[:] = 0

    def _is_surely_good(self, pick: int, reading: ColumnReading, cell: bytes) -> bool:
        """Return whether a counted cell is good. If not, the row reader checks its row."""
        is_label = pick == self._source.picks[LABEL]
        if not cell:
            return not is_label
        try:
            text = cell.decode()
        except UnicodeDecodeError:
            return False
        if is_label and self._state.limits.fault(reading.name, reading.type, text) is not None:
            return False
        return _is_normal(reading, cell, text)

    def _decide(self, rows: NormalRows, doubtful: Flags, block: LineBlock) -> Flags:
        """Replace each doubtful line by the row reader's result, or by nothing if it is refused.

        Returns:
            (lines,) whether each line of the block is a row of the expected width.
        """
        is_row = ~doubtful
        lines = block.data.split(b"\n") if doubtful.any() else []
        for index in np.flatnonzero(doubtful).tolist():
            before = self._state.rows
            outcome = self._reader.line(lines[index], block.first + index, is_tracked=True)
            if isinstance(outcome, Refusal):
                self._refuse(outcome)
            good = outcome if isinstance(outcome, NormalRow) else None
            rows.lines[index] = good.line if good else b""
            rows.features[index] = good.features if good else b""
            if rows.roles:
                rows.roles[index] = good.roles if good else NO_ROLES
            is_row[index] = self._state.rows > before
        self._reader.flush()
        return is_row


def _is_normal(reading: ColumnReading, cell: bytes, text: str) -> bool:
    if reading.type == "number":
        return _is_number(cell) and plain_number(text) == text.strip() == text
    if reading.type == "boolean":
        return text.lower() in TRUTH_TEXTS
    try:
        return reading.normal(text) == text and text.isprintable() and "," not in text
    except CellRefused:
        return False


def _is_any(_: bytes) -> bool:
    return True


@lru_cache(maxsize=4096)
def _is_number(cell: bytes) -> bool:
    return number_of(cell.decode()) is not None


def _spans(picks: list[int]) -> list[tuple[int, int]]:
    """Return the first and last index of each run of neighbouring columns."""
    spans: list[tuple[int, int]] = []
    for pick in picks:
        if spans and pick == spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], pick)
        else:
            spans.append((pick, pick))
    return spans


def _sliced(data: bytes, view: BlockView, label: int, spans: list[tuple[int, int]]) -> NormalRows:
    """Split a block into lines with the label first. Doubtful lines in the result are invalid."""
    lines = data.split(b"\n")
    lines.pop()
    pieces = [
        (view.bounds(first)[0].tolist(), view.bounds(last)[1].tolist()) for first, last in spans
    ]
    starts, ends = view.bounds(label)
    if label == 0 and len(spans) == 1 and spans[0] == (1, view.count - 1):
        first = int(ends[0])
        if bool((ends == first).all()):
            return NormalRows(lines, [line[first + 1 :] for line in lines])
        return NormalRows(
            lines, [line[end + 1 :] for line, end in zip(lines, ends.tolist(), strict=True)]
        )
    if len(pieces) == 1:
        begins, stops = pieces[0]
        features = [
            line[begin:stop] for line, begin, stop in zip(lines, begins, stops, strict=True)
        ]
    else:
        features = [
            b",".join([line[begin:stop] for begin, stop in bounds])
            for line, *bounds in zip(
                lines, *(list(zip(*piece, strict=True)) for piece in pieces), strict=True
            )
        ]
    return NormalRows(
        [
            line[start:end] + b"," + rest
            for line, start, end, rest in zip(
                lines, starts.tolist(), ends.tolist(), features, strict=True
            )
        ],
        features,
    )
