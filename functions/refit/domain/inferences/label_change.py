"""Decide how labels change their inference.

Labels may arrive late, repeatedly or in any order, and may contradict each other. The decision
depends only on the record and on what is known about the inference, not on the order of arrival.
The label that was observed last is the effective label.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from refit.domain.cells import number_text, shown
from refit.domain.inferences.inference import NOTHING_COUNTED, Inference, Label, limited
from refit.domain.inferences.label_outcome import Fault, LabelOutcome, LabelStatus, rejected
from refit.domain.inferences.label_records import utc_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refit.domain.inferences.label_records import Observation, Receipt
    from refit.domain.schema import Schema

_SHOWN_CLASSES = 10


@dataclass(frozen=True)
class LabelChange:
    """The change that labels make to one inference.

    Attributes:
        before: the stored inference; None when there was none.
        after: the new inference. It is the same object when nothing changes, and None when the
            inference is deleted.
        outcomes: one outcome per record, in the order of the records.
    """

    inference_id: str
    before: Inference | None
    after: Inference | None
    outcomes: tuple[LabelOutcome, ...] = ()

    @property
    def changes_inference(self) -> bool:
        return self.after is not self.before


def label_change(
    observations: Sequence[Observation],
    known: Mapping[str, Inference],
    schema: Schema,
    receipt: Receipt,
) -> LabelChange:
    """Decide how the observations of one inference change it, one after the other.

    Args:
        observations: at least one observation, all of the same inference.
        known: by id, the inference and the inferences of the events that the records label.
        schema: schema of the version that predicted, or of the live version without a prediction.
        receipt: receipt of the records.
    """
    inference_id = observations[0].inference_id
    before = after = known.get(inference_id)
    holding = _last_untimed(observations, schema)
    outcomes = []
    for index, observation in enumerate(observations):
        if holding is not None and index < holding and not observation.is_timed:
            outcomes.append(_superseded(observation, observations[holding], schema))
            continue
        event_rows = observation.event_rows(known)
        after, outcome = decide(observation, after, event_rows, schema, receipt)
        outcomes.append(outcome)
    return LabelChange(inference_id, before, after, tuple(outcomes))


def _last_untimed(observations: Sequence[Observation], schema: Schema) -> int | None:
    """Return the index of the last valid label without a time; None if there is none."""
    indexes = [
        index
        for index, observation in enumerate(observations)
        if not observation.is_timed and isinstance(label_text(observation.label, schema), str)
    ]
    return indexes[-1] if indexes else None


def _superseded(earlier: Observation, later: Observation, schema: Schema) -> LabelOutcome:
    """Return the outcome of a label that a later record of the same file or call replaces."""
    text = label_text(earlier.label, schema)
    if isinstance(text, LabelOutcome):
        return text
    if text == label_text(later.label, schema):
        return LabelOutcome(LabelStatus.REPEAT)
    return LabelOutcome(
        LabelStatus.REPEAT,
        f"superseded: a later record of the same file or call has the label {shown(later.label)}",
    )


def decide(
    observation: Observation,
    known: Inference | None,
    event_rows: int | None,
    schema: Schema,
    receipt: Receipt,
) -> tuple[Inference | None, LabelOutcome]:
    """Decide how one observation changes an inference.

    Args:
        observation: the label.
        known: the inference before; None when neither prediction nor label has arrived.
        event_rows: number of rows of the labelled event; None when it is not known.
        schema: see `label_change`.
        receipt: see `label_change`.

    Returns:
        The new inference, which is `known` when nothing changes, and the outcome.
    """
    if refusal := _refusal(observation, known, event_rows):
        return known, refusal
    text = label_text(observation.label, schema)
    if isinstance(text, LabelOutcome):
        return known, text
    label = Label(text, observation.observed_at, receipt.received_at, observation.event_size)
    if known is None:
        held = Inference(
            receipt.model, observation.inference_id, 1, None, False, (label,), NOTHING_COUNTED
        )
        return held, LabelOutcome(LabelStatus.HELD)
    outcome = _outcome(known, label)
    if _is_known(known, label):
        return known, outcome
    labels = limited((*known.labels, label))
    return replace(known, seq=known.seq + 1, labels=labels), outcome


def _refusal(
    observation: Observation, known: Inference | None, event_rows: int | None
) -> LabelOutcome | None:
    if known and known.ambiguous:
        return rejected(
            Fault.AMBIGUOUS,
            "two different predictions have this inferenceId: neither is counted",
        )
    listed = observation.event_size or 1
    if event_rows is not None and event_rows != listed:
        return rejected(
            Fault.OTHER_ROWS,
            f"event {shown(observation.event_id)} has {event_rows} row(s), and the record lists "
            f"{listed} label(s)",
        )
    return None


def _is_known(known: Inference, label: Label) -> bool:
    """Return whether the same label is known with the same or a later time of observation."""
    return any(
        other.label == label.label and other.observed_at >= label.observed_at
        for other in known.labels
    )


def _outcome(known: Inference, label: Label) -> LabelOutcome:
    effective = known.label
    if known.prediction is None:
        if _is_known(known, label):
            reason = "the label is held until its prediction arrives"
            return LabelOutcome(LabelStatus.REPEAT, reason)
        return LabelOutcome(LabelStatus.HELD)
    if effective is None:
        return LabelOutcome(LabelStatus.NEW)
    if effective.label == label.label:
        return LabelOutcome(LabelStatus.REPEAT)
    if label.rank > effective.rank:
        return LabelOutcome(LabelStatus.CORRECTED)
    return LabelOutcome(
        LabelStatus.REPEAT,
        f"another label is effective: {shown(effective.label)}, observed at "
        f"{utc_text(effective.observed_at)}",
    )


def label_text(value: object, schema: Schema) -> str | LabelOutcome:
    """Return the canonical text of a label's class or number, or why it is rejected."""
    if not isinstance(value, str | int | float):
        return rejected(
            Fault.NO_VALUE, f"a label must be text, a number, true or false, not {shown(value)}"
        )
    codes = (schema.encode_label(text) for text in _spellings(value, schema))
    code = next((code for code in codes if code is not None), None)
    if schema.classes is None:
        if code is None:
            return rejected(Fault.NOT_A_NUMBER, f"the label must be a number, not {shown(value)}")
        return number_text(code)
    if code is None:
        return rejected(
            Fault.UNKNOWN_CLASS,
            f"unknown class {shown(value)}; known: {_shown_classes(schema.classes)}",
        )
    return schema.classes[int(code)]


def _spellings(value: str | int | float, schema: Schema) -> list[str]:
    if isinstance(value, bool):
        texts = [str(value).lower(), str(value), str(value).upper(), str(int(value))]
        return [] if schema.classes is None else texts
    return [number_text(value) if isinstance(value, float) else str(value)]


def _shown_classes(classes: Sequence[str]) -> str:
    first = ", ".join(shown(text) for text in classes[:_SHOWN_CLASSES])
    return first if len(classes) <= _SHOWN_CLASSES else f"{first}, … ({len(classes)} in total)"
