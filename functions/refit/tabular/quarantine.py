"""Store refused rows with their file, line and reason."""

from __future__ import annotations

import json
from collections import Counter
from typing import IO, TYPE_CHECKING

from refit.domain.errors import TooManyBadRows
from refit.tabular.readers.lines import SHOWN_BYTES

if TYPE_CHECKING:
    from refit.tabular.row_reader import Refusal

MAX_STORED = 10_000
"""Maximum number of refused rows that are stored; all refused rows are counted."""

_REASONS_SHOWN = 3
_MAX_REASONS = 100


class Quarantine:
    """Writes refused rows to a file of JSON lines.

    Attributes:
        count: number of refused rows, including those that are not stored.
        reasons: number of refused rows by reason.
    """

    def __init__(self, out: IO[bytes]) -> None:
        """Write to a binary file, which the caller opens and closes."""
        self._out = out
        self._first_reasons: list[str] = []
        self._without_label = 0
        self.count = 0
        self.reasons: Counter[str] = Counter()

    def restart(self) -> None:
        """Discard all refused rows, because the tables are read again."""
        self._out.seek(0)
        self._out.truncate()
        self._first_reasons = []
        self._without_label = 0
        self.count = 0
        self.reasons = Counter()

    def refuse(self, file: str, refusal: Refusal) -> None:
        """Count a row of a file, and store it if the maximum is not reached."""
        self.count += 1
        self._count_reason(refusal)
        if len(self._first_reasons) < _REASONS_SHOWN and not refusal.has_no_label:
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

    def _count_reason(self, refusal: Refusal) -> None:
        self._without_label += refusal.has_no_label
        kind = refusal.kind or refusal.reason
        if kind not in self.reasons and len(self.reasons) >= _MAX_REASONS:
            kind = "other reasons"
        self.reasons[kind] += 1

    def summary(self) -> str:
        """Return the number of refused rows and their first reasons, to end a message with."""
        if not self.count:
            return ""
        listed = "; ".join(reason for reason, _ in self.reasons.most_common(_REASONS_SHOWN))
        return f" ({self.count:,} rows were refused: {listed})"

    def check(self, good: int, max_bad_fraction: float) -> None:
        """Raise TooManyBadRows if the share of refused rows is larger than allowed.

        A row that lacks only its label is incomplete and not bad: these may be half of all rows.

        Args:
            good: number of good rows.
            max_bad_fraction: allowed share of refused rows among all rows, 0 to 1.
        """
        rows = good + self.count
        if 2 * self._without_label > rows:
            raise TooManyBadRows(
                f"{self._without_label:,} of {rows:,} rows have no label",
                advice="Check which column is the label ([data] label)",
            )
        if rows and not good:
            raise TooManyBadRows(
                f"all {rows:,} rows were refused. {'; '.join(self._first_reasons)}",
                advice=self._advice(),
            )
        bad = self.count - self._without_label
        if bad > max_bad_fraction * rows:
            raise TooManyBadRows(
                f"{bad:,} of {rows:,} rows were refused; [data] max_bad_fraction allows "
                f"{max_bad_fraction:.1%}. {'; '.join(self._first_reasons)}",
                advice=self._advice(),
            )

    def _advice(self) -> str:
        if not any("text where numbers are expected" in reason for reason in self.reasons):
            return "Correct these rows, or allow more of them with [data] max_bad_fraction"
        return (
            "If such a text means a missing value, name it in [data] missing; if the column "
            'holds texts, set [data.columns] NAME = "category"; to leave it out, name it in '
            '[data] ignore. If it is the label, set [data] task = "classification"'
        )
