"""One predicted row and its labels: what an item of InferenceTable stands for.

Prediction and labels arrive in any order, late, more than once, and may contradict each other.
Every decision made here depends on what is known of the inference, never on the order of arrival.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta

ID_PATTERN = re.compile(r"[!-~][ -~]{0,79}\Z")
"""An inference id: 1 to 80 printable ASCII characters, the first of which is not a space."""

MAX_LABELS = 20
"""Label events that are kept of one inference. The label that holds is never dropped."""


def inference_ids(event_id: str, rows: int) -> list[str]:
    """Return the id of each row of an event: the event's id for one row, numbered for more."""
    return [event_id] if rows == 1 else [f"{event_id}-{row}" for row in range(rows)]


@dataclass(frozen=True)
class Label:
    """One ground-truth label that was received for an inference.

    Attributes:
        label: text of the class or of the number, in its canonical spelling.
        observed_at: when the outcome was observed; the latest observation holds.
        event_size: how many labels its record listed for the event; None for a label of one row.
    """

    label: str
    observed_at: datetime
    received_at: datetime
    event_size: int | None = None

    @property
    def rank(self) -> tuple[datetime, str]:
        """Largest for the label that holds; the text breaks ties, whatever came first."""
        return self.observed_at, self.label


def holding_label(labels: tuple[Label, ...]) -> Label | None:
    """Return the label that was observed last; None when there is none."""
    return max(labels, key=lambda label: label.rank, default=None)


def limited(labels: tuple[Label, ...]) -> tuple[Label, ...]:
    """Return the labels that are kept: the one that holds, the first, and the latest others."""
    if len(labels) <= MAX_LABELS:
        return labels
    holding = holding_label(labels)
    others = [label for label in labels if label is not holding]
    kept = others[:1] + others[len(others) - MAX_LABELS + 2 :]  # the first one gives the delay
    return tuple(label for label in labels if label is holding or label in kept)


@dataclass(frozen=True)
class Source:
    """Where the features of a row are: a capture file, its line and the row, both from 0."""

    key: str
    line: int
    row: int


@dataclass(frozen=True)
class Prediction:
    """The answer of a model version to one row.

    Attributes:
        text: the class, or the number as text.
        confidence: the largest probability; None for a regression.
        probabilities: little-endian float32, one per class of the version; None when not kept.
        rows: number of rows of its event.
        digest: of version, input and answer. A different digest is a different prediction.
    """

    text: str
    confidence: float | None
    probabilities: bytes | None
    version: int
    at: datetime
    source: Source
    rows: int
    digest: str


@dataclass(frozen=True)
class Counted:
    """What the counters of a cohort contain of an inference.

    Attributes:
        seq: `seq` of the inference when it was counted; 0 when it never was.
        shown: the label that held then; None when nothing is counted.
        matured: the label that held at the label age; None when there was none.
        cohort: start of the cohort whose counters contain it; None when nothing is counted.
        error_bound: a regression's answer beyond this error was counted as wrong.
    """

    seq: int
    shown: str | None
    matured: str | None
    cohort: datetime | None = None
    error_bound: float | None = None


NOTHING_COUNTED = Counted(0, None, None)


@dataclass(frozen=True)
class Inference:
    """A prediction and the labels received for it.

    Attributes:
        seq: increases with every change that can alter what is counted.
        prediction: None while only labels have arrived.
        ambiguous: two different predictions have this id, so nothing is counted.
        labels: in the order of their arrival.
        counted: what the counters contain of it.
    """

    model: str
    inference_id: str
    seq: int
    prediction: Prediction | None
    ambiguous: bool
    labels: tuple[Label, ...]
    counted: Counted

    @property
    def label(self) -> Label | None:
        """The label that holds now."""
        return holding_label(self.labels)

    def label_at_age(self, age: timedelta) -> Label | None:
        """Return the label that held when the prediction had this age."""
        if self.prediction is None:
            return None
        end = self.prediction.at + age
        return holding_label(tuple(label for label in self.labels if label.received_at <= end))

    def to_count(self, label_age: timedelta) -> Counted:
        """Return what the counters should contain of it; the cohort is not filled in."""
        if self.prediction is None or self.ambiguous:
            return Counted(self.seq, None, None)
        shown, matured = self.label, self.label_at_age(label_age)
        return Counted(self.seq, shown.label if shown else None, matured.label if matured else None)
