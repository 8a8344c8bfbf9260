"""Which cohort a prediction is counted in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

START_FORMAT = "%Y-%m-%dT%H:%M:%S"
"""Text of a cohort's start in the sort key of its item: the items of a version sort by time."""


@dataclass(frozen=True, order=True)
class CohortKey:
    """The predictions that one version made in `seconds` from `start` on."""

    model: str
    version: int
    start: datetime
    seconds: int = field(compare=False)

    @classmethod
    def at(cls, model: str, version: int, moment: datetime, cohort_s: int) -> Self:
        """Return the cohort that a prediction of this moment belongs to."""
        return cls(model, version, cohort_start(moment, cohort_s), cohort_s)


def cohort_start(moment: datetime, cohort_s: int) -> datetime:
    """Return when the cohort of a moment began: a multiple of its length since 1970."""
    seconds = int(moment.timestamp()) // cohort_s * cohort_s
    return datetime.fromtimestamp(seconds, UTC)
