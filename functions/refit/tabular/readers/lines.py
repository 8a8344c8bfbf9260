"""Cut a stream of bytes into blocks of whole lines, in bounded memory whatever the stream holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINE_BYTES = 4 * 1024**2
"""A longer line of a table is refused without being held: 4 MiB are 400,000 cells of ten
characters."""

SHOWN_BYTES = 1000
"""How much of a refused line is kept for the person who looks."""

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class LineBlock:
    """Whole lines, each ended by a line feed alone.

    Attributes:
        first: the number of its first line, from 1.
        data: the lines.
    """

    first: int
    data: bytes


@dataclass(frozen=True)
class OverlongLine:
    """A line that is too long: its number, its length and how it begins."""

    number: int
    size_bytes: int
    head: bytes


def line_blocks(
    blocks: Iterator[bytes], max_line_bytes: int = MAX_LINE_BYTES
) -> Iterator[LineBlock | OverlongLine]:
    """Yield the lines of a stream, in order.

    A byte-order mark at the beginning is taken off, CR LF becomes LF, and the last line gets its
    line feed when it has none.

    Args:
        blocks: of the stream, none larger than the longest line.
        max_line_bytes: a longer line is refused.
    """
    number, pending, skipped, head = 1, b"", 0, b""
    for block in _without_bom(blocks):
        if skipped:
            end = block.find(b"\n")
            skipped += len(block) if end < 0 else end
            if end < 0:
                continue
            yield OverlongLine(number, skipped, head)
            number, skipped, block = number + 1, 0, block[end + 1 :]  # noqa: PLW2901
        cut = block.rfind(b"\n") + 1
        if cut:
            data, pending = pending + block[:cut], block[cut:]
            first_end = data.index(b"\n")
            if first_end > max_line_bytes:  # the others lie within one block, which is smaller
                yield OverlongLine(number, first_end, data[:SHOWN_BYTES])
                number, data = number + 1, data[first_end + 1 :]
            if data:
                yield LineBlock(number, _unix(data))
                number += data.count(b"\n")
        else:
            pending += block
        if len(pending) > max_line_bytes:
            skipped, head, pending = len(pending), pending[:SHOWN_BYTES], b""
    if skipped:
        yield OverlongLine(number, skipped, head)
    elif pending:
        yield LineBlock(number, _unix(pending + b"\n"))


def _without_bom(blocks: Iterator[bytes]) -> Iterator[bytes]:
    head = b""
    for block in blocks:
        head += block
        if len(head) >= len(_BOM):
            yield head.removeprefix(_BOM)
            yield from blocks
            return
    yield head.removeprefix(_BOM)


def _unix(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n") if b"\r" in data else data
