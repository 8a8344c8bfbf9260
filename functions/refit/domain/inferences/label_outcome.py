"""What became of a label that was sent."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LabelStatus(StrEnum):
    """Status of a record, as it is returned to the sender. HELD: no prediction has this id yet."""

    NEW = "new"
    REPEAT = "repeat"
    CORRECTED = "corrected"
    HELD = "held"
    REJECTED = "rejected"


class Fault(StrEnum):
    """Why a record is rejected, in fixed words that can be counted."""

    UNREADABLE = "unreadable record"
    ID_MALFORMED = "inferenceId malformed"
    TIME_MALFORMED = "observedAt malformed"
    TOO_OLD = "too old"
    IN_THE_FUTURE = "in the future"
    AMBIGUOUS = "ambiguous inferenceId"
    OTHER_ROWS = "other number of rows"
    NO_VALUE = "label is no value"
    UNKNOWN_CLASS = "unknown class"
    NOT_A_NUMBER = "not a number"


@dataclass(frozen=True)
class LabelOutcome:
    """Status of a record, with the reason when it needs one, and the fault when it is rejected."""

    status: LabelStatus
    reason: str | None = None
    fault: Fault | None = None


def rejected(fault: Fault, reason: str) -> LabelOutcome:
    """Return the outcome of a record that is not used."""
    return LabelOutcome(LabelStatus.REJECTED, reason, fault)
