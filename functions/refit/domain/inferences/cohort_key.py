"""Determine the cohort in which a prediction is counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

START_FORMAT = "%Y-%m-%dT%H:%M:%S"
"""Format of a cohort's start in the sort key of its item; it sorts the items by time."""


@dataclass(frozen=True, order=True)
class CohortKey:
    """The predictions that one version made in `seconds` from `start` on."""

    model: str
    version: int
    start: datetime
    seconds: int = field(compare=False)

    @classmethod
    def at(cls, model: str, version: int, moment: datetime, cohort_s: int) -> Self:
        """Return the cohort of a prediction that was made at a moment."""
        return cls(model, version, cohort_start(moment, cohort_s), cohort_s)


def cohort_start(moment: datetime, cohort_s: int) -> datetime:
    """Return the start of the cohort of a moment: a multiple of the cohort's length since 1970."""
    seconds = int(moment.timestamp()) // cohort_s * cohort_s
    return datetime.fromtimestamp(seconds, UTC)
