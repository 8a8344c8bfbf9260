"""The retraining state of a model, as the RETRAINING item stores it. rules.py changes it.

`model_dump(by_alias=True)` gives the published form, whose names are in camel case.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import AliasGenerator, BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from refit.domain.moments import Moment
from refit.domain.naming import run_id
from refit.domain.vocabulary import RetrainingCause, RunStatus


class RetrainingStatus(StrEnum):
    """Status of a model's retraining."""

    HEALTHY = "healthy"
    DRIFTING = "drifting"
    RETRAINING = "retraining"
    COOLING = "cooling"
    BLOCKED = "blocked"


class RetrainingPart(BaseModel):
    """A part of the RETRAINING item."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=AliasGenerator(serialization_alias=to_camel),
    )


class PendingRetraining(RetrainingPart):
    """A retraining that is due but cannot start yet."""

    why: str
    since: Moment


class UserCommand(RetrainingPart):
    """A command of a user.

    Attributes:
        id: id of the event that contains the command; a repeated delivery has the same id.
        kind: start a retraining regardless of drift, or unblock a blocked model.
        by: the user who gave the command.
        again: retrain even if nothing has changed since the last run.
        expected_run: the run of which the user was told that it answers the command; None if
            another run was active, so that it could not be told.
    """

    id: str
    kind: Literal["retrain", "unblock"]
    by: str
    at: Moment
    again: bool = False
    expected_run: str | None = None


class RetrainingResult(RetrainingPart):
    """How the last retraining ended."""

    run: str
    cause: RetrainingCause
    status: RunStatus
    at: Moment
    message: str


class RetrainingState(RetrainingPart):
    """The RETRAINING item of a model.

    Attributes:
        state: status of the retraining.
        since: when `state` last changed; None before the first change.
        version: the live version that the state refers to.
        version_run: the run that made it; None in a state that was stored before it was recorded.
        episodes: number of episodes whose run has begun.
        reason: sentence that states why the model drifts or is retrained.
        run: the active retraining, or the last one.
        cause: cause of that run.
        request: request of a user that has not been carried out yet.
        pending: a retraining that is due, and why it cannot start yet.
        started: start times of the retrainings that drift caused in the last 24 hours.
        failures: number of consecutive retrainings that did not improve the model.
        labels_used: number of labels since the change, counted when the last run began.
        repeats: whether a user requested the last run without any label or setting that the run
            before it did not have.
        cooled_until: end of the cool-down after a retraining.
        last: how the last retraining ended.
        note: additional information for people.
        commands: ids of the commands that were applied.
        revision: number of changes. A change is stored only if the revision is still the one that
            was read.
    """

    state: RetrainingStatus = RetrainingStatus.HEALTHY
    since: Moment | None = None
    version: int | None = None
    version_run: str | None = None
    episodes: int = 0
    reason: str | None = None
    run: str | None = None
    cause: RetrainingCause | None = None
    request: UserCommand | None = None
    pending: PendingRetraining | None = None
    started: tuple[Moment, ...] = ()
    failures: int = 0
    labels_used: int = 0
    repeats: bool = False
    cooled_until: Moment | None = None
    last: RetrainingResult | None = None
    note: str | None = None
    commands: tuple[str, ...] = ()
    revision: int = 0

    @property
    def is_idle(self) -> bool:
        """Whether the model is healthy and no retraining is active, requested or pending."""
        return (
            self.state is RetrainingStatus.HEALTHY and self.request is None and self.pending is None
        )

    def relevant_run(self, model: str) -> str | None:
        """Return the id of the active run or, without one, of the run of the next episode."""
        if self.state is RetrainingStatus.RETRAINING:
            return self.run
        if self.version is None or self.version_run is None:
            return None
        return run_of_episode(model, self.version_run, self.version, self.episodes + 1)

    def with_changes(self, **changes: Any) -> RetrainingState:
        """Return a copy with some attributes changed."""
        return RetrainingState.model_validate(self.model_dump() | changes)


def run_of_episode(model: str, version_run: str, version: int, episode: int) -> str:
    """Return the id of the run that an episode begins.

    The version alone does not tell a model from one of the same name that was removed, whose
    executions and jobs keep their names: the run that made the version does.
    """
    causes = [("episode", str(episode)), ("run", version_run), ("version", str(version))]
    return run_id(model, causes)
