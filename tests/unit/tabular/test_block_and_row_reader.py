"""The block reader and the row reader give the same rows, and those of Python's csv module."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any

from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from refit.domain.cells import FLOAT32_MAX, MISSING_EVERYWHERE, number_of
from refit.domain.column_reading import ColumnReading
from refit.domain.csv_rows import CsvFormat
from refit.tabular.column_tally import ColumnTracker
from refit.tabular.csv_bytes import BlockLayout, BlockView
from refit.tabular.readers.table import CsvTable
from refit.tabular.reading_plan import ReadingPlan
from refit.tabular.table_scan import TableScanner
from refit.tabular.table_source import TableSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.column_reading import ColumnType
    from refit.tabular.readers.table import RowOrigin
    from refit.tabular.row_reader import Refusal

GOOD = ["0", "1", "23", "-4", "+7", "1.5", ".5", "5.", "-.5", "1e5", "1E+3", "1e-400", "2e+17", ""]
ODD_WORDS = (
    "NA nan null None ? inf -inf Infinity 1e38 1e39 1e400 3.5e38 1.2.3 1e2e3 1e2.5 1-2 - + . -. "
    "e5 1e 1e+ --1 1..2 abc a-b 1_0 0x10 1e5. 1.e5 .e5 e +.5 +-1 1e--5 1e+007 ０ é -999 -999.0 "
    "none unknown 1,5 1.234 12% 2025-01-31 12:30 7kg (5)"
)
ODD_LENGTHS = ["9" * 38, "9" * 39, "0" * 50, "1" * 20 + "e19", "1" * 19, "1" * 20]
ODD_LENGTHS += [f"0.{'0' * zeros}{digits}" for zeros in (8, 17, 25) for digits in (7, "1" * 12)]
ODD_LENGTHS += ["1.000000000000000000e+00", "-0.000000000000000000e+00", "0.00012345678901234567"]
ODD = [*ODD_WORDS.split(), *ODD_LENGTHS, " 1", "1 ", "1\t", " a", "a b", "\x01", " NA ", "\xa0NA"]
TRUTH = ["true", "false", "True", "FALSE", "yes", "0", "1.0"]
TYPES: list[ColumnType | None] = ["number", "number", "category", "boolean", None]
WRITTEN_TYPES: list[ColumnType | None] = ["number", "category", "boolean", "date", None]
NOT_UTF8 = "\udcff"


class RowByRowSource(TableSource):
    """A source whose rows are all read one by one."""

    def is_sliceable(self, plan: ReadingPlan) -> bool:
        return False


@dataclass(frozen=True)
class Example:
    """A table and how it is read.

    Attributes:
        types: type of each column in the order of the table; None for one that is left out.
        label: index of the label.
        header: cells that are a header where they are repeated; empty without one.
    """

    data: bytes
    delimiter: str
    types: tuple[ColumnType | None, ...]
    label: int
    header: tuple[str, ...] = ()
    missing: frozenset[str] = frozenset()
    open_label: bool = True
    origin: RowOrigin = "dropped"
    max_classes: int | None = 50

    @property
    def picks(self) -> tuple[int, ...]:
        """Index of each column in the table, label first."""
        others = (index for index in range(len(self.types)) if index != self.label)
        return (self.label, *others)

    @property
    def plan(self) -> ReadingPlan:
        readings = {
            column: ColumnReading(name=f"c{column}", type=kind, missing=self.missing)
            for column, pick in enumerate(self.picks)
            if (kind := self.types[pick]) is not None
        }
        return ReadingPlan(
            names=tuple(f"c{column}" for column in range(len(self.types))),
            label=readings.pop(0),
            features=tuple(readings.items()),
            left_out={
                column: "a reason"
                for column, pick in enumerate(self.picks)
                if self.types[pick] is None
            },
            open_label=self.open_label,
            missing=self.missing,
        )


def followed(trackers: dict[int, ColumnTracker]) -> dict[int, tuple[Any, ...]]:
    """Return what the trackers have found out."""
    return {
        column: (
            tracker.is_constant,
            tracker.constant if tracker.is_constant else None,
            tracker.ids,
            tracker.id_range if tracker.ids in {"counts", "increases"} else None,
        )
        for column, tracker in trackers.items()
    }


def scanned(source_class: type[TableSource], table: Example) -> dict[str, Any]:
    """Read a table; return everything that reading it finds out."""
    refused: list[Refusal] = []
    trackers = {column: ColumnTracker(compares_ids=True) for column in range(len(table.types))}
    scanner = TableScanner(
        table.plan, table.max_classes, lambda _, refusal: refused.append(refusal), trackers
    )
    blocks = CsvTable("drop.csv", None, lambda: iter([table.data]), origin=table.origin)
    source = source_class(
        blocks, CsvFormat(table.delimiter), len(table.types), 0, table.picks, table.header
    )
    rows = [
        row for rows in scanner.scan(source) for row in zip(rows.lines, rows.features, strict=True)
    ]
    tally = scanner.tally
    # The block reader does not look at how each number is written.
    kinds: Counter[tuple[int, str]] = Counter()
    for column, shapes in tally.shapes.items():
        for shape, count in shapes.items():
            kinds[column, shape.kind] += count
    return {
        "rows": rows,
        "refusals": sorted(refused, key=lambda refusal: refusal.line),
        "kinds": +kinds,
        "values": {column: cells for column, cells in tally.values.items() if cells},
        "odd": {column: cells for column, cells in tally.odd.items() if cells},
        "markers": {column: cells for column, cells in tally.markers.items() if cells},
        "missing of columns that are left out": +tally.left_out_missing,
        "number of rows": scanner.state.rows,
        "repeated headers": scanner.state.repeated_headers,
        "trackers": followed(trackers),
    }


@st.composite
def tables(draw: st.DrawFn) -> Example:
    width = draw(st.integers(2, 6))
    label = draw(st.integers(0, width - 1))
    origin: RowOrigin = draw(st.sampled_from(["dropped", "dropped", "labelled"]))
    kinds = TYPES if origin == "dropped" else WRITTEN_TYPES
    types = draw(st.lists(st.sampled_from(kinds), min_size=width, max_size=width))
    types[label] = types[label] or "number"
    if not any(kind for index, kind in enumerate(types) if index != label):
        types[label - 1] = "number"
    delimiter = draw(st.sampled_from(",;|\t"))
    cell = st.sampled_from(GOOD) | st.sampled_from(ODD) | st.sampled_from(TRUTH)
    cell |= st.just(f"a{NOT_UTF8}")
    row = st.lists(cell, min_size=width, max_size=width)
    # Some columns have one value or count up, as those that are left out do.
    for column in draw(st.sets(st.integers(0, width - 1), max_size=2)):
        row = row.map(lambda cells, column=column: [*cells[:column], "7", *cells[column + 1 :]])
    rows = draw(
        st.lists(row | st.lists(cell, min_size=1, max_size=8), min_size=1, max_size=12)
        | st.lists(row, min_size=3, max_size=12)
    )
    counted = draw(st.none() | st.integers(0, width - 1))
    if counted is not None:
        for number, cells in enumerate(rows):
            cells[counted : counted + 1] = [str(number)]
    header: tuple[str, ...] = ()
    if draw(st.booleans()):
        header = tuple(c.strip(f" \t{NOT_UTF8}") for c in draw(st.sampled_from(rows)))
        blanks = draw(st.sampled_from(["", " "]))
        rows.insert(draw(st.integers(0, len(rows))), [f"{blanks}{name}" for name in header])
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    data = "".join(delimiter.join(cells) + end for cells in rows)
    return Example(
        data.encode(errors="surrogateescape"),
        delimiter,
        tuple(types),
        label,
        header,
        frozenset(draw(st.sets(st.sampled_from(["unknown", "-999", ".5", "a b"]), max_size=2))),
        draw(st.booleans()),
        origin,
        draw(st.sampled_from([None, 2, 50])),
    )


@settings(max_examples=400, deadline=None)
@given(tables())
@example(Example(b"male,1\nfemale,2\nmale,3\n", ",", (None, "number"), 1, ("male", "age")))
@example(Example(b"1,2,x\na,b,c\na, b, c\n", ",", ("number", "number", None), 0, ("a", "b", "c")))
@example(Example(b"5,6\n1,2\n 5, 6\n", ",", ("number", "number"), 0, ("5", "6"), open_label=False))
@example(Example(b"1,NA,2\n1,,2\n1,x,\n", ",", ("number", None, "number"), 0))
def test_both_readers_give_the_same_rows_refusals_counts_and_facts(table: Example) -> None:
    by_rows = scanned(RowByRowSource, table)
    event(f"{min(len(by_rows['rows']), 3)} or more good rows")
    assert scanned(TableSource, table) == by_rows


NUMBERS = BlockLayout(5, b",", 0, frozenset({1, 2, 3, 4}), frozenset({0}))
NUMBER = BlockLayout(2, b",", 0, frozenset({1}), frozenset({0}))


def test_the_block_reader_decides_about_clean_numbers_alone() -> None:
    block = b"".join(f"{n % 10},{n},-{n}.5,{n}e-3,\n".encode() for n in range(100))
    assert not BlockView(block, NUMBERS).doubtful.any()


@settings(max_examples=300, deadline=None)
@given(st.text("0123456789+-.eE", min_size=1, max_size=45))
@example("3.4028236e38")
@example("-0.e-0")
def test_the_block_reader_accepts_only_finite_numbers(cell: str) -> None:
    view = BlockView(f"1,{cell}\n".encode(), NUMBER)
    if not view.doubtful[0]:
        assert number_of(cell) is not None
        assert abs(float(cell)) <= FLOAT32_MAX


texts = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z")) | st.sampled_from(' ,;"\n\r'),
    max_size=8,
).filter(lambda text: text == text.strip())


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=15),
    delimiter=st.sampled_from(",;|\t"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    ends=st.lists(st.sampled_from(["\n", "\r\n", "\r"]), min_size=1, max_size=3),
    cut=st.integers(1, 40),
)
def test_quoted_texts_are_read_as_pythons_csv_module_reads_them(
    rows: list[tuple[str, str, str]], delimiter: str, quoting: Any, ends: list[str], cut: int
) -> None:
    data = b""
    for row, end in zip(rows, cycle(ends), strict=False):
        out = io.StringIO(newline="")
        # The csv module quotes cells with a character of the line end.
        csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator="\r\n").writerow(row)
        data += (out.getvalue().removesuffix("\r\n") + end).encode()
    blocks = [data[begin : begin + cut] for begin in range(0, len(data), cut)]
    lines, refused = lines_of(blocks, CsvFormat(delimiter))

    def normal(text: str) -> str:
        text = text.replace("\r\n", "\n")
        escaped = text.replace(",", "\x1c").replace("\n", "\x1d").replace("\r", "\x1e")
        return "" if text.lower() in MISSING_EVERYWHERE else escaped

    normal_rows = [tuple(map(normal, row)) for row in rows]
    expected = [",".join(row).encode() for row in normal_rows if row[0] and any(row[1:])]
    assert lines == expected
    assert len(refused) <= len(rows) - len(expected)


def lines_of(blocks: Sequence[bytes], csv_format: CsvFormat) -> tuple[list[bytes], list[Refusal]]:
    """Return the normal lines of a table of three columns of texts, and the refused rows."""
    plan = Example(b"", ",", ("category", "category", "category"), 0).plan
    refused: list[Refusal] = []
    scanner = TableScanner(plan, None, lambda _, refusal: refused.append(refusal), {})
    source = TableSource(
        CsvTable("drop.csv", None, lambda: iter(blocks)), csv_format, 3, 0, plan.kept
    )
    return [line for rows in scanner.scan(source) for line in rows.lines], refused
