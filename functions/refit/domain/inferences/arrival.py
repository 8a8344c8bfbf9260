"""What a captured prediction changes that arrives for an inference.

Captures come late, twice, after their label, and now and then under an id that was used before.
What is decided here depends on what is known of the inference, never on what came first.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refit.domain.inferences.captured_rows import CapturedRow
    from refit.domain.inferences.inference import Inference, Label


class Effect(StrEnum):
    """What an arrival does to its inference."""

    NEW = "new"
    JOINED = "joined"  # with a label that was held for it
    AMBIGUOUS = "ambiguous"  # another prediction has the id: neither counts
    NOTHING = "nothing"  # it is known


@dataclass(frozen=True)
class Arrival:
    """A captured row, and what it does.

    Attributes:
        before: the inference as it was read; None when there was none.
        kept: labels that were held for it and are of this event.
        dropped: labels that were held and are of an event with another number of rows.
    """

    row: CapturedRow
    effect: Effect
    before: Inference | None = None
    kept: tuple[Label, ...] = ()
    dropped: tuple[Label, ...] = ()

    @property
    def is_predicted(self) -> bool:
        """Whether the cohort has one prediction more by it."""
        return self.effect in {Effect.NEW, Effect.JOINED}

    @property
    def is_first(self) -> bool:
        """Whether the inference is this very row: again so, when its file is delivered again."""
        if self.before is None or self.before.prediction is None:
            return self.is_predicted
        return self.before.prediction.source == self.row.prediction.source


def arrival_of(row: CapturedRow, known: Inference | None) -> Arrival:
    """Decide what a captured row does.

    Args:
        row: that was captured.
        known: its inference as it is; None when neither prediction nor label has come.
    """
    if known is None:
        return Arrival(row, Effect.NEW)
    if known.prediction is None:
        rows = row.prediction.rows
        kept = tuple(label for label in known.labels if label.of in {None, rows})
        dropped = tuple(label for label in known.labels if label.of not in {None, rows})
        return Arrival(row, Effect.JOINED, known, kept, dropped)
    is_same = known.prediction.digest == row.prediction.digest
    effect = Effect.NOTHING if is_same or known.ambiguous else Effect.AMBIGUOUS
    return Arrival(row, effect, known)
