"""CSV text is split into records and cells, across lines and with faults."""

from __future__ import annotations

import pytest
from refit.domain.csv_rows import (
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


@pytest.mark.parametrize("text", ["a,b\r\n\r\nc, d", 'a,"b"\r\n\r\nc, "d"\r\n'])
def test_a_text_is_read_with_either_line_end(text: str) -> None:
    assert read_text(text, COMMAS) == [["a", "b"], ["c", "d"]]


def test_a_single_line_keeps_the_blanks_around_its_cells() -> None:
    assert split_line(b"a , b", COMMAS) == ["a ", " b"]
    assert split_line(b'"a ", b', COMMAS) == ["a ", "b"]
    assert split_line(b"  ", COMMAS) == []
    with pytest.raises(CsvLineInvalid, match="a quote is never closed"):
        split_line(b'"a', COMMAS)
