"""Reads all there is to know about one run, again and again, and says what changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from refit.domain.naming import ResourceNames

from refit_cli.errors import BadInput
from refit_cli.history import ExecutionHistory, StateSpan
from refit_cli.records import Records, Run, run_to_follow
from refit_cli.training_log import Round, TrainingLog

if TYPE_CHECKING:
    from refit.domain.evaluation.gate import GateDecision
    from refit.domain.evaluation.report import Evaluation, ModelQuality

    from refit_cli.connection import Connection

_BEFORE_TRAINING = frozenset({"STARTED", "PREPARING"})
_AFTER_EVALUATION = frozenset({"REGISTERING", "AWAITING_APPROVAL", "DEPLOYING"})


@dataclass(frozen=True)
class Event:
    """Something that changed."""

    event: str
    data: dict[str, Any]

    def as_json(self, model: str, run: str | None) -> dict[str, Any]:
        """Return the event as `watch --json` prints it."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        return {"event": self.event, "at": at, "model": model, "run": run, **self.data}


@dataclass
class View:
    """All that is known of the followed run by now."""

    model: str
    began_at: datetime
    run: Run | None = None
    waiting_for: str = ""
    spans: list[StateSpan] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)
    planned_rounds: int | None = None
    job: str | None = None
    evaluation: Evaluation | None = None
    decision: GateDecision | None = None
    endpoint: str | None = None
    endpoint_status: str | None = None

    def seconds(self, now: datetime) -> float:
        """Return how long the run has taken, or the wait for it."""
        if self.run is None:
            return (now - self.began_at).total_seconds()
        return ((self.run.finished_at or now) - self.run.started_at).total_seconds()


class Follower:
    """Follows a run's record, its executions' histories and its training log.

    Args:
        connection: the ground.
        model: the model's name.
        run: the run to follow; without one, the run whose outcome counts now.
    """

    def __init__(self, connection: Connection, model: str, run: str | None = None) -> None:
        self._connection = connection
        self._records = Records(connection)
        self._names = ResourceNames(connection.stack.name_prefix, model)
        self._asked_for = run
        self._chosen = run
        self._awaited = ""
        self._histories: dict[str, ExecutionHistory] = {}
        self._log: TrainingLog | None = None
        self.view = View(model, datetime.now(UTC))

    @property
    def is_complete(self) -> bool:
        """Say whether the executions have nothing more to tell."""
        return all(history.ended for history in self._histories.values())

    def poll(self) -> list[Event]:
        """Read everything once, and return what changed.

        Raises:
            BadInput: when the run that was asked for does not exist.
        """
        before = self.view.run
        run = self._current_run()
        if run is None:
            return self._still_waiting()
        self.view.run = run
        events: list[Event] = []
        if before is None or before.run != run.run:
            self._begin(run)
            before = None
            started_at = run.started_at.isoformat(timespec="milliseconds")
            events.append(Event("run", {"cause": run.cause, "startedAt": started_at}))
        events += self._new_spans(run)
        events += self._new_rounds(run)
        if before is None or before.status != run.status:
            events.append(Event("status", {"status": run.status}))
        events += self._new_results(run)
        return events

    def _current_run(self) -> Run | None:
        model = self.view.model
        found = self._records.run(model, self._chosen) if self._chosen else None
        if self._asked_for is not None:
            if found is None:
                raise BadInput(
                    f"the model {model!r} has no run {self._asked_for!r}",
                    f"see its runs with `refit status {model}`",
                )
            return found
        if found is None or found.status == "SUPERSEDED":
            runs = self._records.runs(model)
            found = run_to_follow(self._records, model, runs)
            self._chosen = found.run if found else None
            self._awaited = "" if found else self._what_is_awaited(runs)
        return found

    def _what_is_awaited(self, runs: list[Run]) -> str:
        if self._records.newest_file(self.view.model) is None:
            return f"nothing has been dropped yet: refit put {self.view.model} FILE"
        if runs and not runs[0].has_ended:
            return f"run {runs[0].run} is {runs[0].status}; your drop starts when it has ended"
        return "the drop folder has to be quiet for a while, then the run starts"

    def _still_waiting(self) -> list[Event]:
        if self._awaited == self.view.waiting_for:
            return []
        self.view.waiting_for = self._awaited
        return [Event("waiting", {"for": self._awaited})]

    def _begin(self, run: Run) -> None:
        self.view.waiting_for = ""
        self.view.rounds, self.view.endpoint = [], None
        self.view.evaluation, self.view.decision = None, None
        self._histories = {}
        self._log = TrainingLog(
            self._connection.client("logs"),
            self._connection.client("sagemaker"),
            self._names.job(run.run),
        )

    def _new_spans(self, run: Run) -> list[Event]:
        events = []
        for machine, execution in (
            ("train", run.train_execution),
            ("deploy", run.deploy_execution),
        ):
            if execution is None:
                continue
            if machine not in self._histories:
                stepfunctions = self._connection.client("stepfunctions")
                self._histories[machine] = ExecutionHistory(stepfunctions, machine, execution)
            events += [_state_event(span) for span in self._histories[machine].poll()]
        self.view.spans = [span for found in self._histories.values() for span in found.spans]
        return events

    def _new_rounds(self, run: Run) -> list[Event]:
        if self._log is None or run.status in _BEFORE_TRAINING:
            return []
        new = self._log.poll()
        self.view.rounds = self._log.rounds
        self.view.planned_rounds = self._log.planned_rounds
        self.view.job = self._log.job
        return [Event("round", {"round": found.number, "metrics": found.metrics}) for found in new]

    def _new_results(self, run: Run) -> list[Event]:
        view = self.view
        events = []
        if view.evaluation is None and (run.has_ended or run.status in _AFTER_EVALUATION):
            view.evaluation = self._records.evaluation(view.model, run.run)
            if view.evaluation is not None:
                events.append(_evaluation_event(view.evaluation))
        if view.decision is None and view.evaluation is not None:
            view.decision = self._records.decision(view.model, run.run)
            if view.decision is not None:
                events.append(Event("gate", view.decision.model_dump()))
        if view.endpoint is None and run.status == "DEPLOYED":
            view.endpoint = self._names.endpoint
            view.endpoint_status = self._records.endpoint_status(view.endpoint)
            found = {"endpoint": view.endpoint, "endpointStatus": view.endpoint_status}
            events.append(Event("endpoint", found))
        return events


def _state_event(span: StateSpan) -> Event:
    data: dict[str, Any] = {"machine": span.machine, "state": span.state}
    if span.left_at is None:
        return Event("entered", data)
    return Event("left", data | {"seconds": round(span.seconds(span.left_at), 3)})


def _evaluation_event(evaluation: Evaluation) -> Event:
    new = evaluation.new
    champion = _values(new.champion) if new.champion else None
    return Event(
        "evaluation",
        {"rows": new.rows, "challenger": _values(new.challenger), "champion": champion},
    )


def _values(quality: ModelQuality) -> dict[str, float]:
    return {name: estimate.value for name, estimate in quality.metrics.items()}
