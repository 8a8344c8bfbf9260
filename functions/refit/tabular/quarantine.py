"""Store refused rows with their file, line and reason."""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING

from refit.domain.errors import TooManyBadRows
from refit.tabular.readers.lines import SHOWN_BYTES

if TYPE_CHECKING:
    from refit.tabular.row_reader import Refusal

MAX_STORED = 10_000
"""Maximum number of refused rows that are stored; all refused rows are counted."""

_REASONS_SHOWN = 3


class Quarantine:
    """Writes refused rows to a file of JSON lines.

    Attributes:
        count: number of refused rows, including those that are not stored.
    """

    def __init__(self, out: IO[bytes]) -> None:
        """Write to a binary file, which the caller opens and closes."""
        self._out = out
        self._first_reasons: list[str] = []
        self.count = 0

    def restart(self) -> None:
        """Discard all refused rows, because the tables are read again."""
        self._out.seek(0)
        self._out.truncate()
        self._first_reasons = []
        self.count = 0

    def refuse(self, file: str, refusal: Refusal) -> None:
        """Count a row of a file, and store it if the maximum is not reached."""
        self.count += 1
        if self.count <= _REASONS_SHOWN:
            self._first_reasons.append(f"{file} line {refusal.line}: {refusal.reason}")
        if self.count <= MAX_STORED:
            # An invalid byte is replaced by a character that takes three bytes.
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
        """Raise TooManyBadRows if the share of refused rows is larger than allowed.

        Args:
            good: number of good rows.
            max_bad_fraction: allowed share of refused rows among all rows, 0 to 1.
        """
        rows = good + self.count
        if self.count > max_bad_fraction * rows:
            raise TooManyBadRows(
                f"{self.count:,} of {rows:,} rows were refused; [data] max_bad_fraction allows "
                f"{max_bad_fraction:.1%}. {'; '.join(self._first_reasons)}"
            )
