"""Rows to predict are read as training read them: from CSV, gzip, Parquet and stdin."""

from __future__ import annotations

import gzip
import io
import pickle
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest
from refit.domain.data_settings import DataSettings
from refit.domain.errors import CallerError
from refit.domain.number_forms import NumberForm
from refit.domain.schema import Feature, Schema
from refit.tabular.predicted_rows import Reading
from refit_cli.errors import BadInput
from refit_cli.rows import open_table


def schema_of(*names: str, label: str = "y", form: NumberForm | None = None, **more) -> Schema:
    """Return the schema of a regression from columns of numbers."""
    written = {"form": form} if form else {}
    features = tuple(Feature(name=name, type="number", **written) for name in names)
    return Schema(task="regression", label=label, features=features, **more)


TWO = schema_of("a", "b")
WORDS = Schema(
    task="classification",
    label="kind",
    features=(
        Feature(name="colour", type="category", values=("blue", "red")),
        Feature(name="shape", type="category", values=("flat", "round")),
    ),
    classes=("x", "y"),
)


@pytest.fixture
def read(tmp_path):
    """Return a function that writes content to a file and reads it."""

    def run(content: str | bytes, schema: Schema = TWO, name="rows.csv", **reading):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        with open_table(path, Reading(schema, **reading)) as table:
            rows = list(table.rows)
        return SimpleNamespace(
            names=table.names,
            cells=[row.cells for row in rows],
            labels=[row.label for row in rows],
            label=table.label,
            numbers=[row.number for row in rows],
            skipped=table.skipped,
        )

    return run


def test_rows_without_header_are_read_by_position(read):
    found = read("1,2\n3,4\n")
    assert (found.names, found.cells, found.label) == (None, [["1", "2"], ["3", "4"]], None)


@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t"])
def test_the_usual_delimiters_are_detected(read, delimiter):
    assert read(f"1{delimiter}2\n3{delimiter}4\n").cells == [["1", "2"], ["3", "4"]]


def test_a_file_may_have_a_single_column(read):
    assert read("1\n2\n", schema_of("a")).cells == [["1"], ["2"]]


def test_a_header_gives_the_order_of_the_columns(read):
    found = read("b,a\n2,1\n4,3\n")
    assert (found.names, found.cells) == (["a", "b"], [["1", "2"], ["3", "4"]])


def test_names_of_the_model_are_a_header_even_above_one_row_of_texts(read):
    assert read(" shape, colour\nround,red\n", WORDS).cells == [["red", "round"]]
    assert read("red,round\n", WORDS).cells == [["red", "round"]]


def test_a_header_can_be_declared_or_replaced(read):
    assert read("a,b\n1,2\n", header="yes").cells == [["1", "2"]]
    assert read("1,2\n", columns=["b", "a"]).cells == [["2", "1"]]
    assert read("red,round\n", WORDS, header="no").cells == [["red", "round"]]


def test_a_repeated_header_is_no_row(read):
    found = read("a,b\n1,2\na,b\n3,4\n")
    assert found.cells == [["1", "2"], ["3", "4"]]
    assert found.skipped.count == 0


def test_the_delimiter_of_the_training_data_is_preferred(read):
    decimal_comma = schema_of("a", "b", form=NumberForm(decimal=","))
    for content in ("1,5;2,5\n", "1,5;2,5\n3,1;4\n"):
        assert read(content, decimal_comma, delimiter=";").cells[0] == ["1,5", "2,5"]
    assert read("1,2\n", delimiter=";").cells == [["1", "2"]]
    assert read("1|2\n", settings=DataSettings(delimiter="|")).cells == [["1", "2"]]


def test_the_label_of_the_model_is_found_by_its_name(read):
    found = read("y,a,b\n9,1,2\n")
    assert (found.cells, found.labels, found.label) == ([["1", "2"]], ["9"], "y")


@pytest.mark.parametrize("label", ["c", " c", "2", "last"])
def test_another_label_is_named_by_name_or_position(read, label):
    found = read("a,b,c\n1,2,9\n", label=label)
    assert (found.cells, found.labels, found.label) == ([["1", "2"]], ["9"], "c")


def test_without_header_the_label_is_where_the_settings_have_it(read):
    assert read("9,1,2\n").labels == ["9"]
    found = read("1,2,9\n", settings=DataSettings(label=-1))
    assert (found.labels, found.label) == (["9"], "column 2")
    assert read("1,2,9\n", label="last").labels == ["9"]


def test_where_the_label_is_not_clear_it_must_be_named(read):
    lines = "".join(f"{number},{number % 7}.5,{'ab'[number % 2]}\n" for number in range(40))
    with pytest.raises(BadInput, match=r"the first .* or the last"):
        read(lines)
    assert read(lines, label="last").labels[:2] == ["a", "b"]


LEFT_OUT = schema_of("a", "b", columns=("id", "a", "b"), left_out={"id": "row numbers"})


def test_columns_that_are_left_out_are_not_sent_by_name(read):
    assert read("id,a,b\n7,1,2\n", LEFT_OUT).cells == [["1", "2"]]
    assert read("a,b\n1,2\n", LEFT_OUT).cells == [["1", "2"]]
    assert read("7,1,2\n", LEFT_OUT).cells == [["7", "1", "2"]]
    with pytest.raises(BadInput, match="also those that are left out: 'id'"):
        read("1,2\n", LEFT_OUT)


def test_numbers_and_missing_values_are_read_as_in_training(read):
    found = read("a,b\n1,nan\nNA,?\n")
    assert found.cells == [["1", "nan"], ["NA", "?"]]
    assert found.skipped.count == 0


def test_rows_that_cannot_be_read_are_skipped_with_their_line(read):
    found = read("a,b\n1,2\n3\nwet,4\n5,6\n")
    assert (found.cells, found.numbers) == ([["1", "2"], ["5", "6"]], [1, 4])
    assert found.skipped.count == 2
    assert found.skipped.first[0] == "line 3: 1 cells, not 2"
    assert found.skipped.first[1].startswith("line 4: column 'a' requires a finite number")


def test_quotes_blank_lines_and_a_byte_order_mark_are_read(read):
    names = Schema(
        task="regression",
        label="y",
        features=(
            Feature(name="n", type="number"),
            Feature(name="t", type="category", values=("a,b",)),
        ),
    )
    content = b'\xef\xbb\xbf1,"a,b"\n\n2,"say ""x"", \nor y"\n'
    assert read(content, names).cells == [["1", "a,b"], ["2", 'say "x", \nor y']]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_comments_and_repeated_headers_are_no_rows(read, end):
    two = [["1", "2"], ["3", "4"]]
    lines = ["# made by a sensor", "", "a,b", "1,2", "a,b", "3,4", ""]
    assert read(end.join(lines)).cells == two
    assert read(end.join(["# a,b", "1,2", "3,4"])).cells == two
    assert read(end.join(["sep=;", "1;2", "3;4"])).cells == two


def test_utf_16_of_a_spreadsheet_is_read(read):
    content = "größe\tb\r\n1\t2\r\n".encode("utf-16")
    assert read(content, schema_of("größe", "b")).cells == [["1", "2"]]


def test_a_table_separated_by_blanks_is_read(read):
    found = read(" 5.1  3.5\t1.4 \n 4.9 3.0  1.4\n", schema_of("a", "b", "c"))
    assert found.cells == [["5.1", "3.5", "1.4"], ["4.9", "3.0", "1.4"]]


def test_gzip_is_read_whatever_its_name(read):
    assert read(gzip.compress(b"1,2\n3,4\n")).cells == [["1", "2"], ["3", "4"]]


def test_parquet_is_read_with_its_names_and_truth_values(read, tmp_path):
    schema = Schema(
        task="classification",
        label="y",
        features=(Feature(name="a", type="number"), Feature(name="vip", type="boolean")),
        classes=("false", "true"),
    )
    path = tmp_path / "made.parquet"
    duckdb.sql(
        "SELECT true AS y, 1 AS a, false AS vip UNION ALL SELECT false, NULL, true"
    ).write_parquet(str(path))
    found = read(path.read_bytes(), schema, name="rows.parquet")
    assert found.names == ["a", "vip"]
    assert sorted(found.cells) == [["", "true"], ["1", "false"]]
    assert sorted(found.labels) == ["false", "true"]


def test_stdin_is_read(monkeypatch):
    stdin = SimpleNamespace(buffer=io.BytesIO(b"1,2\n"))
    monkeypatch.setattr("sys.stdin", stdin)
    with open_table(Path("-"), Reading(TWO)) as table:
        assert [row.cells for row in table.rows] == [["1", "2"]]


@pytest.mark.parametrize(
    ("content", "reading", "message"),
    [
        ("", {}, "is empty"),
        ("1,2,3,4\n", {}, "rows of 4 cells without column names; the model requires the 2 columns"),
        ("1,2\n", {"columns": ["a"]}, "1 column names, and the rows have 2 cells"),
        ("1,2\n", {"label": "y"}, "no column 'y': no header names the columns"),
        ("1,2\n", {"label": "7"}, "no column '7'"),
        ("a,b\n1,2\n", {"label": "c"}, "the columns are 'a', 'b'"),
        ("a,b,c\n1,2,3\n", {}, "unknown column 'c'"),
        ("a\n1\n", {"header": "yes"}, "lacks the column 'b'"),
        (gzip.compress(b"1,2\n" * 100_000, mtime=0)[:60], {}, "is damaged"),
        (b"PAR1 nothing of the kind", {}, "cannot be read as Parquet"),
        (pickle.dumps([1]), {}, "is not .* of NumPy arrays"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(read, content, reading, message):
    with pytest.raises((BadInput, CallerError), match=message):
        read(content, **reading)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"\xff\xfe,2\n", "not UTF-8"),
        (b"1," + b"2" * 5_000_000 + b"\n", "is longer than"),
        (b'"1"x,2\n', "the quotes do not match"),
        (b'"1,2\n', "a quote is never closed"),
    ],
)
def test_a_line_that_is_not_csv_is_skipped(read, line, reason):
    found = read(b"1,2\n" + line)
    assert found.cells == [["1", "2"]]
    assert reason in found.skipped.first[0]
    assert found.skipped.first[0].startswith("line 2: ")


def test_a_missing_file_is_named(tmp_path):
    with (
        pytest.raises(BadInput, match="there is no file"),
        open_table(tmp_path / "none.csv", Reading(TWO)),
    ):
        pass


def test_an_error_of_the_consumer_is_not_reported_as_one_of_the_file(tmp_path):
    (tmp_path / "rows.csv").write_text("1,2\n")
    with (
        pytest.raises(BrokenPipeError),
        open_table(tmp_path / "rows.csv", Reading(TWO)),
    ):
        raise BrokenPipeError
