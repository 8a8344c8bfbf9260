"""Read the rows of a table: in whole blocks where possible, otherwise row by row."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

from refit.domain.csv_rows import BLANKS
from refit.domain.schema import is_missing, number_of
from refit.tabular.csv_bytes import BlockLayout, BlockView
from refit.tabular.csv_stream import RecordStream
from refit.tabular.readers.lines import LineBlock, OverlongLine, line_blocks
from refit.tabular.row_reader import (
    LABEL,
    ColumnKinds,
    ColumnTally,
    NormalRow,
    Refusal,
    RowReader,
    plain_number,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from refit.domain.csv_rows import CsvFormat
    from refit.tabular.readers.table import CsvTable


@dataclass(frozen=True)
class TableSource:
    """A table, and how to read it.

    Attributes:
        table: the table.
        csv_format: how the cells are separated and quoted.
        width: number of cells in a row.
        header_lines: number of lines before the first row.
        picks: index of each normal column's cell in this table's rows, label first.
        header_cells: cells of the header as they are in the file; empty without a header.
    """

    table: CsvTable
    csv_format: CsvFormat
    width: int
    header_lines: int
    picks: tuple[int, ...]
    header_cells: tuple[str, ...] = ()

    @property
    def keeps_order(self) -> bool:
        """Whether the features are in the order of the schema, so that lines can be sliced."""
        if self.csv_format.delimiter == BLANKS or self.table.constants:
            return False
        features = self.picks[1:]
        return len(features) == self.width - 1 and list(features) == sorted(features)


@dataclass(frozen=True)
class NormalRows:
    """Good rows in their normal form.

    Attributes:
        lines: (n_rows,) rows without line ends.
        features: (n_rows,) part of each row after its label.
    """

    lines: list[bytes]
    features: list[bytes]


class TableScanner:
    """Reads tables whose columns have known kinds, and counts their values.

    Attributes:
        kinds: the expected kinds of the columns.
        tally: counts of the values.
        repeated_headers: number of skipped records that repeat the header, by name of the table.
    """

    def __init__(
        self, kinds: ColumnKinds, max_classes: int | None, refuse: Callable[[str, Refusal], None]
    ) -> None:
        """Prepare to read.

        Args:
            kinds: the expected kinds of the columns.
            max_classes: maximum number of distinct whole numbers that can be classes; None if any
                numbers can be classes.
            refuse: called with the table's name for each row that cannot be used for training.
        """
        self.kinds = kinds
        self.tally = ColumnTally()
        self.repeated_headers: Counter[str] = Counter()
        self._max_classes = max_classes
        self._refuse = refuse
        self._distinct_labels = 0

    def scan(self, source: TableSource) -> Iterator[NormalRows]:
        """Yield the good rows of a table in order, several hundred kB at a time."""
        scan = _TableScan(self, source)
        for block in line_blocks(source.table.blocks()):
            if isinstance(block, OverlongLine):
                yield scan.finish()
                reason = f"the line has {block.size_bytes:,} bytes; the limit is 4 MiB"
                self.refuse(source, Refusal(block.number, reason, block.head))
            else:
                yield scan.read(block)
                self._close_label()
        yield scan.finish()
        if scan.repeated_headers:
            self.repeated_headers[source.table.name] += scan.repeated_headers

    def refuse(self, source: TableSource, refusal: Refusal) -> None:
        self._refuse(source.table.name, refusal)

    def is_surely_good(self, column: int, cell: bytes) -> bool:
        """Return whether a counted cell is good. If not, the row reader checks its row."""
        if not cell:
            return column != LABEL
        try:
            text = cell.decode()
        except UnicodeDecodeError:
            return False
        if column not in self.kinds.texts:
            return _is_number(cell) and plain_number(text) == text.strip() == text
        return (
            not is_missing(text) and text == text.strip() and text.isprintable() and "," not in text
        )

    def _close_label(self) -> None:
        """Stop counting the labels if they cannot be classes, as there may be millions of them."""
        if self._max_classes is None or not self.kinds.open_label or LABEL in self.kinds.texts:
            return
        labels = self.tally.values.get(LABEL, Counter())
        if len(labels) == self._distinct_labels:
            return
        self._distinct_labels = len(labels)
        if not may_be_classes(labels, self._max_classes):
            self.kinds = replace(self.kinds, open_label=False)


def may_be_classes(labels: Iterable[bytes], max_classes: int) -> bool:
    """Return whether the labels are whole numbers and at most `max_classes` distinct ones."""
    numbers = {number_of(label.decode()) for label in labels}
    return len(numbers) <= max_classes and all(
        number is not None and number.is_integer() for number in numbers
    )


@lru_cache(maxsize=4096)
def _is_number(cell: bytes) -> bool:
    return number_of(cell.decode()) is not None


class _TableScan:
    """The state of reading one table."""

    def __init__(self, scanner: TableScanner, source: TableSource) -> None:
        self._scanner = scanner
        self._source = source
        self._reader = RowReader(
            scanner.kinds, source.picks, source.csv_format, source.width, scanner.tally
        )
        self._reader.header_cells = source.header_cells
        self._reader.constants = tuple(value for _, value in source.table.constants)
        self._header = source.csv_format.delimiter.join(source.header_cells).encode()
        self._stream = RecordStream(source.csv_format)
        self._header_lines_left = source.header_lines

    @property
    def repeated_headers(self) -> int:
        return self._reader.repeated_headers

    def read(self, block: LineBlock) -> NormalRows:
        self._reader.kinds = self._scanner.kinds
        if self._header_lines_left:
            block = self._without_header(block)
        if not block.data:
            return NormalRows([], [])
        if self._stream.is_within_quotes or self._source.csv_format.quote_byte in block.data:
            return self._kept(self._reader.records(self._stream.read(block)))
        block = block.without_carriage_returns()
        if self._source.keeps_order:
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
        return rows

    def _block_at_once(self, block: LineBlock) -> NormalRows:
        source, kinds = self._source, self._scanner.kinds
        delimiter = source.csv_format.delimiter.encode()
        counted = {source.picks[column]: column for column in kinds.counted}
        layout = BlockLayout(source.width, delimiter, source.picks[LABEL], frozenset(counted))
        view = BlockView(block.data, layout)
        if self._header and self._header in block.data:
            # The row reader skips the lines that repeat the header.
            view.doubtful |= np.array(
                [line == self._header for line in block.data.split(b"\n")[:-1]]
            )
        self._count(view, counted)
        data = block.data if delimiter == b"," else block.data.replace(delimiter, b",")
        rows = _sliced(data, view, source)
        doubtful = np.flatnonzero(view.doubtful).tolist()
        if doubtful:
            self._decide(rows, doubtful, block)
            return NormalRows(
                [line for line in rows.lines if line],
                [features for features in rows.features if features],
            )
        return rows

    def _count(self, view: BlockView, columns: dict[int, int]) -> None:
        """Count the values in the good lines of a block.

        Args:
            view: view of the block.
            columns: column of a normal row by the index of each counted cell in this table's rows.
        """
        tally = self._scanner.tally
        counts: dict[int, Counter[bytes]] = {}
        # Counting a column can make lines doubtful. These must not be counted in any column.
        doubtful = -1
        while doubtful != (doubtful := int(view.doubtful.sum())):
            counts = {
                column: view.texts(pick, partial(self._scanner.is_surely_good, column))
                for pick, column in columns.items()
            }
        for column, cells in counts.items():
            del cells[b""]
            tally.count_values(column, cells)
            for cell, number in cells.items():
                kind = tally.numbers if _is_number(cell) else tally.texts
                kind[column] += number
        blanks = view.blanks()
        for column, pick in enumerate(self._source.picks):
            if column not in counts:
                tally.numbers[column] += view.lines - doubtful - int(blanks[pick])

    def _decide(self, rows: NormalRows, doubtful: list[int], block: LineBlock) -> None:
        """Replace each doubtful line by the row reader's result, or by nothing if it is refused."""
        lines = block.data.split(b"\n")
        for index in doubtful:
            outcome = self._reader.line(lines[index], block.first + index)
            if isinstance(outcome, Refusal):
                self._scanner.refuse(self._source, outcome)
            good = outcome if isinstance(outcome, NormalRow) else None
            rows.lines[index] = good.line if good else b""
            rows.features[index] = good.features if good else b""


def _sliced(data: bytes, view: BlockView, source: TableSource) -> NormalRows:
    """Split a block into lines with the label first. Doubtful lines in the result are invalid."""
    lines = data.split(b"\n")
    lines.pop()
    starts, ends = view.label_bounds()
    label = source.picks[LABEL]
    if label == 0:
        first = int(ends[0])
        if bool((ends == first).all()):
            return NormalRows(lines, [line[first + 1 :] for line in lines])
        return NormalRows(
            lines, [line[end + 1 :] for line, end in zip(lines, ends.tolist(), strict=True)]
        )
    bounds = list(zip(lines, starts.tolist(), ends.tolist(), strict=True))
    if label == source.width - 1:
        features = [line[: start - 1] for line, start, _ in bounds]
    else:
        features = [line[:start] + line[end + 1 :] for line, start, end in bounds]
    return NormalRows(
        [
            line[start:end] + b"," + rest
            for (line, start, end), rest in zip(bounds, features, strict=True)
        ],
        features,
    )
