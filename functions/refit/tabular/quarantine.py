"""Store the rows that were refused, each with its file, its line and the reason."""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING

from refit.domain.errors import TooManyBadRows
from refit.tabular.readers.lines import SHOWN_BYTES

if TYPE_CHECKING:
    from refit.tabular.row_reader import Refusal

MAX_STORED = 10_000
"""Number of refused rows that are stored; all are counted."""

_REASONS_SHOWN = 3


class Quarantine:
    """Writes refused rows to a file of JSON lines.

    Attributes:
        count: number of refused rows, stored or not.
    """

    def __init__(self, out: IO[bytes]) -> None:
        """Use a writable binary file, which the caller opens and closes."""
        self._out = out
        self._first_reasons: list[str] = []
        self.count = 0

    def restart(self) -> None:
        """Discard all rows, before they are read again."""
        self._out.seek(0)
        self._out.truncate()
        self._first_reasons = []
        self.count = 0

    def refuse(self, file: str, refusal: Refusal) -> None:
        """Count a row of a file, and store it if there is room."""
        self.count += 1
        if self.count <= _REASONS_SHOWN:
            self._first_reasons.append(f"{file} line {refusal.line}: {refusal.reason}")
        if self.count <= MAX_STORED:
            # An invalid byte becomes a replacement character, which takes three bytes.
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
            max_bad_fraction: 0 to 1, of all rows.
        """
        rows = good + self.count
        if self.count > max_bad_fraction * rows:
            raise TooManyBadRows(
                f"{self.count:,} of {rows:,} rows were refused; [data] max_bad_fraction allows "
                f"{max_bad_fraction:.1%}. {'; '.join(self._first_reasons)}"
            )
