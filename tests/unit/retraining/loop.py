"""A model's loop in memory: what the table, the lock and the runs would say, without AWS."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from refit.domain.model_settings import RetrainingSettings
from refit.domain.retraining.rules import Facts, RunFacts, Start, step
from refit.domain.retraining.state import Command, Retraining

MODEL = "digits"
ALARM = "Drift: 40 of 100 answers are wrong (40.00%) since 2026-11-19."
CHANGED_AT = datetime(2026, 11, 19, 23, tzinfo=UTC)


@dataclass
class Loop:
    """One model. `look` does what the retrain function does.

    `new_labels` are of predictions made since the change, `calm_labels` of those before it.
    """

    settings: RetrainingSettings = field(default_factory=RetrainingSettings)
    retraining: Retraining = field(default_factory=Retraining)
    champion: int | None = 1
    alarm: str | None = None
    new_labels: int = 1000
    calm_labels: int = 0
    active_run: str | None = None
    runs: dict[str, RunFacts] = field(default_factory=dict)
    now: datetime = datetime(2026, 11, 20, tzinfo=UTC)
    begun: list[Start] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    commands: int = 0

    def facts(self, command: Command | None = None) -> Facts:
        looked_for = self.retraining.run_to_look_for(MODEL)
        return Facts(
            champion=self.champion,
            alarm=self.alarm,
            changed_at=CHANGED_AT if self.alarm else None,
            new_labels=self.calm_labels + self.new_labels,
            changed_labels=self.new_labels if self.alarm else 0,
            active_run=self.active_run,
            run=self.runs.get(looked_for or ""),
            command=command,
        )

    def look(self, command: Command | None = None) -> Retraining:
        for _ in range(10):
            taken = step(MODEL, self.retraining, self.facts(command), self.settings, self.now)
            if taken.start is not None:
                self.begin(taken.start)
            elif taken.retraining == self.retraining:
                return self.retraining
            else:
                self.notices += taken.notices
                self.retraining = taken.retraining
        raise AssertionError("the steps do not come to rest")

    def begin(self, start: Start) -> None:
        """Take the lock and record the run, as one conditional transaction does."""
        assert self.active_run is None
        assert start.run not in self.runs
        self.begun.append(start)
        self.active_run = start.run
        self.runs[start.run] = RunFacts(
            start.run, start.cause, "STARTED", started_at=self.now, finished_at=None, message=""
        )

    def end(self, status: str, message: str = "as it is") -> Retraining:
        """End the run that is active, and look."""
        run = self.active_run or ""
        self.active_run = None
        if run in self.runs:
            self.set_status(run, status, message)
            if status == "DEPLOYED":
                self.go_live()
        return self.look()

    def set_status(self, run: str, status: str, message: str = "as it is") -> None:
        known = self.runs[run]
        self.runs[run] = replace(known, status=status, finished_at=self.now, message=message)

    def go_live(self) -> None:
        """Another version is live: it has no alarm, and its training has seen all labels."""
        self.champion = (self.champion or 0) + 1
        self.alarm = None
        self.new_labels = self.calm_labels = 0

    def wait(self, seconds: float) -> Retraining:
        self.now += timedelta(seconds=seconds)
        return self.look()

    def say(self, kind: str, by: str = "ada") -> Command:
        self.commands += 1
        return Command.model_validate(
            {"id": f"event-{self.commands}", "kind": kind, "by": by, "at": self.now}
        )
