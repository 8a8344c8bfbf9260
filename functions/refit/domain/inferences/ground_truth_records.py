"""Records of ground truth as they are sent: their forms, and what can be checked of each alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from refit.domain.errors import PayloadInvalid
from refit.domain.inferences.inference import ID_PATTERN
from refit.domain.inferences.payload import body_text, parsed_json
from refit.domain.schema import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refit.domain.inferences.inference import Inference

MAX_RECORDS = 500
"""So many labels are taken in one call."""

AHEAD = timedelta(minutes=5)
"""Clocks differ by less; what is observed later than this would win for ever."""

_REQUIRED = ("inferenceId", "label")
_KEYS = (*_REQUIRED, "observedAt")
_SHOWN_CHARACTERS = 200


class Fault(StrEnum):
    """Why a record is rejected, in so few words that they can be counted."""

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
    NEVER_PREDICTED = "never predicted"


@dataclass(frozen=True)
class Rejection:
    """Why a record is not used: what is counted, and what is told."""

    fault: Fault
    reason: str


@dataclass(frozen=True)
class LabelRecord:
    """A label as it was sent. Its values are not looked at yet.

    Attributes:
        inference_id: the row that it is the truth of.
        label: text, a number or a truth value.
        observed_at: ISO 8601 with offset; None for when it was received.
        event_id: of SageMaker's record; its labels are those of all rows of one event.
        of: how many labels such a record listed; None when it is a single one.
        line: where in a file it stood, from 1.
    """

    inference_id: object
    label: object
    observed_at: object = None
    event_id: str | None = None
    of: int | None = None
    line: int | None = None

    def as_sent(self) -> dict[str, Any]:
        """Return the record for a person to look at; what is long is cut."""
        values = (self.inference_id, self.label, self.observed_at)
        return {
            key: _cut(value)
            for key, value in zip(_KEYS, values, strict=True)
            if value is not None or key in _REQUIRED
        }


def _cut(value: object) -> object:
    if value is None or isinstance(value, int | float):
        return value
    return value[:_SHOWN_CHARACTERS] if isinstance(value, str) else shown(value)


@dataclass(frozen=True)
class BadLine:
    """A line of a file that is no record: its number from 1, why, and how it begins."""

    line: int
    reason: str
    text: str


Sent: TypeAlias = LabelRecord | BadLine


@dataclass(frozen=True)
class Receipt:
    """When records came, and what holds for them.

    Attributes:
        model: whose predictions they are the truth of.
        received_at: now.
        observed_at: of a record that does not say it.
        max_age: what was observed longer ago is too old.
    """

    model: str
    received_at: datetime
    observed_at: datetime
    max_age: timedelta


@dataclass(frozen=True)
class Observation:
    """A record that is well-formed: what is said of which inference, seen when."""

    inference_id: str
    label: object
    observed_at: datetime
    event_id: str | None
    of: int | None

    @property
    def related_ids(self) -> tuple[str, ...]:
        """The ids under which the event is known, whether it has one row or more."""
        return () if self.event_id is None else (self.event_id, f"{self.event_id}-0")

    def event_rows(self, found: Mapping[str, Inference]) -> int | None:
        """Return how many rows the event has whose labels are listed; None where nobody knows.

        A single label may name a row of an event just as well: then it is that row's.
        """
        ids = self.related_ids and dict.fromkeys((self.inference_id, *self.related_ids))
        for inference_id in ids:
            inference = found.get(inference_id)
            if inference and inference.prediction:
                named = self.of is None and inference_id == self.inference_id
                return None if named else inference.prediction.rows
        return None


def records_of(content: bytes) -> list[LabelRecord]:
    """Return the records of an API body; their values are not looked at yet.

    Raises:
        PayloadInvalid: when the form is not `{"labels": [{"inferenceId", "label", "observedAt"?}
            …]}`, with 1 to `MAX_RECORDS` records; names what is wrong and what is allowed.
    """
    value = parsed_json(body_text(content))
    if not isinstance(value, dict):
        raise PayloadInvalid(f'the body is an object {{"labels": […]}}, not {shown(value)}')
    if unknown := [key for key in value if key != "labels"]:
        raise PayloadInvalid(f'unknown key {shown(unknown[0])}; allowed is only "labels"')
    labels = value.get("labels")
    if not isinstance(labels, list):
        raise PayloadInvalid(f'"labels" must be a list of records, not {shown(labels)}')
    if not 1 <= len(labels) <= MAX_RECORDS:
        raise PayloadInvalid(
            f'"labels" has {len(labels):,} records; one call takes 1 to {MAX_RECORDS}'
        )
    return [record_of(label, f"record {number}") for number, label in enumerate(labels, 1)]


def record_of(value: object, what: str, line: int | None = None) -> LabelRecord:
    """Return a record that was sent as a JSON object.

    Args:
        value: parsed JSON.
        what: names it in a message.
        line: where in a file it stands.

    Raises:
        PayloadInvalid: when it is no object, or a key is missing or unknown.
    """
    if not isinstance(value, dict):
        raise PayloadInvalid(
            f"{what}: a record is an object of inferenceId, label and, if known, observedAt; "
            f"not {shown(value)}"
        )
    if unknown := [key for key in value if key not in _KEYS]:
        raise PayloadInvalid(
            f"{what}: unknown key {shown(unknown[0])}; allowed are {', '.join(_KEYS)}"
        )
    if absent := [key for key in _REQUIRED if key not in value]:
        raise PayloadInvalid(f"{what}: there is no {absent[0]}")
    return LabelRecord(value["inferenceId"], value["label"], value.get("observedAt"), line=line)


def checked(sent: Sent, receipt: Receipt) -> Observation | Rejection:
    """Check what can be checked of a record without knowing its inference."""
    if isinstance(sent, BadLine):
        return Rejection(Fault.UNREADABLE, sent.reason)
    inference_id = sent.inference_id
    if not isinstance(inference_id, str) or not ID_PATTERN.match(inference_id):
        return Rejection(
            Fault.ID_MALFORMED,
            f"an inferenceId is 1 to 80 printable ASCII characters, the first no space; not "
            f"{shown(inference_id)}",
        )
    observed_at = _observed_at(sent.observed_at, receipt)
    if isinstance(observed_at, Rejection):
        return observed_at
    return Observation(inference_id, sent.label, observed_at, sent.event_id, sent.of)


def _observed_at(value: object, receipt: Receipt) -> datetime | Rejection:
    moment = receipt.observed_at if value is None else _moment(value)
    if isinstance(moment, Rejection):
        return moment
    if moment > receipt.received_at + AHEAD:
        return Rejection(
            Fault.IN_THE_FUTURE,
            f"observedAt {told(moment)} is in the future: it is {told(receipt.received_at)} here",
        )
    if moment < receipt.received_at - receipt.max_age:
        return Rejection(
            Fault.TOO_OLD,
            f"too old: observed at {told(moment)}; a prediction is remembered for "
            f"{receipt.max_age.total_seconds():.0f} s ([monitoring] max_label_age_s)",
        )
    # Stored in milliseconds: told twice, it must be the same time twice.
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _moment(value: object) -> datetime | Rejection:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        if moment is None:
            raise ValueError
        if moment.tzinfo is None:
            return Rejection(
                Fault.TIME_MALFORMED,
                f"observedAt {shown(value)} has no offset: add Z for UTC, or one such as +01:00",
            )
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return Rejection(
            Fault.TIME_MALFORMED,
            "observedAt is an ISO 8601 time with offset, such as 2026-03-12T20:47:26Z; not "
            f"{shown(value)}",
        )


def told(moment: datetime) -> str:
    """Return a time in UTC as a reason tells it."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
