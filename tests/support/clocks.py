"""A clock that a test moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class MovingClock:
    """Returns the same moment until it is advanced."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 20, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
