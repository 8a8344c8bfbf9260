"""Read the rows of a table: in whole blocks where possible, otherwise row by row."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from refit.domain.cells import number_of
from refit.domain.label_limits import LabelLimits
from refit.tabular.block_reader import BlockReader
from refit.tabular.csv_stream import RecordStream
from refit.tabular.readers.lines import LineBlock, OverlongLine, line_blocks
from refit.tabular.row_reader import LABEL, NormalRow, NormalRows, Refusal, RowReader
from refit.tabular.table_source import ScanState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from refit.tabular.column_tally import ColumnTally, ColumnTracker
    from refit.tabular.reading_plan import ReadingPlan
    from refit.tabular.table_source import TableSource

_ROWS_PER_CLASS = 2
"""Whole numbers with fewer rows for each distinct one are no classes, but a quantity."""

_FEWEST_CLASSES = 5
"""So few distinct whole numbers are classes, however few rows there are."""


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
        limits: LabelLimits | None = None,
    ) -> None:
        """Prepare to read.

        Args:
            plan: how the columns are read.
            max_classes: maximum number of distinct whole numbers that can be classes; None if any
                numbers can be classes.
            refuse: called with the table's name for each row that cannot be used for training.
            trackers: follow the cells of some columns.
            limits: which labels can be trained on, if the settings limit them.
        """
        self.state = ScanState(plan, trackers, limits or LabelLimits())
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


class _TableScan:
    """The state of reading one table."""

    def __init__(self, scanner: TableScanner, source: TableSource) -> None:
        self._scanner = scanner
        self._source = source
        self._reader = RowReader(scanner.state, source)
        self._has_roles = bool(scanner.plan.roles)
        self._stream = RecordStream(source.csv_format)
        self._header_lines_left = source.header_lines
        self._blocks: BlockReader | None = None
        if source.is_sliceable(scanner.plan):
            self._blocks = BlockReader(scanner.state, source, self._reader, self._refuse)
            scanner.state.is_precise = False

    def read(self, block: LineBlock) -> NormalRows:
        if self._header_lines_left:
            block = self._without_header(block)
        if not block.data:
            return NormalRows([], [])
        if self._stream.is_within_quotes or self._source.csv_format.quote_byte in block.data:
            return self._kept(self._reader.records(self._stream.read(block)))
        block = block.without_carriage_returns()
        if self._blocks is not None:
            return self._blocks.read(block)
        lines = block.data.split(b"\n")[:-1]
        return self._kept(
            self._reader.line(line, number) for number, line in enumerate(lines, block.first)
        )

    def finish(self) -> NormalRows:
        """Read the lines that wait for a closing quote, at the end of the table."""
        if self._blocks is not None:
            self._blocks.flush()
        return self._kept(self._reader.records(self._stream.finish()))

    def _refuse(self, refusal: Refusal) -> None:
        self._scanner.refuse(self._source, refusal)

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
                self._refuse(outcome)
            elif outcome is not None:
                rows.lines.append(outcome.line)
                rows.features.append(outcome.features)
                if self._has_roles:
                    rows.roles.append(outcome.roles)
        self._reader.flush()
        return rows
