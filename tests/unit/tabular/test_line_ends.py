"""A file has the same rows with any line end, however it is divided into blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from refit.tabular.label_files import labels_in
from refit.tabular.readers.lines import LineBlock, OverlongLine, line_blocks

from tests.support.preparing import dropped, numbers_csv

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.preparing import Preparing

ENDS = ["\n", "\r\n", "\r"]


def in_blocks(data: bytes, size: int) -> Iterator[bytes]:
    return (data[begin : begin + size] for begin in range(0, len(data), size))


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_lines_do_not_depend_on_the_blocks_of_the_stream(size: int) -> None:
    blocks = list(line_blocks(in_blocks(b"a\rb\r\nc\n\r\rd\r", size)))
    assert all(isinstance(block, LineBlock) for block in blocks)
    data = b"".join(block.data for block in blocks if isinstance(block, LineBlock))
    assert data == b"a\r\nb\nc\n\r\n\r\nd\r\n"
    assert LineBlock(1, data).without_carriage_returns().data == b"a\nb\nc\n\n\nd\n"


def test_an_endless_line_is_skipped_also_before_a_carriage_return() -> None:
    blocks = list(line_blocks(in_blocks(b"1,2\r" + b"9" * 5000 + b"\r3,4\r", 100), 1000))
    assert [type(block) for block in blocks] == [LineBlock, OverlongLine, LineBlock]
    assert isinstance(blocks[2], LineBlock)
    assert (blocks[2].first, blocks[2].data) == (3, b"3,4\r\n")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("size", [5, 64, 10**6])
def test_a_table_has_the_same_rows_with_any_line_end(
    prepared: Preparing, end: str, size: int
) -> None:
    data = b"y,a,b,c\n" + numbers_csv()
    result = prepared(data.replace(b"\n", end.encode()), read_bytes=size)
    assert result.refused == []
    assert result.all_rows == prepared(data).all_rows


def test_line_ends_may_be_mixed_and_a_line_keeps_its_number(prepared: Preparing) -> None:
    lines = numbers_csv().splitlines()
    lines[7] = b"1,x,2,3"
    data = b"".join(line + ENDS[n % 3].encode() for n, line in enumerate(lines))
    result = prepared(data)
    assert [(row["line"], row["text"]) for row in result.refused] == [(8, "1,x,2,3")]
    assert sum(result.rows.values()) == 299


def test_a_carriage_return_within_quotes_is_part_of_the_text(prepared: Preparing) -> None:
    rows = b"".join(b'%d,%d,"a\rb"\r%d,%d,c\r' % (n % 2, n, n % 2, n) for n in range(100))
    result = prepared(b"y,n,text\r" + rows)
    assert result.refused == []
    assert result.schema.features[1].values == ("a\rb", "c")


@pytest.mark.parametrize("end", ENDS)
def test_a_label_file_is_read_with_any_line_end(end: str) -> None:
    text = end.join(["inferenceId,label", "a,1", 'b,"2"', ""])
    file = dropped("labels.csv", text.encode())
    records = list(labels_in(iter([file.open().read()]), file.name))
    assert [(record.inference_id, record.label) for record in records] == [("a", "1"), ("b", "2")]
