"""Rows to predict are read from CSV, gzip, Parquet and stdin, and bad files are rejected."""

from __future__ import annotations

import gzip
import io
import pickle
from itertools import repeat
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest
from refit_cli.errors import BadInput
from refit_cli.rows import open_table


@pytest.fixture
def read(tmp_path):
    """Return a function that writes content to a file and reads it: (names, rows, labels)."""

    def run(content: str | bytes, name="rows.csv", header="auto", columns=None, label=None):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        with open_table(path, header, columns, label) as table:
            rows = list(table.rows)
        return table.names, [row.cells for row in rows], [row.label for row in rows]

    return run


class Blocks(io.RawIOBase):
    """A stream that returns one block at a time."""

    def __init__(self, blocks):
        self._blocks = iter(blocks)

    def readable(self):
        return True

    def readinto(self, buffer):
        block = next(self._blocks, b"")
        buffer[: len(block)] = block
        return len(block)


@pytest.fixture
def rows_of_stdin(monkeypatch):
    """Return a function that yields the cells of the rows in stdin."""

    def run(blocks):
        stdin = SimpleNamespace(buffer=io.BufferedReader(Blocks(blocks)))
        monkeypatch.setattr("sys.stdin", stdin)
        with open_table(Path("-"), "auto", None, None) as table:
            yield from (row.cells for row in table.rows)

    return run


def test_rows_without_header_have_no_names(read):
    assert read("1,2\n3,4\n")[:2] == (None, [["1", "2"], ["3", "4"]])


@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t"])
def test_the_usual_delimiters_are_detected(read, delimiter):
    names, rows, _ = read(f"1{delimiter}2{delimiter}x\n3{delimiter}4{delimiter}y\n")
    assert names is None
    assert [len(row) for row in rows] == [3, 3]


def test_a_file_may_have_a_single_column(read):
    assert read("1\n2\n")[1] == [["1"], ["2"]]


def test_a_header_is_detected_and_removed(read):
    assert read("a,b\n1,2\n3,4\n")[:2] == (["a", "b"], [["1", "2"], ["3", "4"]])


def test_a_header_that_is_not_detected_can_be_declared(read):
    assert read("colour,shape\nred,round\n", header="yes")[:2] == (
        ["colour", "shape"],
        [["red", "round"]],
    )
    assert read("a,b\n1,2\n", header="no")[1][0] == ["a", "b"]


def test_column_names_can_be_provided(read):
    assert read("1,2\n", columns=["a", "b"])[:2] == (["a", "b"], [["1", "2"]])


def test_quotes_blank_lines_and_a_byte_order_mark_are_read(read):
    content = b'\xef\xbb\xbf1,"a,b"\n\n2,"say ""x"""\n'
    assert read(content)[1] == [["1", "a,b"], ["2", 'say "x"']]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_comments_and_repeated_headers_are_no_rows(read, end):
    lines = ["# made by a sensor", "", "a,b", "1,2", "a,b", "3,4", ""]
    assert read(end.join(lines))[:2] == (["a", "b"], [["1", "2"], ["3", "4"]])
    assert read(end.join(["# a,b", "1,2", "3,4"]))[:2] == (["a", "b"], [["1", "2"], ["3", "4"]])
    assert read(end.join(["sep=;", "1;2", "3;4"]))[:2] == (None, [["1", "2"], ["3", "4"]])


def test_utf_16_of_a_spreadsheet_is_read(read):
    content = "größe\tb\r\n1\t2\r\n".encode("utf-16")
    assert read(content)[:2] == (["größe", "b"], [["1", "2"]])


def test_a_table_separated_by_blanks_is_read(read):
    assert read(" 5.1  3.5\t1.4 \n 4.9 3.0  1.4\n")[1] == [
        ["5.1", "3.5", "1.4"],
        ["4.9", "3.0", "1.4"],
    ]


def test_one_row_of_texts_is_a_row_and_not_a_header(read):
    assert read("red,round\n")[:2] == (None, [["red", "round"]])


def test_a_header_of_the_named_columns_or_the_label_is_detected_among_texts(read):
    assert read("shape,kind\nround,red\n", columns=["kind", "shape"])[1] == [["round", "red"]]
    assert read("shape,kind\nround,red\n", label="kind") == (["shape"], [["round"]], ["red"])


def test_a_quoted_cell_may_run_over_the_blocks_in_which_a_file_is_read(rows_of_stdin):
    content = b'1,"two\nlines, and ""more"""\n2,x\n'
    blocks = (content[begin : begin + 3] for begin in range(0, len(content), 3))
    assert list(rows_of_stdin(blocks)) == [["1", 'two\nlines, and "more"'], ["2", "x"]]


def test_rows_are_read_before_the_stream_ends(rows_of_stdin):
    assert next(rows_of_stdin(repeat(b"1,2\n" * 50))) == ["1", "2"]


def test_gzip_is_read_whatever_its_name(read):
    assert read(gzip.compress(b"1,2\n3,4\n"))[1] == [["1", "2"], ["3", "4"]]


def test_parquet_is_read_with_its_names(read, tmp_path):
    path = tmp_path / "made.parquet"
    duckdb.sql("SELECT 1 AS a, NULL AS b UNION ALL SELECT 2, 0.5").write_parquet(str(path))
    names, rows, _ = read(path.read_bytes(), name="rows.parquet")
    assert names == ["a", "b"]
    assert sorted(rows) == [["1", ""], ["2", "0.5"]]


def test_a_label_column_is_separated_by_name_or_position(read):
    assert read("y,a\n1,2\n", label="y") == (["a"], [["2"]], ["1"])
    assert read("1,2\n", label="0") == (None, [["2"]], ["1"])


def test_stdin_is_read(rows_of_stdin):
    assert list(rows_of_stdin([b"1,2\n"])) == [["1", "2"]]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("", {}, "is empty"),
        ("a,b\n1,2\n3\n", {}, "line 3 has 1 cells"),
        ("1,2\n", {"columns": ["a"]}, "line 1 has 2 cells"),
        ("1,2\n", {"label": "y"}, "no column 'y'"),
        ("1,2\n", {"label": "7"}, "no column 7"),
        ("a,b\n1,2\n", {"label": "c"}, "the columns are a, b"),
        (b"\xff\xfd\x00", {}, "not UTF-8"),
        (b"1," + b"2" * 5_000_000, {}, "line 1 is longer than"),
        (b'1,2\n"1"x,2\n', {}, "line 2 is not CSV: the quotes do not match"),
        (b'1,2\n"1,2\n', {}, "line 2 is not CSV: a quote is never closed"),
        (gzip.compress(b"1,2\n" * 10_000, mtime=0)[:60], {}, "is damaged"),
        (b"PAR1 nothing of the kind", {}, "cannot be read as Parquet"),
        (pickle.dumps([1]), {}, "looks like a pickle"),
    ],
)
def test_a_file_that_cannot_be_read_is_rejected_with_the_line(read, content, options, message):
    with pytest.raises(BadInput, match=message.replace("(", r"\(")):
        read(content, **options)


def test_a_missing_file_is_named(tmp_path):
    with (
        pytest.raises(BadInput, match="there is no file"),
        open_table(tmp_path / "none.csv", "auto", None, None),
    ):
        pass


def test_an_error_of_the_consumer_is_not_reported_as_one_of_the_file(tmp_path):
    (tmp_path / "rows.csv").write_text("1,2\n")
    with (
        pytest.raises(BrokenPipeError),
        open_table(tmp_path / "rows.csv", "auto", None, None),
    ):
        raise BrokenPipeError
