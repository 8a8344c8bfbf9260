"""Every row is checked; a bad row is refused with its file, its line and the reason."""

from __future__ import annotations

import io
import tracemalloc
from functools import partial

import pytest
from refit.domain.errors import DatasetEmpty, DatasetInvalid, TooManyBadRows
from refit.tabular.quarantine import MAX_STORED

from tests.support.preparing import Preparing, numbers_csv, scattered

MIB = 1024 * 1024


def with_line(line: bytes, at: int = 150) -> bytes:
    lines = numbers_csv().splitlines()
    return b"\n".join([*lines[:at], line, *lines[at:]]) + b"\n"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1,2,3", "3 cells, not 4"),
        (b"1,2,3,4,5", "5 cells, not 4"),
        (b"1,2,abc,4", "column 'f1': 'abc' is text where numbers are expected"),
        (b"1,2,0x1F,4", "column 'f1': '0x1F' is text where numbers are expected"),
        (b"1,2,inf,4", "column 'f1': 'inf' is not finite"),
        (b"1,2,-Infinity,4", "column 'f1': '-Infinity' is not finite"),
        (b"1,2,1e39,4", "column 'f1': '1e39' is not finite"),
        (b",2,3,4", "the label 'label' is missing"),
        (b"NaN,2,3,4", "the label 'label' is missing"),
        (b"1,,NA,?", "no feature has a value"),
        (b"x,2,3,4", "column 'label': 'x' is text where numbers are expected"),
        (b"1,2,\xff\xfe,4", "not UTF-8 text: save the file as UTF-8"),
        (b"1,2,3\x00,4", "column 'f1': '3\\x00' is text where numbers are expected"),
        (b'1,2,"3"4,4', "the quotes do not match (',' expected after '\"')"),
        (b'1,2,"3,4', "a quote is never closed"),
    ],
)
def test_a_bad_row_is_refused_and_the_others_are_kept(
    prepared: Preparing, line: bytes, reason: str
) -> None:
    result = prepared(with_line(line))
    (refused,) = result.refused
    assert (refused["file"], refused["line"], refused["reason"]) == ("drop.csv", 151, reason)
    assert refused["text"].encode() == line or b"\xff" in line
    assert result.all_rows == sorted(numbers_csv().splitlines())


@pytest.mark.parametrize("cell", [b"", b"NA", b"nan", b"NULL", b"None", b"?", b"  "])
def test_a_missing_value_is_an_empty_cell(prepared: Preparing, cell: bytes) -> None:
    result = prepared(with_line(b"1,777777," + cell + b",4"))
    assert result.refused == []
    assert b"1,777777,,4" in result.all_rows


def test_blanks_around_cells_blank_lines_and_windows_line_ends_are_ignored(
    prepared: Preparing,
) -> None:
    clean = numbers_csv()
    untidy = b"\xef\xbb\xbf" + clean.replace(b",", b" , ").replace(b"\n", b"\r\n\r\n").rstrip()
    result = prepared(untidy)
    assert result.refused == []
    assert result.all_rows == sorted(clean.splitlines())


def test_too_many_bad_rows_fail_the_run_with_their_number_and_the_reasons(
    prepared: Preparing,
) -> None:
    data = numbers_csv() + b"1,2,oops,4\n" * 5
    with pytest.raises(TooManyBadRows) as caught:
        prepared(data)
    assert "5 of 305 rows were refused" in str(caught.value)
    assert "drop.csv line 301: column 'f1': 'oops' is text" in str(caught.value)
    assert len(prepared.refused) == 5
    assert prepared(data, max_bad_fraction=0.02).rows["train"] > 0


def test_refused_rows_are_all_counted_and_the_first_ones_kept(prepared: Preparing) -> None:
    bad = MAX_STORED + 10
    with pytest.raises(TooManyBadRows, match=f"{bad:,} of {bad + 300:,} rows"):
        prepared(numbers_csv() + b"1,2\n" * bad)
    assert len(prepared.refused) == MAX_STORED


def test_the_reasons_of_refused_rows_are_counted_up_to_a_hundred_kinds(prepared: Preparing) -> None:
    bad = b"".join(b"1," + b"2," * (4 + n % 150) + b"\n" for n in range(3000))
    learned = prepared(numbers_csv(3100) + bad, max_bad_fraction=0.5).learned
    assert learned.refused == 3000
    assert len(learned.refused_reasons) == 101
    assert learned.refused_reasons["other reasons"] == 1000


def test_at_most_a_thousand_bytes_of_a_refused_row_are_stored(prepared: Preparing) -> None:
    result = prepared(with_line("é".encode() * 3000))
    assert len(result.refused[0]["text"].encode()) <= 1000


class LongLine(io.RawIOBase):
    """Sixty rows, a line of 300 MB, and the other rows, generated while they are read."""

    def __init__(self, begins: bytes) -> None:
        rows = numbers_csv().splitlines(keepends=True)
        self._parts = iter(
            [b"".join(rows[:60]) + begins, *[b"7" * MIB] * 300, b"\n" + b"".join(rows[60:])]
        )

    def read(self, size: int = -1) -> bytes:
        return next(self._parts, b"")


@pytest.mark.parametrize("begins", [b"", b'"'])
def test_a_line_of_300_mb_is_refused_without_being_held(prepared: Preparing, begins: bytes) -> None:
    tracemalloc.start()
    result = prepared(partial(LongLine, begins))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    (refused,) = result.refused
    assert refused["line"] == 61
    line_bytes = 300 * MIB + len(begins)
    assert refused["reason"] == f"the line has {line_bytes:,} bytes; the limit is 4 MiB"
    assert result.all_rows == sorted(numbers_csv().splitlines())
    assert peak < 60 * MIB


@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        (b"", DatasetEmpty, "drop.csv is empty"),
        (b"\n\n  \n", DatasetEmpty, "drop.csv is empty"),
        (b"label,a,b\n", DatasetEmpty, "drop.csv has a header but no row"),
        (b"7\n8\n9\n" * 100, DatasetInvalid, "drop.csv has one column"),
        (b"one two\n" * 100, DatasetInvalid, "drop.csv has one column"),
        (b"label,a\n" + b"1,inf\n2,-inf\n" * 25, TooManyBadRows, "all 50 rows were refused"),
        (b"label,a\n" + b",1\n,2\n" * 25, TooManyBadRows, "50 of 50 rows have no label"),
        (b"1,2\n1,3\n1,4\n1,5\n" * 20, DatasetInvalid, "every label is '1'"),
        (b"1,2\n2,3\n", DatasetInvalid, "none of the 2 rows is in the test split"),
    ],
)
def test_data_that_cannot_be_trained_on_is_refused_with_a_clear_message(
    prepared: Preparing, data: bytes, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        prepared(data)


def test_a_quoted_cell_may_hold_delimiters_quotes_and_line_ends(prepared: Preparing) -> None:
    texts = ['"a,b"', '"say ""hi"""', '"two\r\nlines"', "plain", '"007"']
    lines = [f'{n % 2},{texts[n % 5]},"{scattered(n)}"' for n in range(200)]
    result = prepared(("label,word,number\r\n" + "\r\n".join(lines)).encode())
    assert result.refused == []
    assert result.schema.features[0].values == (
        "007", "a,b", "plain", 'say "hi"', "two\nlines",
    )  # fmt: skip
    codes = {line.split(b",")[1] for line in result.all_rows}
    assert codes == {b"0", b"1", b"2", b"3", b"4"}
    assert result.schema.features[1].type == "number"


def test_a_zero_byte_is_refused_in_its_row_only(prepared: Preparing) -> None:
    rows = [f"{n % 2},{n * 37 % 211},{'bc'[n % 3 % 2]}" for n in range(300)]
    rows[7] += "\0"
    result = prepared("\n".join(rows).encode(), label=0)
    assert [entry["line"] for entry in result.refused] == [8]
    assert sum(result.rows.values()) == 299


def test_characters_that_join_others_belong_to_a_text(prepared: Preparing) -> None:
    texts = [
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\U0001f468\u200d\U0001f469",
        "so\u00adft",
        "New\u00a0York",
    ]
    rows = [f"{n % 2},{n * 37 % 211},{texts[n % 4]}" for n in range(300)]
    result = prepared("\n".join(rows).encode(), label=0)
    assert result.refused == []
    assert result.schema.features[1].values == tuple(sorted(texts))
