"""Read the rows of a capture file, and quarantine the lines that cannot be used.

A file is read as a stream, because it may be large. A single line can have more than 12 MB. Line
numbers start at 0 in the source of an inference, and at 1 in the quarantine, which people read.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from refit.domain.inferences.capture_reader import (
    MAX_LINE_BYTES,
    VERIFICATION_ID,
    CaptureUnreadable,
    read_event,
)
from refit.domain.inferences.captured_rows import BadRow, captured_rows
from refit.domain.inferences.label_records import CLOCK_TOLERANCE, utc_text
from refit.domain.naming import ModelKeys
from refit.tabular.quarantine import MAX_STORED
from refit.tabular.readers.lines import SHOWN_BYTES, OverlongLine, line_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from refit.domain.decision_rule import DecisionRule
    from refit.domain.inferences.capture_reader import CapturedEvent
    from refit.domain.inferences.captured_rows import CapturedRow
    from refit.domain.schema import Schema
    from refit.stores.bucket import Bucket

_BLOCK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class CaptureWindow:
    """When a prediction must have been made to be used.

    Attributes:
        now: current time; later predictions are refused.
        kept_for: how long predictions are kept; older predictions are refused.
        began_at: when the run began that made the version. An earlier prediction was made by a
            removed model of the same name, whose versions had the same numbers. Clocks differ by
            less than a training takes, so there is no tolerance.
    """

    now: datetime
    kept_for: timedelta
    began_at: datetime | None = None

    def check(self, event: CapturedEvent) -> None:
        """Raise CaptureUnreadable if a call was made at another time."""
        if event.at > self.now + CLOCK_TOLERANCE:
            raise CaptureUnreadable(
                f"predicted at {utc_text(event.at)}, which is in the future: now is "
                f"{utc_text(self.now)}"
            )
        if event.at < self.now - self.kept_for:
            raise CaptureUnreadable(
                f"predicted at {utc_text(event.at)}; predictions are kept for "
                f"{self.kept_for.total_seconds():.0f} s ([monitoring] max_label_age_s)"
            )
        if self.began_at is not None and event.at < self.began_at:
            raise CaptureUnreadable(
                f"predicted at {utc_text(event.at)}, before the run of this version began "
                f"({utc_text(self.began_at)}): by a removed model of the same name"
            )


class CaptureFile:
    """One capture file.

    Attributes:
        digest: digest of the file's key, which is part of the keys of derived objects.
        quarantined: number of lines and rows that cannot be used. The first 10,000 are stored.
    """

    def __init__(
        self,
        bucket: Bucket,
        model: str,
        key: str,
        version: str | None,
        max_line_bytes: int = MAX_LINE_BYTES,
    ) -> None:
        """Select a file; `version` is the version of the object, or None for the latest."""
        self.key = key
        self.digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        self.quarantined = 0
        self._bucket = bucket
        self._model = model
        self._version = version
        self._max_line_bytes = max_line_bytes
        self._stored_lines: list[bytes] = []

    def rows(
        self, version: int, schema: Schema, rule: DecisionRule | None, window: CaptureWindow
    ) -> Iterator[CapturedRow]:
        """Yield the rows that a version predicted; quarantine lines and rows that cannot be used.

        Args:
            version: version of the model.
            schema: schema of that version.
            rule: decision rule of that version, or None.
            window: when a prediction must have been made to be used.

        Raises:
            ObjectNotFound: when the file does not exist.
        """
        for number, line in self._lines():
            try:
                event = read_event(line)
                window.check(event)
            except CaptureUnreadable as reason:
                self._quarantine(number, str(reason), line)
                continue
            if event.event_id == VERIFICATION_ID:
                continue
            for row in captured_rows(event, self.key, number, version, schema, rule):
                if isinstance(row, BadRow):
                    self._quarantine(number, row.reason, row.text.encode(errors="replace"))
                else:
                    yield row

    def quarantine_all(self, reason: str) -> None:
        """Quarantine every line. Raises ObjectNotFound when the file does not exist."""
        for number, line in self._lines():
            self._quarantine(number, reason, line)

    def store_quarantine(self) -> None:
        """Write the quarantined lines, if any, to an object whose key is derived from the file."""
        if self._stored_lines:
            key = ModelKeys(self._model).quarantined_capture(self.digest)
            self._bucket.put(key, b"".join(self._stored_lines), "application/x-ndjson")

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        stream = self._bucket.open(self.key, self._version)
        blocks = iter(partial(stream.read, _BLOCK_BYTES), b"")
        for block in line_blocks(blocks, self._max_line_bytes):
            if isinstance(block, OverlongLine):
                reason = (
                    f"the line has {block.size_bytes:,} bytes; the limit is "
                    f"{self._max_line_bytes:,} bytes"
                )
                self._quarantine(block.number - 1, reason, block.head)
                continue
            for number, line in enumerate(block.data.split(b"\n"), block.first - 1):
                if line.strip():
                    yield number, line

    def _quarantine(self, number: int, reason: str, record: bytes) -> None:
        self.quarantined += 1
        if len(self._stored_lines) < MAX_STORED:
            entry = {
                "file": self.key,
                "line": number + 1,
                "reason": reason,
                "record": record[:SHOWN_BYTES].decode(errors="replace"),
            }
            text = json.dumps(entry, ensure_ascii=False) + "\n"
            self._stored_lines.append(text.encode(errors="backslashreplace"))
