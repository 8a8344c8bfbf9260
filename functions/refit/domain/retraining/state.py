"""The state of a model's retraining, as the RETRAINING item stores it (rules.py changes it)."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from refit.domain.moments import Moment
from refit.domain.naming import run_id
from refit.domain.vocabulary import RetrainingCause


class State(StrEnum):
    """Where a model stands."""

    HEALTHY = "healthy"
    DRIFTING = "drifting"
    RETRAINING = "retraining"
    COOLING = "cooling"
    BLOCKED = "blocked"


class Part(BaseModel):
    """A part of the RETRAINING item."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Owed(Part):
    """A retraining that should begin and cannot yet."""

    why: str
    since: Moment


class Command(Part):
    """A person's word.

    Attributes:
        id: of the event that brought it: delivered again, it is the same.
        kind: start a retraining whatever the evidence, or let a blocked model go on.
        by: who said so.
        at: when it came.
    """

    id: str
    kind: Literal["retrain", "unblock"]
    by: str
    at: Moment


class Result(Part):
    """How the last retraining ended."""

    run: str
    cause: RetrainingCause
    status: str
    at: Moment
    message: str


class Retraining(Part):
    """The RETRAINING item of a model.

    Attributes:
        since: when the state was entered; None before anything happened.
        version: the live version that all of this is about.
        episodes: how many have had their run.
        reason: why the model drifts, or is retrained: a sentence.
        run: the retraining that is under way, or was the last.
        cause: of that run.
        request: of a person, not carried out yet.
        owed: what should begin, and why it does not.
        started: when drift's retrainings of the last 24 hours began.
        failures: retrainings in a row that brought no better model.
        labels_used: labels since the change that the last run had when it began.
        cooled_until: end of the rest after a retraining.
        last: how the last retraining ended.
        note: what a person should know beside that.
        commands: ids of those that were taken in.
        revision: counts the changes; each is made on condition of the one before.
    """

    state: State = State.HEALTHY
    since: Moment | None = None
    version: int | None = None
    episodes: int = 0
    reason: str | None = None
    run: str | None = None
    cause: RetrainingCause | None = None
    request: Command | None = None
    owed: Owed | None = None
    started: tuple[Moment, ...] = ()
    failures: int = 0
    labels_used: int = 0
    cooled_until: Moment | None = None
    last: Result | None = None
    note: str | None = None
    commands: tuple[str, ...] = ()
    revision: int = 0

    @property
    def is_plainly_healthy(self) -> bool:
        """Say whether nothing is under way, owed or to be waited for."""
        return self.state is State.HEALTHY and self.request is None and self.owed is None

    def run_to_look_for(self, model: str) -> str | None:
        """Return the id of the run that is under way, or else of the one that would begin next."""
        if self.state is State.RETRAINING:
            return self.run
        if self.version is None:
            return None
        return run_of_episode(model, self.version, self.episodes + 1)

    def but(self, **changes: Any) -> Retraining:
        """Return this with some attributes changed."""
        return Retraining.model_validate(self.model_dump() | changes)


def run_of_episode(model: str, version: int, episode: int) -> str:
    """Return the id of the run that an episode starts."""
    return run_id(model, [("episode", str(episode)), ("version", str(version))])
