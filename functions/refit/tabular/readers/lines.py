"""Split a stream of bytes into blocks of whole lines, in bounded memory."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from refit.domain.csv_rows import MAX_RECORD_BYTES, normal_line_ends

if TYPE_CHECKING:
    from collections.abc import Iterator

SHOWN_BYTES = 1000
"""Number of bytes of a rejected line that are stored and shown."""

_BOM = b"\xef\xbb\xbf"
_LONGEST_BOM = 4
# UTF-32 first: its little-endian mark begins with that of UTF-16.
_WIDE = (
    (b"\xff\xfe\0\0", "utf-32-le"),
    (b"\0\0\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_INVALID = "refit.invalid"
codecs.register_error(_INVALID, lambda error: ("\udfff", error.end))  # type: ignore[attr-defined]


@dataclass(frozen=True)
class LineBlock:
    """Whole lines, each with a line feed at its end.

    Attributes:
        first: number of the first line, from 1.
        data: the lines, one after the other. A line that ended with a carriage return alone still
            has it before its line feed, because it belongs to the cell if it is within quotes.
    """

    first: int
    data: bytes

    def without_carriage_returns(self) -> LineBlock:
        """Return these lines for a reader that knows that none of them ends within quotes."""
        if b"\r" not in self.data:
            return self
        return LineBlock(self.first, self.data.replace(b"\r\n", b"\n"))


@dataclass(frozen=True)
class OverlongLine:
    """A line that is too long to be read.

    Attributes:
        number: number of the line, from 1.
        size_bytes: length of the line without its line end.
        head: first `SHOWN_BYTES` bytes of the line.
    """

    number: int
    size_bytes: int
    head: bytes


def line_blocks(
    blocks: Iterator[bytes], max_line_bytes: int = MAX_RECORD_BYTES
) -> Iterator[LineBlock | OverlongLine]:
    """Yield the lines of a stream, in order.

    A line ends with LF, CR LF or CR. UTF-16 and UTF-32 with a byte-order mark become UTF-8. A
    byte-order mark is removed, and the last line gets a line feed if it has none.

    Args:
        blocks: blocks of the stream, each at most `max_line_bytes` long.
        max_line_bytes: a longer line is skipped and reported as an `OverlongLine`.
    """
    number, unfinished, skipped, head = 1, b"", 0, b""
    for block in _with_line_feeds(as_utf8(blocks)):
        if skipped:
            end = block.find(b"\n")
            skipped += len(block) if end < 0 else end
            if end < 0:
                continue
            yield OverlongLine(number, skipped, head)
            number, skipped, block = number + 1, 0, block[end + 1 :]  # noqa: PLW2901
        cut = block.rfind(b"\n") + 1
        if cut:
            data, unfinished = unfinished + block[:cut], block[cut:]
            first_end = data.index(b"\n")
            if first_end > max_line_bytes:  # the later lines are shorter than a block
                yield OverlongLine(number, first_end, data[:SHOWN_BYTES])
                number, data = number + 1, data[first_end + 1 :]
            if data:
                yield LineBlock(number, data)
                number += data.count(b"\n")
        else:
            unfinished += block
        if len(unfinished) > max_line_bytes:
            skipped, head, unfinished = len(unfinished), unfinished[:SHOWN_BYTES], b""
    if skipped:
        yield OverlongLine(number, skipped, head)
    elif unfinished:
        yield LineBlock(number, unfinished + b"\n")


def as_utf8(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the text of a stream as UTF-8 without a byte-order mark.

    Excel writes "Unicode text" as UTF-16. What is not valid UTF-16 or UTF-32 is not valid UTF-8 in
    the result either, so that its row is refused.
    """
    head = b""
    for block in blocks:
        head += block
        if len(head) >= _LONGEST_BOM:
            break
    for mark, encoding in _WIDE:
        if head.startswith(mark):
            yield from _transcoded(chain([head[len(mark) :]], blocks), encoding)
            return
    yield head.removeprefix(_BOM)
    yield from blocks


def _transcoded(blocks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)(_INVALID)
    for block in blocks:
        yield decoder.decode(block).encode(errors="surrogatepass")
    yield decoder.decode(b"", final=True).encode(errors="surrogatepass")


def _with_line_feeds(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield blocks with normal line ends, also where CR and LF are in different blocks."""
    held = b""
    for block in blocks:
        block = held + block  # noqa: PLW2901
        held = b"\r" if block.endswith(b"\r") else b""
        yield normal_line_ends(block[:-1] if held else block)
    if held:
        yield normal_line_ends(held)
