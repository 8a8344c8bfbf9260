"""Decide which dropped files belong together, and when a drop is complete."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from refit.domain.pipeline.manifest import ObjectVersion


def files_of_drop(
    dropped: list[ObjectVersion], consumed_until: str | None, scope: Literal["drop", "all"]
) -> list[ObjectVersion]:
    """Return the files that the next run trains on; empty when there is no new file.

    Args:
        dropped: all files in the folder now.
        consumed_until: latest time stamp that earlier runs have consumed (ISO 8601).
        scope: `drop` for the new files only, `all` for the whole folder.
    """
    consumed = datetime.fromisoformat(consumed_until) if consumed_until else None
    new = [file for file in dropped if consumed is None or file.last_modified > consumed]
    return (dropped if scope == "all" else new) if new else []


def is_quiet(
    files: list[ObjectVersion],
    cause: tuple[str, str | None] | None,
    now: datetime,
    quiet_for: timedelta,
) -> bool:
    """Say whether a drop is complete.

    A drop is complete when its newest file is the one whose event is being handled, because that
    event has waited for the quiet period in the queue (independently of the clocks), or when its
    newest file is older than the quiet period.

    Args:
        files: of the drop, at least one.
        cause: (key, version) of the object of the event; None without an event of a file.
        now: the current time.
        quiet_for: how long no file may have arrived.
    """
    newest = max(file.last_modified for file in files)
    if cause is not None:
        key, version = cause
        for file in files:
            if file.key == key and version in {None, file.version}:
                return file.last_modified == newest or now - newest >= quiet_for
    return now - newest >= quiet_for
