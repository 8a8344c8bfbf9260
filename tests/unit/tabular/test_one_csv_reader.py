"""Data preparation, the predict API and the command line read the same CSV file alike."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from refit.domain.cells import MISSING_EVERYWHERE, is_missing, number_of
from refit.domain.column_reading import ColumnReading
from refit.domain.csv_dialect import column_names
from refit.domain.errors import DatasetInvalid, PayloadInvalid
from refit.domain.inferences.payload import csv_instances, encoded_lines
from refit.domain.model_settings import DataSettings
from refit.domain.schema import Feature, Schema
from refit.tabular.readers.table import CsvTable
from refit.tabular.reading_plan import ReadingPlan
from refit.tabular.row_reader import Refusal, unescaped
from refit.tabular.table_dialects import table_dialects
from refit.tabular.table_scan import TableScanner
from refit.tabular.table_source import TableSource
from refit_cli.errors import BadInput
from refit_cli.rows import open_table

unhurried = settings(deadline=None)  # each example reads the file in three ways


class Reading(NamedTuple):
    """What a reader makes of a file: the names in its header, and the cells of its rows."""

    names: list[str] | None
    rows: list[list[str]]


def read_by_preparation(data: bytes, block_bytes: int) -> tuple[Reading, list[Refusal]]:
    """Read all columns as texts; the label is the first one."""
    starts = range(0, len(data), block_bytes)
    table = CsvTable(
        "drop.csv", None, lambda: (data[start : start + block_bytes] for start in starts)
    )
    (dialect,) = table_dialects([table], DataSettings(), None)
    label, *features = (
        ColumnReading(name=str(column), type="category") for column in range(dialect.width)
    )
    plan = ReadingPlan(
        names=(label.name, *(feature.name for feature in features)),
        label=label,
        features=tuple(enumerate(features, start=1)),
        left_out={},
        open_label=False,
        missing=frozenset(),
    )
    refused: list[Refusal] = []
    scanner = TableScanner(plan, None, lambda _, refusal: refused.append(refusal), {})
    source = TableSource(
        table,
        dialect.csv_format,
        dialect.width,
        dialect.header_lines,
        plan.kept,
        dialect.header_cells,
    )
    rows = [
        [unescaped(cell) for cell in line.split(b",")]
        for rows in scanner.scan(source)
        for line in rows.lines
    ]
    return Reading(list(dialect.header) if dialect.header else None, rows), refused


def read_by_command_line(data: bytes) -> Reading:
    stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(data)))  # type: ignore[type-var]
    with patch("sys.stdin", stdin), open_table(Path("-"), "auto", None, None) as table:
        return Reading(table.names, [row.cells for row in table.rows])


numbers = st.sampled_from(["1", "-2.5", "1e3", "007", ".5"])
missing = st.sampled_from(["", "NA", "?", " ", "nan", "NULL"])
words = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z")) | st.sampled_from(' ,;|"\n'),
    max_size=6,
)


@st.composite
def csv_files(draw: st.DrawFn, delimiters: str = ",;|\t") -> bytes:
    """A table of two to four columns, each of numbers or texts, as spreadsheets export it."""
    columns = draw(st.lists(st.sampled_from([numbers, words]), min_size=2, max_size=4))
    row = st.tuples(*(column | missing for column in columns))
    rows = draw(st.lists(row, min_size=2, max_size=15))
    first = draw(st.tuples(*(words for _ in columns)) | row)
    out = io.StringIO(newline="")
    csv.writer(
        out,
        delimiter=draw(st.sampled_from(delimiters)),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        lineterminator=draw(st.sampled_from(["\n", "\r\n", "\n\n"])),
    ).writerows([first, *rows])
    return draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + out.getvalue().encode()


def usable(rows: list[list[str]]) -> list[list[str]]:
    """Return the rows with a label and a feature; a missing text is an empty cell."""
    normal = [["" if cell.lower() in MISSING_EVERYWHERE else cell for cell in row] for row in rows]
    return [row for row in normal if row[0] and any(row[1:])]


@unhurried
@given(csv_files(), st.integers(1, 60))
@example(b'a, b\n1, "x, y"\n2 ,z\n', 5)
def test_preparation_and_the_command_line_read_the_same_header_and_cells(
    data: bytes, block_bytes: int
) -> None:
    from_command_line = read_by_command_line(data)
    rows = from_command_line.rows
    width = len(from_command_line.names or rows[0])
    assume(width > 1 and len(rows) > 1)  # preparation needs two columns, and more than one row
    assert {len(row) for row in rows} == {width}
    try:
        from_preparation, refused = read_by_preparation(data, block_bytes)
    except DatasetInvalid:  # preparation does not guess
        assert from_command_line.names is None
        return
    assert from_preparation.names == from_command_line.names
    assert from_preparation.rows == usable(rows)
    assert len(refused) == len(rows) - len(from_preparation.rows)


@unhurried
@given(csv_files(delimiters=","))
def test_the_api_and_the_command_line_read_the_same_cells(data: bytes) -> None:
    names, rows = read_by_command_line(data)
    assume(len(names or rows[0]) > 1)
    assume(b";" not in data and b"|" not in data)  # the command line may find another delimiter
    assume(b"#" not in data)  # or a comment
    records = csv_instances(data.decode("utf-8-sig"))
    header = [list(column_names(records.pop(0)))] if names else []
    assert header + records == ([names] if names else []) + rows


@unhurried
@given(st.data())
def test_all_three_decide_alike_whether_numbers_have_a_header(data: st.DataObject) -> None:
    width = data.draw(st.integers(2, 5))
    row = st.lists(numbers, min_size=width, max_size=width)
    name = st.sampled_from(["a", "size", "x1", "-", "1"])
    first = data.draw(st.lists(name, min_size=width, max_size=width, unique=True) | row)
    rows = data.draw(st.lists(row, min_size=2, max_size=9))
    content = "\n".join(map(",".join, [first, *rows]))
    features = tuple(Feature(name=f"f{column}", type="number") for column in range(width))
    schema = Schema(task="regression", label="y", features=features)
    from_preparation, _ = read_by_preparation(content.encode(), 100)
    has_header = from_preparation.names is not None
    assert (read_by_command_line(content.encode()).names is not None) is has_header
    instances = csv_instances(content)
    if all(number_of(cell) is not None or is_missing(cell) for cell in first):
        assert not has_header
        assert len(encoded_lines(instances, schema)) == 1 + len(rows)
    else:
        with pytest.raises(PayloadInvalid) as rejected:
            encoded_lines(instances, schema)
        assert ("the first row seems to be a header" in str(rejected.value)) is has_header


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'1,"2"3', "the quotes do not match (',' expected after '\"')"),
        (b'1,"2', "a quote is never closed"),
    ],
)
def test_all_three_reject_a_bad_line_for_the_same_reason(line: bytes, reason: str) -> None:
    data = b"1,2\n3,4\n" + line + b"\n5,6\n"
    _, (refusal,) = read_by_preparation(data, 100)
    assert (refusal.line, refusal.reason) == (3, reason)
    with pytest.raises(PayloadInvalid) as rejected_by_api:
        csv_instances(data.decode())
    with pytest.raises(BadInput) as rejected_by_command_line:
        read_by_command_line(data)
    for error in (rejected_by_api, rejected_by_command_line):
        assert f"line 3 is not CSV: {reason}" in str(error.value)
