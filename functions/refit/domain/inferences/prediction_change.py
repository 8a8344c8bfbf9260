"""Decide how a captured prediction changes its inference.

Captures may arrive late, repeatedly, after their label, or with an id that was used before. The
decision depends only on what is known about the inference, not on the order of arrival.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refit.domain.inferences.captured_rows import CapturedRow
    from refit.domain.inferences.inference import Inference, Label


class PredictionEffect(StrEnum):
    """The effect of a captured prediction on its inference."""

    NEW = "new"
    JOINED = "joined"  # the prediction is joined with labels that were held for it
    AMBIGUOUS = "ambiguous"  # a different prediction has the same id, so neither is counted
    NOTHING = "nothing"  # the prediction is already known


@dataclass(frozen=True)
class PredictionChange:
    """A captured row and its effect.

    Attributes:
        before: the stored inference; None when there was none.
        kept: held labels that belong to this event.
        discarded: held labels of an event with another number of rows.
    """

    row: CapturedRow
    effect: PredictionEffect
    before: Inference | None = None
    kept: tuple[Label, ...] = ()
    discarded: tuple[Label, ...] = ()

    @property
    def adds_prediction(self) -> bool:
        """Whether the prediction is counted as a new one in its cohort."""
        return self.effect in {PredictionEffect.NEW, PredictionEffect.JOINED}

    @property
    def is_first(self) -> bool:
        """Whether the stored prediction comes from this row of this capture file."""
        if self.before is None or self.before.prediction is None:
            return self.adds_prediction
        return self.before.prediction.source == self.row.prediction.source


def prediction_change(row: CapturedRow, known: Inference | None) -> PredictionChange:
    """Return the change of a captured row; `known` is None when nothing has arrived for its id."""
    if known is None:
        return PredictionChange(row, PredictionEffect.NEW)
    if known.prediction is None:
        sizes = {None, row.prediction.rows}
        kept = tuple(label for label in known.labels if label.event_size in sizes)
        discarded = tuple(label for label in known.labels if label.event_size not in sizes)
        return PredictionChange(row, PredictionEffect.JOINED, known, kept, discarded)
    is_same = known.prediction.digest == row.prediction.digest
    effect = PredictionEffect.AMBIGUOUS
    if is_same or known.ambiguous:
        effect = PredictionEffect.NOTHING
    return PredictionChange(row, effect, known)
