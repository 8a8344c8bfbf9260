"""Data preparation, the predict API and the command line read the same CSV file alike."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple
from unittest.mock import patch

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from refit.domain.cells import MISSING_EVERYWHERE, is_missing, number_of
from refit.domain.column_reading import ColumnReading, name_key
from refit.domain.data_settings import DataSettings
from refit.domain.errors import DatasetEmpty, DatasetInvalid, DatasetUnreadable, PayloadInvalid
from refit.domain.inferences.payload import encoded_lines
from refit.domain.inferences.request_rows import csv_instances, names_columns
from refit.domain.schema import Feature, Schema
from refit.tabular.predicted_rows import Reading as CommandLineReading
from refit.tabular.readers.table import CsvTable
from refit.tabular.reading_plan import ReadingPlan
from refit.tabular.row_reader import Refusal, unescaped
from refit.tabular.table_dialects import table_dialects
from refit.tabular.table_scan import TableScanner
from refit.tabular.table_source import TableSource
from refit_cli.errors import BadInput
from refit_cli.rows import SkippedRows, open_table

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


def schema_of(reading: Reading, first: int = 0) -> Schema:
    """Return a schema of texts with the names and values of the columns from the first one on."""
    width = len(reading.names or reading.rows[0])
    names = reading.names or [f"f{column}" for column in range(width)]
    features = tuple(
        Feature(
            name=names[column],
            type="category",
            values=tuple({row[column] for row in reading.rows}),
        )
        for column in range(first, width)
    )
    label = names[0] if first else "the label of another file"
    return Schema(task="classification", label=label, features=features, classes=("a", "b"))


def read_by_command_line(data: bytes, reading: CommandLineReading) -> tuple[Reading, SkippedRows]:
    stdin = SimpleNamespace(buffer=io.BytesIO(data))
    with patch("sys.stdin", stdin), open_table(Path("-"), reading) as table:
        rows = [[row.label or "", *row.cells] for row in table.rows]
    return Reading(table.names, rows), table.skipped


numbers = st.sampled_from(["1", "-2.5", "1e3", "007", ".5"])
missing = st.sampled_from(["", "NA", "?", " ", "nan", "NULL"])
characters = st.characters(codec="utf-8", exclude_categories=("C", "Z"))
words = st.text(characters | st.sampled_from(' ,;|"\n'), max_size=6)
# Without the other delimiters, of which several may fit, and without comments.
plain_words = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters=";|#")
    | st.sampled_from(' ,"\n'),
    max_size=6,
)


@st.composite
def csv_files(
    draw: st.DrawFn, delimiters: str = ",;|\t", texts: st.SearchStrategy[str] = words
) -> bytes:
    """A table of two to four columns, each of numbers or texts, as spreadsheets export it."""
    columns = draw(st.lists(st.sampled_from([numbers, texts]), min_size=2, max_size=4))
    row = st.tuples(*(column | missing for column in columns))
    rows = draw(st.lists(row, min_size=2, max_size=15))
    first = draw(st.tuples(*(texts for _ in columns)) | row)
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
@example(b",,0\n,1,\n,1,\n,1,\n0,1,:\n00,1,0\n", 60)  # the label's name is in a title, too
def test_preparation_and_the_command_line_read_the_same_header_and_cells(
    data: bytes, block_bytes: int
) -> None:
    try:
        prepared, _ = read_by_preparation(data, block_bytes)
    except (DatasetInvalid, DatasetEmpty):  # preparation does not guess
        return
    assume(prepared.rows)
    assume(len(set(map(name_key, prepared.names or ()))) == len(prepared.names or ()))
    schema = schema_of(prepared, first=1)
    try:
        label = prepared.names[0] if prepared.names else "0"
        found, skipped = read_by_command_line(data, CommandLineReading(schema, label=label))
    except DatasetUnreadable:  # it begins like another kind of file
        assert data.decode("utf-8-sig").strip()[0] in "<[{"
        return
    assert found.names == (prepared.names and prepared.names[1:])
    assert usable(found.rows) == prepared.rows
    assert skipped.count == 0


@unhurried
@given(csv_files(delimiters=",", texts=plain_words))
def test_the_api_reads_the_same_cells(data: bytes) -> None:
    try:
        prepared, _ = read_by_preparation(data, 60)
    except (DatasetInvalid, DatasetEmpty):  # preparation does not guess
        return
    first_line = data.decode("utf-8-sig").partition("\n")[0]
    if not prepared.rows or not first_line.strip(' ,"\r'):
        return  # preparation takes a blank record for a title; a request has none
    schema = schema_of(prepared)
    keys = [name_key(name) for name in prepared.names or ()]
    if len(set(keys)) < len(keys) or (keys and not names_columns(keys, schema)):
        return  # such names are refused, or are values as well
    assert usable(csv_instances(data.decode("utf-8-sig"), schema)) == prepared.rows


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
    instances = csv_instances(content, schema)
    if all(number_of(cell) is not None or is_missing(cell) for cell in first):
        assert not has_header
        assert len(encoded_lines(instances, schema)) == 1 + len(rows)
        found, _ = read_by_command_line(content.encode(), CommandLineReading(schema))
        assert len(found.rows) == 1 + len(rows)
        return
    with pytest.raises(PayloadInvalid) as rejected:
        encoded_lines(instances, schema)
    assert ("the first row seems to be a header" in str(rejected.value)) is has_header
    if has_header:
        with pytest.raises(BadInput, match="unknown column"):
            read_by_command_line(content.encode(), CommandLineReading(schema))
    else:
        found, skipped = read_by_command_line(content.encode(), CommandLineReading(schema))
        assert (len(found.rows), skipped.count) == (len(rows), 1)


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
    features = tuple(Feature(name=name, type="number") for name in ("a", "b"))
    schema = Schema(task="regression", label="y", features=features)
    with pytest.raises(PayloadInvalid) as rejected_by_api:
        csv_instances(data.decode(), schema)
    assert f"line 3 is not CSV: {reason}" in str(rejected_by_api.value)
    _, skipped = read_by_command_line(data, CommandLineReading(schema))
    assert skipped.first == [f"line 3: {reason}"]
