"""Which dropped files belong together, and when a drop is complete."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from refit.domain.pipeline.manifest import ObjectVersion


def files_of_drop(
    dropped: list[ObjectVersion], consumed_until: str | None, scope: Literal["drop", "all"]
) -> list[ObjectVersion]:
    """Return the files that the next run trains on; none when nothing new is there.

    Args:
        dropped: all that is in the folder now.
        consumed_until: the newest time stamp that earlier runs have seen (ISO 8601).
        scope: `drop` for the new files only, `all` for the whole folder.
    """
    seen = datetime.fromisoformat(consumed_until) if consumed_until else None
    new = [file for file in dropped if seen is None or file.last_modified > seen]
    return (dropped if scope == "all" else new) if new else []


def is_quiet(
    files: list[ObjectVersion],
    cause: tuple[str, str | None] | None,
    now: datetime,
    quiet_for: timedelta,
) -> bool:
    """Say whether a drop is complete.

    It is when the event at hand, which waited the quiet period in the queue, is that of the newest
    file (this holds whatever the clocks say), or when the newest file is old enough by the clock.

    Args:
        files: the files of the drop, at least one.
        cause: (key, version) of the event's object; None when no file's event caused the look.
        now: this moment.
        quiet_for: how long the folder must rest.
    """
    newest = max(file.last_modified for file in files)
    if cause is not None:
        key, version = cause
        for file in files:
            if file.key == key and version in {None, file.version}:
                return file.last_modified == newest or now - newest >= quiet_for
    return now - newest >= quiet_for
