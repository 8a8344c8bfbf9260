"""What a label changes that comes for an inference.

Labels come late, twice, in any order, and contradict each other. What is decided here depends on
what is known of the inference and on the record, never on which record came first: the label that
was observed last wins.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from refit.domain.inferences.ground_truth_records import Fault, Rejection, told
from refit.domain.inferences.inference import NOTHING_COUNTED, Inference, Label, kept
from refit.domain.schema import number_text, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refit.domain.inferences.ground_truth_records import Observation, Receipt
    from refit.domain.schema import Schema

_SHOWN_CLASSES = 10


class Status(StrEnum):
    """What became of a record. `held`: no prediction has that id yet."""

    NEW = "new"
    REPEAT = "repeat"
    CORRECTED = "corrected"
    HELD = "held"
    REJECTED = "rejected"


@dataclass(frozen=True)
class Outcome:
    """What became of a record, and why where that needs a word."""

    status: Status
    reason: str | None = None
    fault: Fault | None = None


@dataclass(frozen=True)
class Decision:
    """A record's outcome, and the inference after it: the same as before when nothing changes."""

    outcome: Outcome
    inference: Inference | None


@dataclass(frozen=True)
class Change:
    """What one inference comes to by the records that name it.

    Attributes:
        before: as it was read; None when there was none.
        after: as it is to be; None when it is given up.
        outcomes: of its records, in their order.
    """

    inference_id: str
    before: Inference | None
    after: Inference | None
    outcomes: tuple[Outcome, ...] = ()

    @property
    def is_one(self) -> bool:
        """Whether there is anything to write."""
        return self.after is not self.before


def change_of(
    inference_id: str,
    known: Mapping[str, Inference],
    seen: Sequence[Observation],
    schema: Schema,
    receipt: Receipt,
) -> Change:
    """Decide what the observations of one inference come to, one after the other.

    Args:
        inference_id: the inference.
        known: what is known of it, and of the events whose rows are labelled, by id.
        seen: what came, in its order.
        schema: see `decide`.
        receipt: see `decide`.
    """
    before = after = known.get(inference_id)
    outcomes = []
    for one in seen:
        decision = decide(after, one.event_rows(known), one, schema, receipt)
        after = decision.inference
        outcomes.append(decision.outcome)
    return Change(inference_id, before, after, tuple(outcomes))


def decide(
    known: Inference | None,
    event_rows: int | None,
    seen: Observation,
    schema: Schema,
    receipt: Receipt,
) -> Decision:
    """Decide what an observation changes. Nothing is read or written here.

    Args:
        known: the inference as it is; None when neither prediction nor label has come.
        event_rows: how many rows the event that the record lists labels of really has, where that
            is known.
        seen: what came.
        schema: of the version that made the prediction; of the live one while there is none.
        receipt: when it came.

    Returns:
        the outcome, and the inference after it.
    """
    if refused := _excluded(known, event_rows, seen):
        return Decision(rejected(refused), known)
    text = label_text(seen.label, schema)
    if isinstance(text, Rejection):
        return Decision(rejected(text), known)
    label = Label(text, seen.observed_at, receipt.received_at, seen.of)
    if known is None:
        first = Inference(
            receipt.model, seen.inference_id, 1, None, False, (label,), NOTHING_COUNTED
        )
        return Decision(Outcome(Status.HELD), first)
    outcome = _outcome(known, label)
    if _is_told_already(known, label):
        return Decision(outcome, known)
    labels = kept((*known.labels, label))
    return Decision(outcome, replace(known, seq=known.seq + 1, labels=labels))


def rejected(why: Rejection) -> Outcome:
    """Return the outcome of a record that is not used."""
    return Outcome(Status.REJECTED, why.reason, why.fault)


def _excluded(
    known: Inference | None, event_rows: int | None, seen: Observation
) -> Rejection | None:
    if known and known.ambiguous:
        return Rejection(
            Fault.AMBIGUOUS,
            "two different predictions came under this inferenceId: neither is counted",
        )
    listed = seen.of or 1
    if event_rows is not None and event_rows != listed:
        return Rejection(
            Fault.OTHER_ROWS,
            f"event {shown(seen.event_id)} has {event_rows} row(s), and the record lists {listed} "
            "label(s)",
        )
    return None


def _is_told_already(known: Inference, label: Label) -> bool:
    """Say whether the same was told before: then it decides nothing that is not decided."""
    return any(
        heard.label == label.label and heard.observed_at >= label.observed_at
        for heard in known.labels
    )


def _outcome(known: Inference, label: Label) -> Outcome:
    holds = known.label
    if known.prediction is None:
        if _is_told_already(known, label):
            return Outcome(Status.REPEAT, "it is held: no such prediction yet")
        return Outcome(Status.HELD)
    if holds is None:
        return Outcome(Status.NEW)
    if holds.label == label.label:
        return Outcome(Status.REPEAT)
    if label.rank > holds.rank:
        return Outcome(Status.CORRECTED)
    return Outcome(
        Status.REPEAT,
        f"a newer label is known: {shown(holds.label)}, observed at {told(holds.observed_at)}",
    )


def label_text(value: object, schema: Schema) -> str | Rejection:
    """Return a label in its one spelling: the class's text, or the number's."""
    if not isinstance(value, str | int | float):
        return Rejection(
            Fault.NO_VALUE, f"a label is text, a number or true or false; not {shown(value)}"
        )
    codes = (schema.encode_label(text) for text in _spellings(value, schema))
    code = next((code for code in codes if code is not None), None)
    if schema.classes is None:
        if code is None:
            return Rejection(Fault.NOT_A_NUMBER, f"the label is a number, not {shown(value)}")
        return number_text(code)
    if code is None:
        return Rejection(Fault.UNKNOWN_CLASS, f"unknown class {shown(value)}; known: {_of(schema)}")
    return schema.classes[int(code)]


def _spellings(value: str | int | float, schema: Schema) -> list[str]:
    if isinstance(value, bool):
        texts = [str(value).lower(), str(value), str(value).upper(), str(int(value))]
        return [] if schema.classes is None else texts
    return [number_text(value) if isinstance(value, float) else str(value)]


def _of(schema: Schema) -> str:
    classes = schema.classes or ()
    listed = ", ".join(shown(text) for text in classes[:_SHOWN_CLASSES])
    return listed if len(classes) <= _SHOWN_CLASSES else f"{listed}, … ({len(classes)} in all)"
