"""Read the records of a CSV file block by block, in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.csv_dialect import SAMPLE_BYTES, SAMPLE_LINES
from refit.domain.csv_rows import read_records
from refit.tabular.readers.lines import LineBlock, OverlongLine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit.domain.csv_rows import CsvFault, CsvFormat, CsvRecord


def first_lines(blocks: Iterator[LineBlock | OverlongLine]) -> list[bytes]:
    """Return the lines for detecting the dialect of a file; overlong lines are skipped.

    The result does not depend on how the stream is divided into blocks.
    """
    lines: list[bytes] = []
    size_bytes = 0
    for block in blocks:
        if isinstance(block, OverlongLine):
            continue
        for line in block.data.split(b"\n")[:-1]:
            lines.append(line)
            size_bytes += len(line)
            if len(lines) == SAMPLE_LINES or size_bytes >= SAMPLE_BYTES:
                return lines
    return lines


class RecordStream:
    """Reads records from blocks of lines; a record may span several blocks."""

    def __init__(self, csv_format: CsvFormat) -> None:
        self._format = csv_format
        self._unfinished: LineBlock | None = None

    @property
    def is_within_quotes(self) -> bool:
        """Whether the last block ended within a quoted cell."""
        return self._unfinished is not None

    def read(self, block: LineBlock, *, is_last: bool = False) -> list[CsvRecord | CsvFault]:
        """Return the records that this block completes."""
        if self._unfinished is not None:
            block = LineBlock(self._unfinished.first, self._unfinished.data + block.data)
        lines = block.data.split(b"\n")
        lines.pop()
        records, taken = read_records(lines, block.first, self._format, is_last=is_last)
        left = lines[taken:]
        self._unfinished = (
            LineBlock(block.first + taken, b"\n".join(left) + b"\n") if left else None
        )
        return records

    def finish(self) -> list[CsvRecord | CsvFault]:
        """Return the records of the lines that wait for a closing quote, at the end of the file."""
        if self._unfinished is None:
            return []
        return self.read(LineBlock(self._unfinished.first, b""), is_last=True)
