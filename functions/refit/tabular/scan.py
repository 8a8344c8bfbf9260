"""Go through a table: the fast look at each block, the slow one where that is not enough."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

from refit.domain.schema import is_missing, number_of
from refit.tabular.csv_bytes import BlockView, Columns
from refit.tabular.readers.lines import LineBlock, OverlongLine, line_blocks
from refit.tabular.rows import LABEL, Kinds, Refusal, Row, RowReader, Tally, plain_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from refit.tabular.readers.table import Table


@dataclass(frozen=True)
class Source:
    """A table, and how to read it.

    Attributes:
        table: where its bytes come from.
        delimiter: between its cells.
        width: how many cells a line has.
        header_lines: how many lines come before the first row.
        picks: for each place of a normal row (label first), the place in this table's lines.
    """

    table: Table
    delimiter: str
    width: int
    header_lines: int
    picks: tuple[int, ...]

    @property
    def keeps_order(self) -> bool:
        """Whether the features stand in the order of the schema, so that lines can be cut."""
        features = self.picks[1:]
        return len(features) == self.width - 1 and list(features) == sorted(features)


@dataclass(frozen=True)
class Rows:
    """Good rows in their normal form: as lines, and the part of each that holds the features."""

    lines: list[bytes]
    features: list[bytes]


class Scanner:
    """Reads tables whose columns are of known kinds, and counts what it sees."""

    def __init__(
        self, kinds: Kinds, max_classes: int | None, refuse: Callable[[str, Refusal], None]
    ) -> None:
        """Prepare to read.

        Args:
            kinds: what is expected in each place.
            max_classes: how many distinct whole numbers may still be classes; None when any
                numbers may be.
            refuse: is told of each row that cannot be trained on, with the table's name.
        """
        self.kinds = kinds
        self.tally = Tally()
        self._max_classes = max_classes
        self._refuse = refuse
        self._distinct_labels = 0

    def scan(self, source: Source) -> Iterator[Rows]:
        """Yield the good rows of a table in their order, some hundred kB at a time."""
        scan = _TableScan(self, source)
        for block in line_blocks(source.table.blocks()):
            if isinstance(block, OverlongLine):
                yield from scan.finish()
                reason = f"the line has {block.size_bytes:,} bytes; 4 MiB are read"
                self.refuse(source, Refusal(block.number, reason, block.head))
            else:
                yield from scan.read(block)
                self._close_label()
        yield from scan.finish()

    def refuse(self, source: Source, refusal: Refusal) -> None:
        self._refuse(source.table.name, refusal)

    def verdict(self, place: int, cell: bytes) -> bool:
        """Say whether a collected cell is certainly good; the slow look decides otherwise."""
        if not cell:
            return place != LABEL
        try:
            text = cell.decode()
        except UnicodeDecodeError:
            return False
        if place not in self.kinds.texts:
            return _is_number(cell) and plain_number(text) == text.strip() == text
        return (
            not is_missing(text) and text == text.strip() and text.isprintable() and "," not in text
        )

    def _close_label(self) -> None:
        """Stop collecting labels that can be no classes: it costs, and there may be millions."""
        if self._max_classes is None or not self.kinds.open_label or LABEL in self.kinds.texts:
            return
        labels = self.tally.values.get(LABEL, Counter())
        if len(labels) == self._distinct_labels:
            return
        self._distinct_labels = len(labels)
        if not may_be_classes(labels, self._max_classes):
            self.kinds = replace(self.kinds, open_label=False)


def may_be_classes(labels: Counter[bytes], max_classes: int) -> bool:
    """Say whether these labels are few enough, and all whole numbers."""
    numbers = {number_of(label.decode()) for label in labels}
    return len(numbers) <= max_classes and all(
        number is not None and number.is_integer() for number in numbers
    )


@lru_cache(maxsize=4096)
def _is_number(cell: bytes) -> bool:
    return number_of(cell.decode()) is not None


class _TableScan:
    """The state of going through one table."""

    def __init__(self, scanner: Scanner, source: Source) -> None:
        self._scanner = scanner
        self._source = source
        self._reader = RowReader(
            scanner.kinds, source.picks, source.delimiter, source.width, scanner.tally
        )
        self._to_skip = source.header_lines
        self._pending: LineBlock | None = None  # lines that end within quotes

    def read(self, block: LineBlock) -> Iterator[Rows]:
        self._reader.kinds = self._scanner.kinds
        if self._to_skip:
            block = self._without_header(block)
        if self._pending is not None:
            block = LineBlock(self._pending.first, self._pending.data + block.data)
            self._pending = None
        if not block.data:
            return
        if b'"' in block.data:
            yield self._quoted(block, is_last=False)
        elif self._source.keeps_order:
            yield self._at_once(block)
        else:
            yield self._line_by_line(block)

    def finish(self) -> Iterator[Rows]:
        """Read what waits for a closing quote that does not come."""
        if self._pending is not None:
            block, self._pending = self._pending, None
            yield self._quoted(block, is_last=True)

    def _without_header(self, block: LineBlock) -> LineBlock:
        data, first = block.data, block.first
        while self._to_skip and data:
            data = data[data.index(b"\n") + 1 :]
            first, self._to_skip = first + 1, self._to_skip - 1
        return LineBlock(first, data)

    def _quoted(self, block: LineBlock, is_last: bool) -> Rows:
        outcomes, read = self._reader.quoted(block.data, block.first, is_last)
        if read < len(block.data):
            first = block.first + block.data.count(b"\n", 0, read)
            self._pending = LineBlock(first, block.data[read:])
        return self._kept(outcomes)

    def _line_by_line(self, block: LineBlock) -> Rows:
        lines = block.data.split(b"\n")[:-1]
        return self._kept(
            [self._reader.one(line, block.first + place) for place, line in enumerate(lines)]
        )

    def _kept(self, outcomes: list[Row | Refusal | None] | list[Row | Refusal]) -> Rows:
        rows = Rows([], [])
        for outcome in outcomes:
            if isinstance(outcome, Refusal):
                self._scanner.refuse(self._source, outcome)
            elif outcome is not None:
                rows.lines.append(outcome.line)
                rows.features.append(outcome.features)
        return rows

    def _at_once(self, block: LineBlock) -> Rows:
        source, kinds, delimiter = (
            self._source,
            self._scanner.kinds,
            self._source.delimiter.encode(),
        )
        places = {source.picks[place]: place for place in kinds.collected}
        columns = Columns(source.width, delimiter, source.picks[LABEL], frozenset(places))
        view = BlockView(block.data, columns)
        self._count(view, places)
        data = block.data if delimiter == b"," else block.data.replace(delimiter, b",")
        rows = _cut(data, view, source)
        doubtful = np.flatnonzero(view.doubtful).tolist()
        if doubtful:
            self._decide(rows, doubtful, block)
            return Rows([x for x in rows.lines if x], [x for x in rows.features if x])
        return rows

    def _count(self, view: BlockView, places: dict[int, int]) -> None:
        """Count what a block's sure lines hold."""
        tally = self._scanner.tally
        counts: dict[int, Counter[bytes]] = {}
        doubtful = -1
        while doubtful != (doubtful := int(view.doubtful.sum())):  # one column's doubt is all's
            counts = {
                place: view.texts(pick, partial(self._scanner.verdict, place))
                for pick, place in places.items()
            }
        for place, cells in counts.items():
            del cells[b""]
            tally.collect(place, cells)
            for cell, number in cells.items():
                kind = tally.numbers if _is_number(cell) else tally.texts
                kind[place] += number
        blanks = view.blanks()
        for place, pick in enumerate(self._source.picks):
            if place not in counts:
                tally.numbers[place] += view.lines - doubtful - int(blanks[pick])

    def _decide(self, rows: Rows, doubtful: list[int], block: LineBlock) -> None:
        """Put the slow look's row in place of each doubtful one; empty where it refuses."""
        lines = block.data.split(b"\n")
        for place in doubtful:
            outcome = self._reader.one(lines[place], block.first + place)
            if isinstance(outcome, Refusal):
                self._scanner.refuse(self._source, outcome)
            good = outcome if isinstance(outcome, Row) else None
            rows.lines[place] = good.line if good else b""
            rows.features[place] = good.features if good else b""


def _cut(data: bytes, view: BlockView, source: Source) -> Rows:
    """Cut a block into lines with the label first; what comes of doubtful lines means nothing."""
    lines = data.split(b"\n")
    lines.pop()
    starts, ends = view.label_bounds()
    label = source.picks[LABEL]
    if label == 0:
        first = int(ends[0])
        if bool((ends == first).all()):
            return Rows(lines, [line[first + 1 :] for line in lines])
        return Rows(
            lines, [line[end + 1 :] for line, end in zip(lines, ends.tolist(), strict=True)]
        )
    bounds = list(zip(lines, starts.tolist(), ends.tolist(), strict=True))
    if label == source.width - 1:
        features = [line[: start - 1] for line, start, _ in bounds]
    else:
        features = [line[:start] + line[end + 1 :] for line, start, end in bounds]
    return Rows(
        [
            line[start:end] + b"," + rest
            for (line, start, end), rest in zip(bounds, features, strict=True)
        ],
        features,
    )
