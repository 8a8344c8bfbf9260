"""An in-memory model with its retraining state, its lock and its runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from refit.domain.model_settings import RetrainingSettings
from refit.domain.pipeline.run import Run
from refit.domain.retraining.facts import LastComparable, RetrainingFacts, RetrainingStart
from refit.domain.retraining.rules import step
from refit.domain.retraining.state import RetrainingState, UserCommand
from refit.domain.vocabulary import RunStatus

MODEL = "digits"
ALARM = "Drift: 40 of 100 predictions are wrong (40.00%) since 2026-11-19."
CHANGED_AT = datetime(2026, 11, 19, 23, tzinfo=UTC)


@dataclass
class Loop:
    """One model and its retraining. `advance` does the same as the use case `retrain`.

    Attributes:
        new_labels: labels of predictions made since the change.
        earlier_labels: labels of predictions made before the change.
        seen: number of these labels that the last run of the live version has read, by run.
        has_other_settings: whether a setting has changed since.
    """

    settings: RetrainingSettings = field(default_factory=RetrainingSettings)
    retraining: RetrainingState = field(default_factory=RetrainingState)
    champion: int | None = 1
    alarm: str | None = None
    new_labels: int = 1000
    earlier_labels: int = 0
    has_other_settings: bool = False
    seen: dict[str, int] = field(default_factory=dict)
    active_run: str | None = None
    runs: dict[str, Run] = field(default_factory=dict)
    now: datetime = datetime(2026, 11, 20, tzinfo=UTC)
    begun: list[RetrainingStart] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    commands_given: int = 0

    def facts(self, command: UserCommand | None = None) -> RetrainingFacts:
        live_run = f"run{self.champion}" if self.champion else None
        run = self.retraining.relevant_run(MODEL)
        return RetrainingFacts(
            champion=self.champion,
            champion_run=live_run,
            alarm=self.alarm,
            changed_at=CHANGED_AT if self.alarm else None,
            changed_labels=self.new_labels if self.alarm else 0,
            active_run=self.active_run,
            run=self.runs.get(run or ""),
            command=command,
            last=self.last(),
        )

    def last(self) -> LastComparable:
        """Return what has changed since the last run of the live version."""
        run = self.retraining.run or ""
        is_of_version = self.retraining.version == self.champion and run in self.seen
        new_labels = self.earlier_labels + self.new_labels
        if not is_of_version or run not in self.runs:
            return LastComparable("made-it", new_labels, self.has_other_settings)
        return LastComparable(
            run,
            new_labels - self.seen[run],
            self.has_other_settings,
            has_failed=self.runs[run].status is RunStatus.FAILED,
        )

    def advance(self, command: UserCommand | None = None) -> RetrainingState:
        for _ in range(10):
            taken = step(MODEL, self.retraining, self.facts(command), self.settings, self.now)
            if taken.start is not None:
                self.begin(taken.start)
            elif taken.retraining == self.retraining:
                return self.retraining
            else:
                self.notices += taken.notices
                self.retraining = taken.retraining
        raise AssertionError("the steps do not end")

    def begin(self, start: RetrainingStart) -> None:
        """Take the lock and record the run, like one conditional transaction."""
        assert self.active_run is None
        assert start.run not in self.runs
        self.begun.append(start)
        self.seen[start.run] = self.earlier_labels + self.new_labels
        self.active_run = start.run
        self.runs[start.run] = Run(
            run=start.run,
            model=MODEL,
            cause=start.cause,
            status=RunStatus.STARTED,
            started_at=self.now,
            updated_at=self.now,
        )

    def end(self, status: str, message: str = "as it is") -> RetrainingState:
        """End the active run, and advance."""
        run = self.active_run or ""
        self.active_run = None
        if run in self.runs:
            self.set_status(run, status, message)
            if status == "DEPLOYED":
                self.go_live()
        return self.advance()

    def set_status(self, run: str, status: str, message: str = "as it is") -> None:
        changes = {"status": RunStatus(status), "finished_at": self.now, "message": message}
        self.runs[run] = self.runs[run].model_copy(update=changes)

    def go_live(self) -> None:
        """Make another version live: it has no alarm, and was trained on all labels."""
        self.champion = (self.champion or 0) + 1
        self.alarm = None
        self.new_labels = self.earlier_labels = 0
        self.seen = {}

    def wait(self, seconds: float) -> RetrainingState:
        self.now += timedelta(seconds=seconds)
        return self.advance()

    def command(self, kind: str, by: str = "ada", **more: Any) -> UserCommand:
        self.commands_given += 1
        command = {"id": f"event-{self.commands_given}", "kind": kind, "by": by, "at": self.now}
        return UserCommand.model_validate(command | more)


def drifting(**settings: Any) -> Loop:
    """Return a model whose live version has an alarm, before the first step."""
    return Loop(settings=RetrainingSettings(**settings), alarm=ALARM)


def causes(loop: Loop) -> list[str]:
    """Return why each retraining began."""
    return [start.cause for start in loop.begun]


def blocked(**settings: Any) -> Loop:
    """Return a model that is blocked because two challengers were no better."""
    loop = drifting(**({"cooldown_s": 0, "min_labels": 10} | settings))
    for _ in range(loop.settings.max_failures):
        loop.new_labels += 1000
        loop.advance()
        loop.end("REFUSED", "not better on the fresh rows")
    return loop


def about_to_begin() -> Loop:
    """Return a model whose next step begins a run."""
    loop = Loop()
    loop.advance()
    loop.alarm = ALARM
    return loop
