"""Read the rows of a table: in whole blocks where possible, otherwise row by row."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

from refit.domain.cell_shapes import MISSING, PLAIN_NUMBER, cell_shape
from refit.domain.cells import number_of
from refit.domain.column_reading import CellRefused
from refit.tabular.csv_bytes import BlockLayout, BlockView
from refit.tabular.csv_stream import RecordStream
from refit.tabular.readers.lines import LineBlock, OverlongLine, line_blocks
from refit.tabular.repeated_header import repeated_headers
from refit.tabular.row_reader import LABEL, NormalRow, Refusal, RowReader, plain_number
from refit.tabular.row_roles import NO_ROLES, RoleReader, RowRoles
from refit.tabular.table_source import ScanState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from refit.domain.column_reading import ColumnReading
    from refit.tabular.column_tally import ColumnTally, ColumnTracker
    from refit.tabular.csv_bytes import Flags
    from refit.tabular.reading_plan import ReadingPlan
    from refit.tabular.table_source import TableSource

_ROWS_PER_CLASS = 2
"""Whole numbers with fewer rows for each distinct one are no classes, but a quantity."""

_FEWEST_CLASSES = 5
"""So few distinct whole numbers are classes, however few rows there are."""


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


class TableScanner:
    """Reads tables whose columns have known readings, and counts their cells.

    Attributes:
        state: what was read so far.
    """

    def __init__(
        self,
        plan: ReadingPlan,
        max_classes: int | None,
        refuse: Callable[[str, Refusal], None],
        trackers: Mapping[int, ColumnTracker],
    ) -> None:
        """Prepare to read.

        Args:
            plan: how the columns are read.
            max_classes: maximum number of distinct whole numbers that can be classes; None if any
                numbers can be classes.
            refuse: called with the table's name for each row that cannot be used for training.
            trackers: follow the cells of some columns.
        """
        self.state = ScanState(plan, trackers)
        self._max_classes = max_classes
        self._refuse = refuse
        self._distinct_labels = 0

    @property
    def plan(self) -> ReadingPlan:
        return self.state.plan

    @property
    def tally(self) -> ColumnTally:
        return self.state.tally

    def scan(self, source: TableSource) -> Iterator[NormalRows]:
        """Yield the good rows of a table in order, several hundred kB at a time."""
        for tracker in self.state.trackers.values():
            tracker.begin_table()
        scan = _TableScan(self, source)
        for block in line_blocks(source.table.blocks()):
            if isinstance(block, OverlongLine):
                yield scan.finish()
                reason = f"the line has {block.size_bytes:,} bytes; the limit is 4 MiB"
                self.refuse(source, Refusal(block.number, reason, block.head, reason))
            else:
                yield scan.read(block)
                self._close_label()
        yield scan.finish()

    def values_by_index(self) -> dict[int, Counter[bytes]]:
        """Return the distinct cells of the counted columns by index in a normal row."""
        values = self.tally.values
        return {index: values[c] for index, c in self.plan.counted if c in values}

    def use(self, plan: ReadingPlan) -> None:
        """Take over the doubts of a plan that reads all columns in the same way."""
        self.state.plan = replace(plan, open_label=self.plan.open_label)

    def refuse(self, source: TableSource, refusal: Refusal) -> None:
        self._refuse(source.table.name, refusal)

    def _close_label(self) -> None:
        """Stop counting the labels if they cannot be classes, as there may be millions of them."""
        plan = self.plan
        if self._max_classes is None or not plan.open_label or plan.label.type != "number":
            return
        labels = self.tally.values.get(LABEL, Counter())
        if len(labels) == self._distinct_labels:
            return
        self._distinct_labels = len(labels)
        if not are_whole(labels) or len(labels) > self._max_classes * _ROWS_PER_CLASS:
            self.state.plan = replace(plan, open_label=False)


def are_whole(labels: Iterable[bytes]) -> bool:
    """Return whether all labels are whole numbers."""
    numbers = (number_of(label.decode()) for label in labels)
    return all(number is not None and number.is_integer() for number in numbers)


def may_be_classes(labels: Counter[bytes], max_classes: int) -> bool:
    """Return whether labels are few whole numbers, each of which has several rows on average."""
    if not are_whole(labels):
        return False
    distinct = len({number_of(label.decode()) for label in labels})
    repeat = distinct <= _FEWEST_CLASSES or labels.total() >= _ROWS_PER_CLASS * distinct
    return distinct <= max_classes and repeat


def _is_any(_: bytes) -> bool:
    return True


@lru_cache(maxsize=4096)
def _is_number(cell: bytes) -> bool:
    return number_of(cell.decode()) is not None


class _TableScan:
    """The state of reading one table."""

    def __init__(self, scanner: TableScanner, source: TableSource) -> None:
        self._scanner = scanner
        self._source = source
        self._state = scanner.state
        self._reader = RowReader(scanner.state, source)
        self._has_roles = bool(scanner.plan.roles)
        self._roles = RoleReader(scanner.state, source)
        self._stream = RecordStream(source.csv_format)
        self._header_lines_left = source.header_lines
        self._written = scanner.plan.types if source.is_normal else {}
        self._by_blocks = source.is_sliceable(scanner.plan)
        self._spans = _spans(source.kept_picks(scanner.plan)[1:]) if self._by_blocks else []
        self._state.is_precise &= not self._by_blocks

    def read(self, block: LineBlock) -> NormalRows:
        if self._header_lines_left:
            block = self._without_header(block)
        if not block.data:
            return NormalRows([], [])
        if self._stream.is_within_quotes or self._source.csv_format.quote_byte in block.data:
            return self._kept(self._reader.records(self._stream.read(block)))
        block = block.without_carriage_returns()
        if self._by_blocks:
            return self._block_at_once(block)
        lines = block.data.split(b"\n")[:-1]
        return self._kept(
            self._reader.line(line, number) for number, line in enumerate(lines, block.first)
        )

    def finish(self) -> NormalRows:
        """Read the lines that wait for a closing quote, at the end of the table."""
        return self._kept(self._reader.records(self._stream.finish()))

    def _without_header(self, block: LineBlock) -> LineBlock:
        data, first = block.data, block.first
        while self._header_lines_left and data:
            data = data[data.index(b"\n") + 1 :]
            first, self._header_lines_left = first + 1, self._header_lines_left - 1
        return LineBlock(first, data)

    def _kept(self, outcomes: Iterable[NormalRow | Refusal | None]) -> NormalRows:
        rows = NormalRows([], [])
        for outcome in outcomes:
            if isinstance(outcome, Refusal):
                self._scanner.refuse(self._source, outcome)
            elif outcome is not None:
                rows.lines.append(outcome.line)
                rows.features.append(outcome.features)
                if self._has_roles:
                    rows.roles.append(outcome.roles)
        return rows

    def _block_at_once(self, block: LineBlock) -> NormalRows:
        source, plan = self._source, self._state.plan
        picks = source.kept_picks(plan)
        readings = [reading for _, reading in plan.readings(source.is_normal)]
        texts = {
            pick
            for pick, reading in zip(picks, readings, strict=True)
            if reading.type in {"category", "boolean"}
        }
        unread = set(range(source.width)) - set(picks)
        counted = {picks[index]: column for index, column in plan.counted}
        layout = BlockLayout(
            count=source.width,
            delimiter=source.csv_format.delimiter.encode(),
            label=picks[LABEL],
            features=frozenset(picks[1:]),
            texts=frozenset(texts | unread | counted.keys()),
            unread=frozenset(unread),
        )
        view = BlockView(block.data, layout)
        view.doubtful |= repeated_headers(block.data, source, view.lines)
        lines = block.data.split(b"\n")[:-1] if self._has_roles else []
        roles = self._roles.of_block(lines, view)
        self._count(view, counted, dict(zip(picks, readings, strict=True)))
        self._roles.count_block(lines, view)
        delimiter = layout.delimiter
        data = block.data if delimiter == b"," else block.data.replace(delimiter, b",")
        rows = _sliced(data, view, picks[LABEL], self._spans)
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

    def _count(
        self, view: BlockView, counted: dict[int, int], readings: dict[int, ColumnReading]
    ) -> None:
        """Count the cells in the good lines of a block.

        Args:
            view: view of the block.
            counted: column by the index of each counted cell in this table's rows.
            readings: reading by the index of each cell that is read.
        """
        tally, source = self._state.tally, self._source
        counts: dict[int, Counter[bytes]] = {}
        # Counting a column can make lines doubtful. These must not be counted in any column.
        doubtful = -1
        while doubtful != (doubtful := int(view.doubtful.sum())):
            counts = {
                column: view.texts(pick, partial(self._is_surely_good, pick, readings[pick]))
                for pick, column in counted.items()
            }
        good = view.lines - doubtful
        self._state.rows += good
        for column, cells in counts.items():
            missing = cells.pop(b"", 0)
            tally.shapes[column][MISSING] += missing
            tally.count_values(column, cells)
            for cell, number in cells.items():
                text = cell.decode()
                tally.count(column, cell_shape(text), text, number, self._written.get(column))
        blanks = view.blanks()
        plan = self._state.plan
        for column in plan.kept:
            pick = source.picks[column]
            if column not in counts and pick is not None:
                missing = int(blanks[pick])
                tally.shapes[column][MISSING] += missing
                numbers = good - missing
                tally.count(column, PLAIN_NUMBER, "", numbers, self._written.get(column))
        for column in plan.left_out:
            pick = source.picks[column]
            if pick is not None:
                tally.left_out_missing[column] += sum(
                    number
                    for cell, number in view.texts(pick, _is_any).items()
                    if len(cell.strip()) <= plan.longest_missing
                    and plan.is_missing(cell.decode().strip())
                )

    def _is_surely_good(self, pick: int, reading: ColumnReading, cell: bytes) -> bool:
        """Return whether a counted cell is good. If not, the row reader checks its row."""
        if not cell:
            return pick != self._source.picks[LABEL]
        try:
            text = cell.decode()
        except UnicodeDecodeError:
            return False
        if reading.type == "number":
            return _is_number(cell) and plain_number(text) == text.strip() == text
        try:
            return reading.normal(text) == text and text.isprintable() and "," not in text
        except CellRefused:
            return False

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
                self._scanner.refuse(self._source, outcome)
            good = outcome if isinstance(outcome, NormalRow) else None
            rows.lines[index] = good.line if good else b""
            rows.features[index] = good.features if good else b""
            if rows.roles:
                rows.roles[index] = good.roles if good else NO_ROLES
            is_row[index] = self._state.rows > before
        return is_row


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
