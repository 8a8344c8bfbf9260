"""CSV text is split into records and cells, across lines and with faults."""

from __future__ import annotations

import pytest
from refit.domain.csv_rows import (
    BLANKS,
    MAX_RECORD_BYTES,
    CsvFault,
    CsvFormat,
    CsvLineInvalid,
    CsvRecord,
    read_records,
    read_text,
    split_line,
)

COMMAS = CsvFormat()


def test_a_record_may_take_several_lines() -> None:
    lines = [b'1,"two', b'lines"', b"", b" 2 , x"]
    assert read_records(lines, 7, COMMAS) == (
        [
            CsvRecord(7, ["1", "two\nlines"], 2, lines[0]),
            CsvRecord(10, ["2", "x"], 1, lines[3]),
        ],
        4,
    )


def test_an_open_quote_waits_for_the_lines_that_follow() -> None:
    lines = [b"1,2", b'3,"4']
    records, taken = read_records(lines, 1, COMMAS, is_last=False)
    assert ([record.line for record in records], taken) == ([1], 1)
    records, taken = read_records(lines, 1, COMMAS)
    assert records[1] == CsvFault(2, "a quote is never closed", lines[1])
    assert taken == 2


def test_a_quote_that_is_open_for_too_long_costs_its_line_alone() -> None:
    lines = [b'1,"2'] + [b"3,4"] * (MAX_RECORD_BYTES // 3)
    records, taken = read_records(lines, 1, COMMAS, is_last=False)
    assert isinstance(records[0], CsvFault)
    assert taken == len(records) == len(lines)


def test_a_record_that_is_not_utf8_costs_all_its_lines() -> None:
    records, _ = read_records([b'"a', b'\xff",1', b"2,3"], 1, COMMAS)
    assert [(record.line, type(record)) for record in records] == [(1, CsvFault), (3, CsvRecord)]


def test_text_after_a_quote_costs_its_line_alone() -> None:
    records, _ = read_records([b'"a"b,1', b'"c",2'], 1, COMMAS)
    assert [(record.line, type(record)) for record in records] == [(1, CsvFault), (2, CsvRecord)]


def test_a_format_may_have_another_quote() -> None:
    assert read_text("'a;b';'it''s'\n", CsvFormat(";", "'")) == [["a;b", "it's"]]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
@pytest.mark.parametrize("text", ["a,b||c, d", 'a,"b"||c, "d"|'])
def test_a_text_is_read_with_any_line_end(text: str, end: str) -> None:
    assert read_text(text.replace("|", end), COMMAS) == [["a", "b"], ["c", "d"]]


def test_a_carriage_return_stays_in_a_quoted_cell_and_ends_a_line_elsewhere() -> None:
    assert read_text('1,"a\rb"\r2,c\r\n3,"d\r\ne"', COMMAS) == [
        ["1", "a\rb"],
        ["2", "c"],
        ["3", "d\ne"],
    ]


def records_and_reasons(lines: list[bytes]) -> tuple[list[int], dict[int, str]]:
    read, _ = read_records(lines, 1, COMMAS)
    faults = {fault.line: fault.reason for fault in read if isinstance(fault, CsvFault)}
    return [record.line for record in read if isinstance(record, CsvRecord)], faults


def test_two_stray_quotes_cost_their_two_lines_and_not_the_rows_between_them() -> None:
    lines = [b"%d,x,%d" % (n, n) for n in range(300)]
    lines[8], lines[251] = b'8,"x,8', b'251,x",251'
    read, faults = records_and_reasons(lines)
    assert len(read) == 298
    assert faults == {
        9: "a quote opens here and closes in line 252: 244 lines would be one cell",
        252: "the quote that opens in line 9 closes here",
    }


@pytest.mark.parametrize(
    "inner",
    [
        [b"Dear Sir, or Madam,", b"", b"I write"] * 20,
        [b"one line without a comma"] * 50,
        [b"2,x,3"] * 10,
    ],
)
def test_a_text_of_many_lines_is_a_cell_unless_all_its_lines_are_like_records(
    inner: list[bytes],
) -> None:
    read, faults = records_and_reasons([b"0,y,1", b'1,"begin', *inner, b'end",2', b"3,z,4"])
    assert (len(read), faults) == (3, {})


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        ("5.1  3.5\t1.4", ["5.1", "3.5", "1.4"]),
        ('   18.0   8\t"chevrolet malibu"  ', ["18.0", "8", "chevrolet malibu"]),
        ("  ", []),
    ],
)
def test_cells_may_be_separated_by_any_number_of_blanks_and_tabs(
    line: str, cells: list[str]
) -> None:
    blanks = CsvFormat(BLANKS)
    assert split_line(line.encode(), blanks) == cells
    assert read_text(f"{line}\n{line}", blanks) == ([cells, cells] if cells else [])


def test_a_blank_between_comma_and_quote_is_read_alike_in_lines_records_and_texts() -> None:
    line = '10, "red"," blue ", "a, b"'
    expected = ["10", "red", "blue", "a, b"]
    assert [cell.strip() for cell in split_line(line.encode(), COMMAS)] == expected
    assert read_text(line, COMMAS) == [expected]
    records, _ = read_records([line.encode()], 1, COMMAS)
    assert [record.cells for record in records if isinstance(record, CsvRecord)] == [expected]


def test_a_single_line_keeps_the_blanks_around_its_cells() -> None:
    assert split_line(b"a , b", COMMAS) == ["a ", " b"]
    assert split_line(b'"a ", b', COMMAS) == ["a ", "b"]
    assert split_line(b"  ", COMMAS) == []
    with pytest.raises(CsvLineInvalid, match="a quote is never closed"):
        split_line(b'"a', COMMAS)
