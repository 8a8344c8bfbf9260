"""The input and the result of one step in the retraining of a model."""

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
    """The current facts about a model, in addition to its retraining state.

    Attributes:
        champion: the live version; None while there is none.
        champion_run: the run that made it.
        alarm: description of the drift of the live version; None without an alarm.
        changed_at: estimated time of the change; None without an alarm.
        new_labels: number of labelled predictions that the live version was not trained on.
        changed_labels: how many of them were predicted since the change.
        active_run: the run that holds the lock of the model.
        run: the run of `RetrainingState.relevant_run`; None when it has not begun.
        command: the user command that triggered this step.
    """

    champion: int | None
    champion_run: str | None
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
        changed_at: estimated time of the change that causes the retraining; None for a request of
            a user.
    """

    run: str
    version: int
    episode: int
    cause: RetrainingCause
    reason: str
    changed_at: datetime | None


@dataclass(frozen=True)
class RetrainingStep:
    """The result of a step.

    Attributes:
        retraining: the new state.
        start: a run to begin before the new state is stored; None to begin no run. Beginning a run
            changes the facts, so another step follows.
        notices: messages to people, to be sent before the new state is stored.
    """

    retraining: RetrainingState
    start: RetrainingStart | None = None
    notices: tuple[str, ...] = ()
