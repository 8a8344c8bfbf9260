"""One predicted row and its labels, as an item of InferenceTable stores them.

The prediction and the labels may arrive in any order, late or repeatedly, and may contradict each
other. All decisions depend only on what is known about the inference, not on the order of arrival.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta

ID_PATTERN = re.compile(r"[!-~][ -~]{0,79}\Z")
"""An inference id has 1 to 80 printable ASCII characters and does not begin with a space."""

MAX_LABELS = 20
"""Number of labels that are kept for one inference. The effective label is always kept."""


def inference_ids(event_id: str, rows: int) -> list[str]:
    """Return the id of each row of an event: the event's id, numbered if there are several rows."""
    return [event_id] if rows == 1 else [f"{event_id}-{row}" for row in range(rows)]


@dataclass(frozen=True)
class Label:
    """One ground-truth label that was received for an inference.

    Attributes:
        label: text of the class or of the number, in its canonical spelling.
        observed_at: when the outcome was observed; the label with the latest time is effective.
        event_size: number of labels that its record listed for the event; None for a single label.
    """

    label: str
    observed_at: datetime
    received_at: datetime
    event_size: int | None = None

    @property
    def rank(self) -> tuple[datetime, str]:
        """Sort key: the effective label has the largest rank. The text breaks ties."""
        return self.observed_at, self.label


def effective_label(labels: tuple[Label, ...]) -> Label | None:
    """Return the effective label, which was observed last; None when there is no label."""
    return max(labels, key=lambda label: label.rank, default=None)


def limited(labels: tuple[Label, ...]) -> tuple[Label, ...]:
    """Return the labels that are kept: the effective one, the first, and the latest others."""
    if len(labels) <= MAX_LABELS:
        return labels
    effective = effective_label(labels)
    others = [label for label in labels if label is not effective]
    kept = others[:1] + others[len(others) - MAX_LABELS + 2 :]  # the first defines the label delay
    return tuple(label for label in labels if label is effective or label in kept)


@dataclass(frozen=True)
class Source:
    """Where the features of a row are stored: a capture file, and the indexes of line and row."""

    key: str
    line: int
    row: int


@dataclass(frozen=True)
class Prediction:
    """The answer of a model version to one row.

    Attributes:
        text: the predicted class, or the predicted number as text.
        confidence: the probability of the predicted class; None for a regression.
        probabilities: little-endian float32, one per class of the version; None when they are not
            stored.
        rows: number of rows of its event.
        digest: digest of version, input and answer, which identifies the prediction.
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
        shown: the effective label at that time; None when nothing is counted.
        matured: the effective label at the label age; None when there was none.
        cohort: start of the cohort whose counters contain it; None when nothing is counted.
        error_bound: a regression's prediction with a larger error was counted as wrong.
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
        seq: increases with every change that can affect the counters.
        prediction: None while only labels have arrived.
        ambiguous: whether two different predictions have this id; then nothing is counted.
        labels: labels in the order of their arrival.
        counted: what the counters contain of the inference.
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
        """The effective label now."""
        return effective_label(self.labels)

    def label_at_age(self, age: timedelta) -> Label | None:
        """Return the effective label when the prediction had this age."""
        if self.prediction is None:
            return None
        end = self.prediction.at + age
        return effective_label(tuple(label for label in self.labels if label.received_at <= end))

    def to_count(self, label_age: timedelta) -> Counted:
        """Return what the counters should contain of the inference, without the cohort."""
        if self.prediction is None or self.ambiguous:
            return Counted(self.seq, None, None)
        shown, matured = self.label, self.label_at_age(label_age)
        return Counted(self.seq, shown.label if shown else None, matured.label if matured else None)
