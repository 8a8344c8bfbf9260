"""The rows of a file that are to be predicted: how they are read, and what is refused."""

from __future__ import annotations

import gzip
import io
import pickle
from pathlib import Path

import duckdb
import pytest
from refit_cli.errors import BadInput
from refit_cli.rows import delimiter_of, looks_like_header, open_table


@pytest.fixture
def read(tmp_path):
    """Write content to a file and read it back as a table: (names, rows, labels)."""

    def run(content: str | bytes, name="rows.csv", header="auto", columns=None, label=None):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        with open_table(path, header, columns, label) as table:
            rows = list(table.rows)
        return table.names, [row.cells for row in rows], [row.label for row in rows]

    return run


def test_rows_without_header_have_no_names(read):
    assert read("1,2\n3,4\n")[:2] == (None, [["1", "2"], ["3", "4"]])


@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t"])
def test_any_usual_delimiter_is_found(read, delimiter):
    names, rows, _ = read(f"1{delimiter}2{delimiter}x\n3{delimiter}4{delimiter}y\n")
    assert names is None
    assert [len(row) for row in rows] == [3, 3]


def test_a_single_column_is_a_row_of_one_cell(read):
    assert read("1\n2\n")[1] == [["1"], ["2"]]


def test_a_header_is_seen_and_taken_off(read):
    assert read("a,b\n1,2\n3,4\n")[:2] == (["a", "b"], [["1", "2"], ["3", "4"]])


def test_a_header_that_cannot_be_seen_can_be_said(read):
    assert read("colour,shape\nred,round\n", header="yes")[:2] == (
        ["colour", "shape"],
        [["red", "round"]],
    )
    assert read("a,b\n1,2\n", header="no")[1][0] == ["a", "b"]


def test_names_can_be_given(read):
    assert read("1,2\n", columns=["a", "b"])[:2] == (["a", "b"], [["1", "2"]])


def test_quotes_blank_lines_and_a_byte_order_mark_are_read(read):
    content = b'\xef\xbb\xbf1,"a,b"\n\n2,"say ""x"""\n'
    assert read(content)[1] == [["1", "a,b"], ["2", 'say "x"']]


def test_gzip_is_read_whatever_its_name(read):
    assert read(gzip.compress(b"1,2\n3,4\n"))[1] == [["1", "2"], ["3", "4"]]


def test_parquet_is_read_with_its_names(read, tmp_path):
    path = tmp_path / "made.parquet"
    duckdb.sql("SELECT 1 AS a, NULL AS b UNION ALL SELECT 2, 0.5").write_parquet(str(path))
    names, rows, _ = read(path.read_bytes(), name="rows.parquet")
    assert names == ["a", "b"]
    assert sorted(rows) == [["1", ""], ["2", "0.5"]]


def test_a_label_column_is_set_apart_by_name_or_position(read):
    assert read("y,a\n1,2\n", label="y") == (["a"], [["2"]], ["1"])
    assert read("1,2\n", label="0") == (None, [["2"]], ["1"])


def test_stdin_is_read(monkeypatch):
    class Stdin:
        buffer = io.BufferedReader(io.BytesIO(b"1,2\n"))

    monkeypatch.setattr("sys.stdin", Stdin())
    with open_table(Path("-"), "auto", None, None) as table:
        assert [row.cells for row in table.rows] == [["1", "2"]]


@pytest.mark.parametrize(
    ("content", "options", "says"),
    [
        ("", {}, "is empty"),
        ("a,b\n1,2\n3\n", {}, "line 3 has 1 cells"),
        ("1,2\n", {"columns": ["a"]}, "line 1 has 2 cells"),
        ("1,2\n", {"label": "y"}, "no column 'y'"),
        ("1,2\n", {"label": "7"}, "no column 7"),
        ("a,b\n1,2\n", {"label": "c"}, "the columns are a, b"),
        (b"\xff\xfe\x00", {}, "not UTF-8"),
        (b"1," + b"2" * 5_000_000, {}, "line 1 is longer than"),
        (gzip.compress(b"1,2\n" * 10_000, mtime=0)[:60], {}, "is damaged"),
        (b"PAR1 nothing of the kind", {}, "cannot be read as Parquet"),
        (pickle.dumps([1]), {}, "looks like a pickle"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_place(read, content, options, says):
    with pytest.raises(BadInput, match=says.replace("(", r"\(")):
        read(content, **options)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with (
        pytest.raises(BadInput, match="there is no file"),
        open_table(tmp_path / "none.csv", "auto", None, None),
    ):
        pass


def test_what_breaks_while_rows_are_used_is_not_laid_on_the_file(tmp_path):
    (tmp_path / "rows.csv").write_text("1,2\n")
    with (
        pytest.raises(BrokenPipeError),
        open_table(tmp_path / "rows.csv", "auto", None, None),
    ):
        raise BrokenPipeError


def test_a_decimal_comma_does_not_win_over_the_delimiter_that_is_everywhere():
    assert delimiter_of(["1,5;2;3\n", "4;5;6\n"]) == ";"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([["a"], ["1"]], True),
        ([["1"], ["2"]], False),
        ([["a"], ["b"]], False),
        ([["a"]], False),
        ([["", "x"], ["1", "red"]], False),
        ([["a", "b"], ["red", "1"], ["blue", ""]], True),
    ],
)
def test_a_header_is_text_above_numbers(rows, expected):
    assert looks_like_header(rows) is expected
