"""The block reader and the row reader give the same rows, and those of Python's csv module."""

from __future__ import annotations

import csv
import io
from itertools import cycle
from typing import TYPE_CHECKING, Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from refit.domain.cells import FLOAT32_MAX, is_missing, number_of
from refit.domain.csv_rows import CsvFormat
from refit.tabular.csv_bytes import BlockLayout, BlockView
from refit.tabular.readers.table import CsvTable
from refit.tabular.row_reader import ColumnKinds, Refusal
from refit.tabular.table_scan import TableScanner, TableSource

if TYPE_CHECKING:
    from collections.abc import Sequence

GOOD = ["0", "1", "23", "-4", "+7", "1.5", ".5", "5.", "-.5", "1e5", "1E+3", "1e-400", "2e+17", ""]
ODD_WORDS = (
    "NA nan null None ? inf -inf Infinity 1e38 1e39 1e400 3.5e38 1.2.3 1e2e3 1e2.5 1-2 - + . -. "
    "e5 1e 1e+ --1 1..2 abc a-b 1_0 0x10 1e5. 1.e5 .e5 e +.5 +-1 1e--5 1e+007 ０ é"
)
ODD_LENGTHS = ["9" * 38, "9" * 39, "0" * 50, "1" * 20 + "e19", "1" * 19, "1" * 20]
ODD_LENGTHS += [f"0.{'0' * zeros}{digits}" for zeros in (8, 17, 25) for digits in (7, "1" * 12)]
ODD_LENGTHS += ["1.000000000000000000e+00", "-0.000000000000000000e+00", "0.00012345678901234567"]
ODD = [*ODD_WORDS.split(), *ODD_LENGTHS, " 1", "1 ", "1\t", " a", "a b", "\x01"]


class RowByRowSource(TableSource):
    """A source that the block reader is not used for."""

    keeps_order = False  # type: ignore[assignment]


def scanned(
    source_class: type[TableSource],
    data: bytes,
    delimiter: str,
    picks: Sequence[int],
    kinds: ColumnKinds,
    header_cells: tuple[str, ...] = (),
) -> tuple[Any, ...]:
    refused: list[Refusal] = []
    scanner = TableScanner(kinds, 50, lambda _, refusal: refused.append(refusal))
    table = CsvTable("drop.csv", None, lambda: iter([data]))
    source = source_class(table, CsvFormat(delimiter), len(picks), 0, tuple(picks), header_cells)
    rows = [
        row for rows in scanner.scan(source) for row in zip(rows.lines, rows.features, strict=True)
    ]
    tally = scanner.tally
    values = {column: cells for column, cells in tally.values.items() if cells}
    return (
        rows,
        sorted(refused, key=lambda refusal: refusal.line),
        +tally.numbers,
        +tally.texts,
        values,
        scanner.repeated_headers.total(),
    )


@st.composite
def tables(draw: st.DrawFn) -> tuple[bytes, str, int, ColumnKinds]:
    width = draw(st.integers(2, 5))
    delimiter = draw(st.sampled_from(",;|\t"))
    cell = st.sampled_from(GOOD) | st.sampled_from(ODD)
    row = st.lists(cell, min_size=width, max_size=width) | st.lists(cell, min_size=1, max_size=7)
    rows = draw(st.lists(row, min_size=1, max_size=12))
    texts = draw(st.frozensets(st.integers(0, width - 1)))
    kinds = ColumnKinds(tuple(f"c{column}" for column in range(width)), texts, draw(st.booleans()))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    data = "".join(delimiter.join(cells) + end for cells in rows).encode()
    return data, delimiter, draw(st.integers(0, width - 1)), kinds


@settings(max_examples=400, deadline=None)
@given(tables())
def test_both_readers_give_the_same_rows_refusals_and_counts(
    table: tuple[bytes, str, int, ColumnKinds],
) -> None:
    data, delimiter, label, kinds = table
    width = len(kinds.names)
    picks = (label, *(index for index in range(width) if index != label))
    for header in (
        (),
        tuple(cell.strip() for cell in data.decode().splitlines()[0].split(delimiter)),
    ):
        by_block = scanned(TableSource, data, delimiter, picks, kinds, header)
        assert by_block == scanned(RowByRowSource, data, delimiter, picks, kinds, header)
        assert bool(header) is bool(by_block[-1]) or not any(header)


def test_the_block_reader_decides_about_clean_numbers_alone() -> None:
    block = b"".join(f"{n % 10},{n},-{n}.5,{n}e-3,\n".encode() for n in range(100))
    view = BlockView(block, BlockLayout(5, b",", 0, frozenset({0})))
    assert not view.doubtful.any()


@settings(max_examples=300, deadline=None)
@given(st.text("0123456789+-.eE", min_size=1, max_size=45))
@example("3.4028236e38")
@example("-0.e-0")
def test_the_block_reader_accepts_only_finite_numbers(cell: str) -> None:
    view = BlockView(f"1,{cell}\n".encode(), BlockLayout(2, b",", 0, frozenset({0})))
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
    kinds = ColumnKinds(("label", "a", "b"), frozenset({0, 1, 2}), open_label=True)
    refused: list[Refusal] = []
    scanner = TableScanner(kinds, None, lambda _, refusal: refused.append(refusal))
    table = CsvTable("drop.csv", None, lambda: iter(blocks))
    lines = [
        line
        for rows_of_block in scanner.scan(TableSource(table, CsvFormat(delimiter), 3, 0, (0, 1, 2)))
        for line in rows_of_block.lines
    ]

    def normal(text: str) -> str:
        text = text.replace("\r\n", "\n")
        escaped = text.replace(",", "\x1c").replace("\n", "\x1d").replace("\r", "\x1e")
        return "" if is_missing(text) else escaped

    expected = [
        ",".join(map(normal, row)).encode()
        for row in rows
        if not is_missing(row[0]) and not (is_missing(row[1]) and is_missing(row[2]))
    ]
    assert lines == expected
    assert len(refused) <= len(rows) - len(expected)
