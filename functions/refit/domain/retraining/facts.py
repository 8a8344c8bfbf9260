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
class LastComparable:
    """The last run that trained for the live version, and what has changed since it began.

    It is the last retraining of the live version if that had the settings of now, or else the run
    that made the version. If the settings of neither are those of now, they have changed.

    Attributes:
        new_labels: labelled predictions that it has not read.
        has_failed: whether it ended without a model, so that there is reason to repeat it.
    """

    run: str
    new_labels: int
    has_other_settings: bool = False
    has_failed: bool = False

    @property
    def is_outdated(self) -> bool:
        """Whether a run that begins now has other data or other settings."""
        return self.new_labels > 0 or self.has_other_settings


@dataclass(frozen=True)
class RetrainingFacts:
    """The current facts about a model, in addition to its retraining state.

    Attributes:
        champion: the live version; None while there is none.
        champion_run: the run that made it.
        alarm: description of the drift of the live version; None without an alarm.
        changed_at: estimated time of the change; None without an alarm.
        changed_labels: number of labelled predictions that were made since the change.
        active_run: the run that holds the lock of the model.
        run: the run of `RetrainingState.relevant_run`; None when it has not begun.
        command: the user command that triggered this step.
        last: what has changed since the last run; None if neither a command nor a request asks.
    """

    champion: int | None
    champion_run: str | None
    alarm: str | None
    changed_at: datetime | None
    changed_labels: int
    active_run: str | None
    run: Run | None
    command: UserCommand | None = None
    last: LastComparable | None = None


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
