"""Labels as they are sent, and the checks that do not need the labelled inference.

A label is represented by these types, one after the other:

    LabelRecord | BadLine   the record that was sent                this module
    Observation             a record that passed these checks       this module
    LabelChange             the change to its inference             label_change.py
    LabelOutcome            the result returned to the sender       label_outcome.py
    CountChange             the change to the cohort's counters     count_change.py
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from refit.domain.cells import shown
from refit.domain.errors import PayloadInvalid
from refit.domain.inferences.inference import ID_PATTERN
from refit.domain.inferences.label_outcome import Fault, LabelOutcome, rejected
from refit.domain.inferences.request_rows import body_text, parsed_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refit.domain.inferences.inference import Inference

MAX_RECORDS = 500
"""Maximum number of labels in one API call."""

CLOCK_TOLERANCE = timedelta(minutes=5)
"""Tolerated difference between clocks. Labels observed further in the future are rejected, because
no later label could replace them."""

_REQUIRED = ("inferenceId", "label")
_KEYS = (*_REQUIRED, "observedAt")
_BY_SPELLING = {key.lower(): key for key in _KEYS}
_SHOWN_CHARACTERS = 200


@dataclass(frozen=True)
class LabelRecord:
    """A label as it was sent, with unchecked values.

    Attributes:
        label: text, a number or a boolean.
        observed_at: ISO 8601 time with offset; None for the time of receipt.
        event_id: event of a SageMaker record, which lists the labels of all rows of one event;
            None for a single label.
        event_size: number of labels that such a record lists; None for a single label.
        line: number of the record's line in a file, from 1.
    """

    inference_id: object
    label: object
    observed_at: object = None
    event_id: str | None = None
    event_size: int | None = None
    line: int | None = None

    def as_sent(self) -> dict[str, Any]:
        """Return the record as JSON, with long values shortened."""
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
    """A line of a file that is not a record; `text` is its beginning, and `line` counts from 1."""

    line: int
    reason: str
    text: str


Sent: TypeAlias = LabelRecord | BadLine


@dataclass(frozen=True)
class Receipt:
    """What the records of one call or file have in common.

    Attributes:
        observed_at: time of observation of records that do not state one.
        max_age: labels that were observed longer ago are rejected.
    """

    model: str
    received_at: datetime
    observed_at: datetime
    max_age: timedelta


@dataclass(frozen=True)
class Observation:
    """A well-formed record whose label has not been checked against the model yet.

    Attributes:
        is_timed: whether the record states its time of observation. Of several records of one
            inference in one file or call that do not, the last one holds.
    """

    inference_id: str
    label: object
    observed_at: datetime
    event_id: str | None
    event_size: int | None
    is_timed: bool = True

    @property
    def related_ids(self) -> tuple[str, ...]:
        """Inference ids that the event may have: the id of its only row, or of its first row."""
        return () if self.event_id is None else (self.event_id, f"{self.event_id}-0")

    def event_rows(self, known: Mapping[str, Inference]) -> int | None:
        """Return the number of rows of the labelled event; None when it is not known.

        The result is also None when a single label names one row of a larger event. The number of
        rows does not matter for such a label.
        """
        ids = self.related_ids and dict.fromkeys((self.inference_id, *self.related_ids))
        for inference_id in ids:
            inference = known.get(inference_id)
            if inference and inference.prediction:
                names_row = self.event_size is None and inference_id == self.inference_id
                return None if names_row else inference.prediction.rows
        return None


def records_of(content: bytes) -> list[LabelRecord]:
    """Return the records of an API body, their values unchecked.

    Raises:
        PayloadInvalid: when the body is not `{"labels": [{"inferenceId", "label", "observedAt"?}
            …]}`, or the list alone, with 1 to `MAX_RECORDS` records. The text states what is wrong
            and what is allowed.
    """
    value = parsed_json(body_text(content))
    if isinstance(value, list):
        value = {"labels": value}
    if not isinstance(value, dict):
        raise PayloadInvalid(f'the body must be an object {{"labels": […]}}, not {shown(value)}')
    if unknown := [key for key in value if key != "labels"]:
        raise PayloadInvalid(f'unknown key {shown(unknown[0])}; only "labels" is allowed')
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
        what: names the record in an error message.
        line: number of its line in a file.

    Raises:
        PayloadInvalid: when it is not an object, or a key is missing or unknown.
    """
    if not isinstance(value, dict):
        raise PayloadInvalid(
            f"{what}: a record must be an object with inferenceId, label and optionally "
            f"observedAt, not {shown(value)}"
        )
    named = {label_key(key): held for key, held in value.items()}
    if unknown := [key for key in value if label_key(key) is None]:
        raise PayloadInvalid(
            f"{what}: unknown key {shown(unknown[0])}; allowed are {', '.join(_KEYS)}"
        )
    if len(named) < len(value):
        raise PayloadInvalid(f"{what}: a key is there twice: {shown(', '.join(value))}")
    if absent := [key for key in _REQUIRED if key not in named]:
        raise PayloadInvalid(f"{what}: there is no {absent[0]}")
    return LabelRecord(named["inferenceId"], named["label"], named.get("observedAt"), line=line)


def label_key(name: str) -> str | None:
    """Return the key that a name means, such as `inferenceId` for `inference_id`; None if none."""
    return _BY_SPELLING.get(name.strip().lower().replace("_", "").replace(" ", ""))


def check_record(record: Sent, receipt: Receipt) -> Observation | LabelOutcome:
    """Check a record without its inference; return an outcome if the record is rejected."""
    if isinstance(record, BadLine):
        return rejected(Fault.UNREADABLE, record.reason)
    inference_id = record.inference_id
    if not isinstance(inference_id, str) or not ID_PATTERN.match(inference_id):
        return rejected(
            Fault.ID_MALFORMED,
            "an inferenceId must have 1 to 80 printable ASCII characters and not begin with a "
            f"space: {shown(inference_id)}",
        )
    observed_at = _observed_at(record.observed_at, receipt)
    if isinstance(observed_at, LabelOutcome):
        return observed_at
    return Observation(
        inference_id,
        record.label,
        observed_at,
        record.event_id,
        record.event_size,
        is_timed=record.observed_at is not None,
    )


def _observed_at(value: object, receipt: Receipt) -> datetime | LabelOutcome:
    moment = receipt.observed_at if value is None else _parsed_time(value)
    if isinstance(moment, LabelOutcome):
        return moment
    if moment > receipt.received_at + CLOCK_TOLERANCE:
        return rejected(
            Fault.IN_THE_FUTURE,
            f"observedAt {utc_text(moment)} is in the future: the time of receipt is "
            f"{utc_text(receipt.received_at)}",
        )
    if moment < receipt.received_at - receipt.max_age:
        return rejected(
            Fault.TOO_OLD,
            f"observedAt {utc_text(moment)} is too old: predictions are kept for "
            f"{receipt.max_age.total_seconds():.0f} s ([monitoring] max_label_age_s)",
        )
    # Times are stored in milliseconds. A label that is sent again must have the same stored time.
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _parsed_time(value: object) -> datetime | LabelOutcome:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        if moment is None:
            raise ValueError
        if moment.tzinfo is None:
            return rejected(
                Fault.TIME_MALFORMED,
                f"observedAt {shown(value)} has no offset: add Z for UTC, or one such as +01:00",
            )
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return rejected(
            Fault.TIME_MALFORMED,
            "observedAt must be an ISO 8601 time with offset, such as 2026-03-12T20:47:26Z, not "
            f"{shown(value)}",
        )


def utc_text(moment: datetime) -> str:
    """Return a time in UTC as messages show it, in seconds."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
