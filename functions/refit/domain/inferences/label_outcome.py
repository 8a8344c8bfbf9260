"""The outcome of a label that was sent."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LabelStatus(StrEnum):
    """Status of a record, as the API returns it. HELD means that no prediction has this id yet."""

    NEW = "new"
    REPEAT = "repeat"
    CORRECTED = "corrected"
    HELD = "held"
    REJECTED = "rejected"


class Fault(StrEnum):
    """Why a record is rejected. Rejected records are counted by these texts."""

    UNREADABLE = "unreadable record"
    ID_MALFORMED = "inferenceId malformed"
    TIME_MALFORMED = "observedAt malformed"
    TOO_OLD = "too old"
    IN_THE_FUTURE = "in the future"
    AMBIGUOUS = "ambiguous inferenceId"
    OTHER_ROWS = "different number of rows"
    NO_VALUE = "label malformed"
    UNKNOWN_CLASS = "unknown class"
    NOT_A_NUMBER = "not a number"


@dataclass(frozen=True)
class LabelOutcome:
    """Status of a record, the reason if it needs one, and the fault if the record is rejected."""

    status: LabelStatus
    reason: str | None = None
    fault: Fault | None = None


def rejected(fault: Fault, reason: str) -> LabelOutcome:
    """Return the outcome of a record that is not used."""
    return LabelOutcome(LabelStatus.REJECTED, reason, fault)
