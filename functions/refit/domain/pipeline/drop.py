"""Decide which dropped files are new, which of them belong together, and when a drop is complete.

What is new is decided by key and version alone. Time stamps only tell whether more files are
arriving, and that of a file that was uploaded in parts is the beginning of its upload: such a file
can be completed at any later time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime, timedelta

    from refit.domain.pipeline.manifest import ObjectVersion

FileVersion: TypeAlias = tuple[str, str]
"""Key and version of a file."""

_DIGEST_DIGITS = 32


@dataclass(frozen=True)
class ConsumedFiles:
    """The file versions that runs of a model have taken from its drop folder.

    They are kept as digests, so a hundred thousand of them are 3 MB.
    """

    digests: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> ConsumedFiles:
        return cls(frozenset(text.split()))

    def text(self) -> str:
        """Return the digests as `parse` reads them, a line each."""
        return "".join(f"{digest}\n" for digest in sorted(self.digests))

    def and_also(self, files: Iterable[ObjectVersion]) -> ConsumedFiles:
        return ConsumedFiles(
            self.digests | {_digest(file.key, file.unique_version) for file in files}
        )

    def has_all(self, files: Iterable[FileVersion]) -> bool:
        return all(_digest(key, version) in self.digests for key, version in files)

    def __contains__(self, file: ObjectVersion) -> bool:
        return _digest(file.key, file.unique_version) in self.digests


def _digest(key: str, version: str) -> str:
    text = f"{key}\0{version}"
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_DIGITS]


def files_of_drop(
    dropped: list[ObjectVersion], consumed: ConsumedFiles, scope: Literal["drop", "all"]
) -> list[ObjectVersion]:
    """Return the files that the next run trains on; empty when there is no new file.

    Args:
        dropped: all files in the folder now.
        consumed: the files that earlier runs have taken.
        scope: `drop` for the new files only, `all` for the whole folder.
    """
    new = [file for file in dropped if file not in consumed]
    return (dropped if scope == "all" else new) if new else []


class WaitReason(StrEnum):
    """Why a drop is not complete."""

    LATER_FILES = "later files have not waited for the quiet period; their events start the run"
    UPLOADS_IN_PARTS = "files that were uploaded in parts may just have been completed"


@dataclass(frozen=True)
class Wait:
    """That a drop is not complete.

    Attributes:
        files: all files of the drop.
        awaited: of `LATER_FILES` the newest files: the event of each of them decides again. Of
            `UPLOADS_IN_PARTS` the files whose events have not been seen: all of these events
            together, or an unchanged folder after the quiet period, complete the drop.
    """

    reason: WaitReason
    files: frozenset[FileVersion]
    awaited: frozenset[FileVersion]

    def is_over(self, waited: Collection[FileVersion], events: Collection[FileVersion]) -> bool:
        """Return whether the drop must be looked at again.

        Args:
            waited: files whose events have waited for the quiet period.
            events: those among them whose events are being handled.
        """
        if not self.files.issuperset(events):
            return True
        if self.reason is WaitReason.LATER_FILES:
            return not self.awaited.isdisjoint(events)
        return self.awaited.issubset(waited)


def wait_for_more(
    files: Sequence[ObjectVersion],
    waited: Collection[FileVersion],
    now: datetime,
    quiet_for: timedelta,
) -> Wait | None:
    """Return what a drop waits for; None if it is complete.

    The event of a file waits for the quiet period in its queue, independently of the clocks. A file
    that is newer than all files that have waited must have waited, or be older than the quiet
    period. A file that was uploaded in parts must have waited.

    Args:
        files: of the drop, at least one.
        waited: files whose events have waited for the quiet period.
        now: the current time.
        quiet_for: how long no file may have arrived.
    """
    newest_waited = max((file.last_modified for file in files if file.pair in waited), default=None)
    others = [file for file in files if file.pair not in waited]
    later = [
        file
        for file in others
        if now - file.last_modified < quiet_for
        and (newest_waited is None or file.last_modified > newest_waited)
    ]
    pairs = frozenset(file.pair for file in files)
    if later:
        newest = max(file.last_modified for file in later)
        awaited = frozenset(file.pair for file in later if file.last_modified == newest)
        return Wait(WaitReason.LATER_FILES, pairs, awaited)
    in_parts = frozenset(file.pair for file in others if file.is_multipart)
    return Wait(WaitReason.UPLOADS_IN_PARTS, pairs, in_parts) if in_parts else None
