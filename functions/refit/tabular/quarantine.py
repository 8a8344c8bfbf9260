"""Rows that were refused: each is kept with its file, its line and the reason."""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING

from refit.domain.errors import TooManyBadRows
from refit.tabular.readers.lines import SHOWN_BYTES

if TYPE_CHECKING:
    from refit.tabular.rows import Refusal

MAX_STORED = 10_000
"""All refused rows are counted; so many are written down."""

_REASONS_SHOWN = 3


class Quarantine:
    """Writes refused rows to a file of JSON lines.

    Attributes:
        count: how many were refused, written down or not.
    """

    def __init__(self, out: IO[bytes]) -> None:
        """Write to a binary file, which the caller opens and closes."""
        self._out = out
        self._first: list[str] = []
        self.count = 0

    def restart(self) -> None:
        """Forget all rows: they are read again."""
        self._out.seek(0)
        self._out.truncate()
        self._first = []
        self.count = 0

    def refuse(self, file: str, refusal: Refusal) -> None:
        """Take down one row."""
        self.count += 1
        if self.count <= _REASONS_SHOWN:
            self._first.append(f"{file} line {refusal.line}: {refusal.reason}")
        if self.count <= MAX_STORED:
            # A character may take three bytes in UTF-8 where a byte was not valid.
            text = refusal.text[:SHOWN_BYTES].decode(errors="replace")
            while len(text.encode()) > SHOWN_BYTES:
                text = text[:-1]
            entry = {
                "file": file,
                "line": refusal.line,
                "reason": refusal.reason,
                "text": text,
            }
            self._out.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")

    def check(self, good: int, max_bad_fraction: float) -> None:
        """Refuse the whole drop when too much of it is bad.

        Raises:
            TooManyBadRows: with the counts and the first reasons.
        """
        rows = good + self.count
        if self.count > max_bad_fraction * rows:
            raise TooManyBadRows(
                f"{self.count:,} of {rows:,} rows were refused; [data] max_bad_fraction allows "
                f"{max_bad_fraction:.1%}. {'; '.join(self._first)}"
            )
