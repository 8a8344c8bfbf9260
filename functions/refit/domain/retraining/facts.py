"""What a step of a model's retraining is decided on, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from refit.domain.pipeline.run import Run
    from refit.domain.retraining.state import RetrainingState, UserCommand
    from refit.domain.vocabulary import RetrainingCause


@dataclass(frozen=True)
class RetrainingFacts:
    """The current facts about a model, beside its retraining state.

    Attributes:
        champion: the live version; None while there is none.
        alarm: why the live version drifts, as a sentence; None without an alarm.
        changed_at: estimated time of the change; None without an alarm.
        new_labels: labelled predictions that the training data of the live version lacks.
        changed_labels: those of them that were predicted since the change.
        active_run: the run that holds the lock of the model.
        run: the run of `RetrainingState.relevant_run`; None when it has not begun.
        command: the user command that triggered this step.
    """

    champion: int | None
    alarm: str | None
    changed_at: datetime | None
    new_labels: int
    changed_labels: int
    active_run: str | None
    run: Run | None
    command: UserCommand | None = None


@dataclass(frozen=True)
class RetrainingStart:
    """A retraining that should begin now.

    Attributes:
        changed_at: estimated time of the change that the new version is fitted to; None for a
            request.
    """

    run: str
    version: int
    episode: int
    cause: RetrainingCause
    reason: str
    changed_at: datetime | None


@dataclass(frozen=True)
class RetrainingStep:
    """What follows from the facts.

    Attributes:
        retraining: the new state.
        start: a run to begin before the new state is stored. It changes the facts, so another step
            follows.
        notices: messages to people, to be sent before the new state is stored.
    """

    retraining: RetrainingState
    start: RetrainingStart | None = None
    notices: tuple[str, ...] = ()
