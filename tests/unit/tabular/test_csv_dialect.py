"""The delimiter and the header of a CSV file are detected from its first lines."""

from __future__ import annotations

import pytest
from refit.domain.csv_dialect import SAMPLE_BYTES, SAMPLE_LINES, detect_dialect, is_header
from refit.tabular.csv_stream import first_lines
from refit.tabular.readers.lines import line_blocks


def test_a_decimal_comma_does_not_win_over_the_delimiter_of_every_line() -> None:
    assert detect_dialect([b"1,5;2;3", b"4;5;6"]).csv_format.delimiter == ";"


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
def test_a_header_is_text_above_numbers(rows: list[list[str]], expected: bool) -> None:
    assert is_header(rows[0], rows[1:], lone_record_is_header=False) is expected


@pytest.mark.parametrize(("lone_record_is_header", "header"), [(True, ("a", "b")), (False, None)])
def test_a_lone_record_of_texts_is_what_the_caller_expects(
    lone_record_is_header: bool, header: tuple[str, ...] | None
) -> None:
    dialect = detect_dialect([b"a,b"], lone_record_is_header=lone_record_is_header)
    assert dialect.header == header


def test_the_known_names_are_a_header_in_any_order() -> None:
    assert detect_dialect([b"b,a", b"x,y"], known_names=("a", "b")).header == ("b", "a")
    assert detect_dialect([b"b,c", b"x,y"], known_names=("a", "b")).header is None


def test_a_column_without_a_name_is_named_after_its_index() -> None:
    assert detect_dialect([b",a,b", b"1,2,3", b"4,5,6"]).header == ("column0", "a", "b")
    assert detect_dialect([b"a,", b"x,y"], known_names=("column1", "a")).header == ("a", "column1")


@pytest.mark.parametrize(
    ("first", "column", "expected"),
    [
        ("label", ["3"] * 12, True),
        ("kind", ["cat", "dog"] * 6, True),
        ("cat", ["cat", "dog"] * 6, False),
        ("x", ["y"], False),
    ],
)
def test_numbered_columns_are_a_header_unless_the_text_may_be_a_value(
    first: str, column: list[str], expected: bool
) -> None:
    rows = [[cell, "5", "6"] for cell in column]
    assert is_header([first, "0", "1"], rows) is expected
    assert is_header(["1", "2", first], [row[::-1] for row in rows]) is expected


def test_the_name_of_the_label_makes_a_header() -> None:
    assert detect_dialect([b"y,a", b"x,z"], label="y").header == ("y", "a")


def test_blank_lines_and_quoted_line_ends_belong_to_the_header_lines() -> None:
    dialect = detect_dialect([b"", b'y,"two', b'lines"', b"1,2", b"3,4"])
    assert dialect.header == ("y", "two\nlines")
    assert dialect.header_lines == 3
    assert dialect.rows == (("1", "2"), ("3", "4"))


def test_cells_that_are_not_utf8_do_not_hide_the_dialect() -> None:
    dialect = detect_dialect(["größe;b".encode("latin-1"), b"1;2"])
    assert (dialect.csv_format.delimiter, dialect.width) == (";", 2)
    assert dialect.header is not None


@pytest.mark.parametrize("lines", [[], [b""], [b"", b"  "]])
def test_a_file_without_a_record_has_no_width(lines: list[bytes]) -> None:
    dialect = detect_dialect(lines)
    assert (dialect.width, dialect.header, dialect.rows) == (0, None, ())


@pytest.mark.parametrize("size", [1, 7, 1000, 10**6])
def test_the_first_lines_do_not_depend_on_the_blocks_of_the_stream(size: int) -> None:
    for line, count in ((b"1,2", SAMPLE_LINES), (b"1," * 5000, SAMPLE_BYTES // 10_000 + 1)):
        data = (line + b"\n") * 300
        blocks = (data[begin : begin + size] for begin in range(0, len(data), size))
        assert first_lines(line_blocks(blocks)) == [line] * count
        if size == 1:
            break  # 3 MB byte by byte take a second
