"""One predicted row and what is known of it: the item of InferenceTable, read.

Prediction and label come in any order, late, more than once, and contradict each other. Everything
that is decided here is a function of what the item holds, never of the order in which it came.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Self

ID_PATTERN = re.compile(r"[!-~][ -~]{0,79}\Z")
"""An inference id: 1 to 80 printable ASCII characters, the first no space."""

MAX_LABELS = 20
"""So many label events of one inference are kept; the winner is never dropped."""


def inference_ids(event_id: str, rows: int) -> list[str]:
    """Return the id of each row of an event: the event's own for one row, numbered for more."""
    return [event_id] if rows == 1 else [f"{event_id}-{row}" for row in range(rows)]


def item_id(model: str, inference_id: str) -> str:
    """Return the key of an inference's item: model names hold no `#`."""
    return f"{model}#{inference_id}"


@dataclass(frozen=True)
class Label:
    """What really happened, as somebody said it once.

    Attributes:
        label: the class's text or the number's, in its one spelling (`schema.class_text`).
        observed_at: when it was seen in the world; the newest wins.
        received_at: when Refit heard of it.
        of: how many labels the record listed for its event; None when it was for one row.
    """

    label: str
    observed_at: datetime
    received_at: datetime
    of: int | None = None

    @property
    def rank(self) -> tuple[datetime, str]:
        """The winner has the largest; the text breaks a tie, so that order does not matter."""
        return self.observed_at, self.label

    def as_item(self) -> dict[str, Any]:
        """Return the element of the item's `labels`."""
        known = {
            "label": self.label,
            "observed_at": self.observed_at.isoformat(timespec="milliseconds"),
            "received_at": self.received_at.isoformat(timespec="milliseconds"),
        }
        return known if self.of is None else known | {"of": self.of}

    @classmethod
    def from_item(cls, value: dict[str, Any]) -> Self:
        """Read an element of the item's `labels`."""
        return cls(
            value["label"],
            datetime.fromisoformat(value["observed_at"]),
            datetime.fromisoformat(value["received_at"]),
            int(value["of"]) if "of" in value else None,
        )


def winner(labels: tuple[Label, ...]) -> Label | None:
    """Return the label that holds: the one observed last; None without any."""
    return max(labels, key=lambda label: label.rank, default=None)


def kept(labels: tuple[Label, ...]) -> tuple[Label, ...]:
    """Return the labels that an item keeps: all, or the winner and the newest beside it."""
    if len(labels) <= MAX_LABELS:
        return labels
    best = winner(labels)
    others = [label for label in labels if label is not best]
    chosen = others[:1] + others[len(others) - MAX_LABELS + 2 :]  # the first one gives the delay
    return tuple(label for label in labels if label is best or label in chosen)


@dataclass(frozen=True)
class Source:
    """Where a row's features are: a capture file, a line of it and a row of that, from 0."""

    key: str
    line: int
    row: int


@dataclass(frozen=True)
class Prediction:
    """What a version answered to one row.

    Attributes:
        text: the class's text, or the number's.
        confidence: the largest probability; None for a regression.
        probabilities: little-endian float32, one per class of the version; None where not captured.
        version: the model version that answered.
        at: when.
        rows: how many rows its event had.
        digest: of version, input and answer: another one under the same id is another prediction.
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
    """What the counters hold of an inference: labels as texts, None where nothing is counted.

    Attributes:
        seq: of the inference when it was counted.
        shown: the label that held then.
        matured: the label that held at the label age.
        cohort: when the cohort begins in whose counters it is; None where nothing is counted.
        error_bound: a regression's answer further off than this was counted as an error.
    """

    seq: int
    shown: str | None
    matured: str | None
    cohort: datetime | None = None
    error_bound: float | None = None

    def as_item(self) -> dict[str, Any]:
        """Return the item's `counted`."""
        known = {
            "seq": self.seq,
            "shown": self.shown,
            "matured": self.matured,
            "cohort": self.cohort.isoformat() if self.cohort else None,
            "error_bound": None if self.error_bound is None else Decimal(str(self.error_bound)),
        }
        return {name: value for name, value in known.items() if value is not None}

    @classmethod
    def from_item(cls, value: dict[str, Any]) -> Self:
        """Read the item's `counted`."""
        return cls(
            int(value["seq"]),
            value.get("shown"),
            value.get("matured"),
            datetime.fromisoformat(value["cohort"]) if "cohort" in value else None,
            float(value["error_bound"]) if "error_bound" in value else None,
        )


NOTHING_COUNTED = Counted(0, None, None)


@dataclass(frozen=True)
class Inference:
    """An item of InferenceTable.

    Attributes:
        seq: raised by each change that can alter what is counted.
        prediction: None while only a label has come.
        ambiguous: two different predictions came under this id: it counts as nothing.
        labels: in the order of their arrival.
        counted: what was counted of it so far.
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
        return winner(self.labels)

    def label_at_age(self, age: timedelta) -> Label | None:
        """Return the label that held when the prediction was so old; None before it is made."""
        if self.prediction is None:
            return None
        closed = self.prediction.at + age
        return winner(tuple(label for label in self.labels if label.received_at <= closed))

    def to_count(self, label_age: timedelta) -> Counted:
        """Return what the counters should hold of it."""
        if self.prediction is None or self.ambiguous:
            return Counted(self.seq, None, None)
        shown, matured = self.label, self.label_at_age(label_age)
        return Counted(self.seq, shown.label if shown else None, matured.label if matured else None)

    @classmethod
    def from_item(cls, item: dict[str, Any]) -> Self:
        """Read an item, its numbers and texts as DynamoDB's deserializer gives them."""
        counted = item.get("counted")
        return cls(
            model=item["model"],
            inference_id=item["inference_id"],
            seq=int(item.get("seq", 0)),
            prediction=_prediction(item) if "digest" in item else None,
            ambiguous=bool(item.get("ambiguous", False)),
            labels=tuple(Label.from_item(label) for label in item.get("labels", ())),
            counted=Counted.from_item(counted) if counted else NOTHING_COUNTED,
        )


def _prediction(item: dict[str, Any]) -> Prediction:
    probabilities = item.get("probabilities")
    return Prediction(
        text=item["prediction"],
        confidence=float(item["confidence"]) if "confidence" in item else None,
        probabilities=bytes(probabilities) if probabilities is not None else None,
        version=int(item["version"]),
        at=datetime.fromisoformat(item["predicted_at"]),
        source=Source(item["source_key"], int(item["source_line"]), int(item["source_row"])),
        rows=int(item["rows"]),
        digest=item["digest"],
    )
