"""Points in time: aware UTC datetimes in whole milliseconds, and their ISO 8601 text."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, TypeAlias

from pydantic import PlainSerializer

Clock: TypeAlias = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the current time in whole milliseconds, as it is stored."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def iso(moment: datetime) -> str:
    """Return the ISO 8601 text of a moment, in milliseconds."""
    return moment.isoformat(timespec="milliseconds")


Moment = Annotated[datetime, PlainSerializer(iso)]
"""A field of a Pydantic model that is written as its ISO 8601 text."""
