"""A capture file, read as a stream: its rows, and what cannot be read of it put aside.

A file is never held whole, and a line may have 12 MB and more. Lines are counted from 0, as an
inference's source is; people are told them from 1.
"""

from __future__ import annotations

import hashlib
import json
from functools import partial
from typing import TYPE_CHECKING

from refit.domain.inferences.captured import (
    MAX_LINE_BYTES,
    VERIFICATION_ID,
    CaptureUnreadable,
    event_of,
)
from refit.domain.inferences.captured_rows import BadRow, captured_rows
from refit.domain.inferences.ground_truth_records import AHEAD, told
from refit.domain.naming import ModelKeys
from refit.stores import s3
from refit.tabular.quarantine import MAX_STORED
from refit.tabular.readers.lines import SHOWN_BYTES, OverlongLine, line_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from refit.domain.inferences.captured import Event
    from refit.domain.inferences.captured_rows import CapturedRow
    from refit.domain.schema import Schema

_BLOCK_BYTES = 1024 * 1024


class CaptureFile:
    """One file of captured invocations.

    Attributes:
        digest: stands for its key in the keys of what is made of it.
        refused: how many lines and rows cannot be used; the first 10,000 are kept.
    """

    def __init__(self, model: str, key: str, version: str | None) -> None:
        """Name the file.

        Args:
            model: whose it is.
            key: of the object.
            version: of the object; None for the newest.
        """
        self.key = key
        self.digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        self.refused = 0
        self._model = model
        self._version = version
        self._kept: list[bytes] = []

    def rows(
        self, version: int, schema: Schema, now: datetime, age: timedelta
    ) -> Iterator[CapturedRow]:
        """Yield what a version predicted; what cannot be used is refused.

        Args:
            version: of the model, which answered.
            schema: of that version.
            now: this moment; later predictions cannot be.
            age: how long predictions are remembered.

        Raises:
            DatasetNotFound: when the file is gone.
        """
        for number, line in self._lines():
            try:
                event = event_of(line)
                _check_time(event, now, age)
            except CaptureUnreadable as reason:
                self._refuse(number, str(reason), line)
                continue
            if event.event_id == VERIFICATION_ID:
                continue
            for row in captured_rows(event, self.key, number, version, schema):
                if isinstance(row, BadRow):
                    self._refuse(number, row.reason, row.text.encode(errors="replace"))
                else:
                    yield row

    def refuse_all(self, reason: str) -> None:
        """Refuse each line. Raises DatasetNotFound when the file is gone."""
        for number, line in self._lines():
            self._refuse(number, reason, line)

    def store_refused(self) -> None:
        """Write what was refused to quarantine, if anything; again the same is the same object."""
        if self._kept:
            key = ModelKeys(self._model).quarantined_capture(self.digest)
            s3.put_bytes(key, b"".join(self._kept), "application/x-ndjson")

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        stream = s3.open_stream(self.key, self._version)
        blocks = iter(partial(stream.read, _BLOCK_BYTES), b"")
        for block in line_blocks(blocks, MAX_LINE_BYTES):
            if isinstance(block, OverlongLine):
                reason = f"the line has {block.size_bytes:,} bytes; {MAX_LINE_BYTES:,} are read"
                self._refuse(block.number - 1, reason, block.head)
                continue
            for number, line in enumerate(block.data.split(b"\n"), block.first - 1):
                if line.strip():
                    yield number, line

    def _refuse(self, number: int, reason: str, record: bytes) -> None:
        self.refused += 1
        if len(self._kept) < MAX_STORED:
            entry = {
                "file": self.key,
                "line": number + 1,
                "reason": reason,
                "record": record[:SHOWN_BYTES].decode(errors="replace"),
            }
            text = json.dumps(entry, ensure_ascii=False) + "\n"
            self._kept.append(text.encode(errors="backslashreplace"))


def _check_time(event: Event, now: datetime, age: timedelta) -> None:
    if event.at > now + AHEAD:
        raise CaptureUnreadable(f"predicted at {told(event.at)}: it is {told(now)} here")
    if event.at < now - age:
        raise CaptureUnreadable(
            f"predicted at {told(event.at)}; a prediction is remembered for "
            f"{age.total_seconds():.0f} s ([monitoring] max_label_age_s)"
        )
