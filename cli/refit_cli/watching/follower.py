"""Read all information about one run repeatedly, and report what has changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from refit.domain.errors import ObjectNotFound
from refit.domain.naming import ResourceNames
from refit.domain.pipeline.algorithms import algorithm_of
from refit.domain.vocabulary import RunStatus
from refit.stores.execution_states import ExecutionStates, StateSpan
from refit.stores.tuning_progress import TuningFollower, TuningProgress

from refit_cli.errors import BadInput
from refit_cli.watching.progress import TrainingLog
from refit_cli.watching.selection import dropped_files, has_ended, run_to_follow

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit.domain.evaluation.gate import GateDecision
    from refit.domain.evaluation.report import Evaluation, ModelQuality
    from refit.domain.evaluation.training_curves import BoostingRound
    from refit.domain.learned import Learned
    from refit.domain.pipeline.run import Run

    from refit_cli.connection import StackConnection

Artifact = TypeVar("Artifact")

_BEFORE_TRAINING = frozenset({RunStatus.STARTED, RunStatus.PREPARING})
_AFTER_EVALUATION = frozenset(
    {RunStatus.REGISTERING, RunStatus.AWAITING_APPROVAL, RunStatus.DEPLOYING}
)


@dataclass(frozen=True)
class RunEvent:
    """A change of the followed run.

    Attributes:
        at: when it happened, which may be long before it is read.
    """

    event: str
    at: datetime
    data: dict[str, Any]

    def as_json(self, model: str, run: str | None) -> dict[str, Any]:
        """Return the event as `refit watch --json` prints it."""
        at = self.at.astimezone(UTC).isoformat(timespec="milliseconds")
        return {"event": self.event, "at": at, "model": model, "run": run, **self.data}


@dataclass
class RunView:
    """What is known of the followed run so far.

    Attributes:
        began_at: when the command began to follow or to wait.
        rounds: of the training job whose log is read.
        trained: what it trains, such as `fold 1`.
        waiting_for: why there is no run yet.
    """

    model: str
    began_at: datetime
    run: Run | None = None
    waiting_for: str = ""
    spans: list[StateSpan] = field(default_factory=list)
    rounds: list[BoostingRound] = field(default_factory=list)
    planned_rounds: int | None = None
    trained: str = "training"
    tuning: TuningProgress | None = None
    learned: Learned | None = None
    evaluation: Evaluation | None = None
    decision: GateDecision | None = None
    endpoint: str | None = None
    endpoint_status: str | None = None

    def seconds(self, now: datetime) -> float:
        """Return the duration of the run, or of the wait for it."""
        if self.run is None:
            return (now - self.began_at).total_seconds()
        return ((self.run.finished_at or now) - self.run.started_at).total_seconds()


class Follower:
    """Follows a run's record, the histories of its executions and its training log.

    Args:
        run: the run to follow; by default, the run of the newest uploaded data.
    """

    def __init__(self, connection: StackConnection, model: str, run: str | None = None) -> None:
        self._connection = connection
        self._names = ResourceNames(connection.stack.name_prefix, model)
        self._requested_run = run
        self._followed_run = run
        self._waiting_for = ""
        self._histories: dict[str, ExecutionStates] = {}
        self._log: TrainingLog | None = None
        self._tuning: TuningFollower | None = None
        self._reported_learned: Learned | None = None
        self.view = RunView(model, datetime.now(UTC))

    @property
    def is_complete(self) -> bool:
        """Whether the histories of all executions have been read to their end."""
        return all(history.ended for history in self._histories.values())

    def poll(self) -> list[RunEvent]:
        """Read everything once, and return what has changed, in the order in which it happened.

        Raises:
            BadInput: when the requested run does not exist.
        """
        previous = self.view.run
        run = self._current_run()
        if run is None:
            return self._waiting_events()
        self.view.run = run
        begin: list[RunEvent] = []
        if previous is None or previous.run != run.run:
            self._begin(run)
            previous = None
            started_at = run.started_at.isoformat(timespec="milliseconds")
            begin.append(
                RunEvent("run", run.started_at, {"cause": run.cause, "startedAt": started_at})
            )
        events = self._state_events(run)
        events += self._tuning_events(run)
        events += self._round_events(run)
        if previous is None or previous.status != run.status:
            events.append(RunEvent("status", _recorded_at(run), {"status": run.status}))
        told = previous.message if previous else None
        if run.message and run.message != told and not has_ended(run):
            events.append(RunEvent("message", run.updated_at, {"message": run.message}))
        events += self._result_events(run)
        return begin + sorted(events, key=lambda event: event.at)

    def _current_run(self) -> Run | None:
        model = self.view.model
        run = self._connection.models.run(model, self._followed_run) if self._followed_run else None
        if self._requested_run is not None:
            if run is None:
                raise BadInput(
                    f"the model {model!r} has no run {self._requested_run!r}",
                    f"list its runs with `refit status {model}`",
                )
            return run
        if run is None or run.status == RunStatus.SUPERSEDED:
            run = run_to_follow(self._connection, model)
            self._followed_run = run.run if run else None
            self._waiting_for = "" if run else self._reason_to_wait()
        return run

    def _reason_to_wait(self) -> str:
        model = self.view.model
        if not dropped_files(self._connection.bucket, model):
            models = self._connection.models.models()
            known = "" if model in models else f"there is no model {model!r} yet; "
            others = f"; models: {', '.join(models)}" if known and models else ""
            return f"{known}no data has been uploaded: refit put {model} FILE{others}"
        runs = self._connection.models.runs(model)
        if runs and not has_ended(runs[0]):
            return f"run {runs[0].run} is {runs[0].status}; the run of your data starts after it"
        return "the run starts when no more files are uploaded for a moment"

    def _waiting_events(self) -> list[RunEvent]:
        if self._waiting_for == self.view.waiting_for:
            return []
        self.view.waiting_for = self._waiting_for
        return [RunEvent("waiting", datetime.now(UTC), {"for": self._waiting_for})]

    def _begin(self, run: Run) -> None:
        self.view.waiting_for = ""
        self.view.rounds, self.view.endpoint, self.view.learned = [], None, None
        self.view.evaluation, self.view.decision = None, None
        self._histories, self._reported_learned = {}, None
        self._log = None
        self._tuning = TuningFollower(
            self._connection.client("sagemaker"), self._names.tuning_job(run.run)
        )
        self.view.tuning = None

    def _state_events(self, run: Run) -> list[RunEvent]:
        events = []
        for machine, execution in (
            ("train", run.train_execution_arn),
            ("deploy", run.deploy_execution_arn),
        ):
            if execution is None:
                continue
            if machine not in self._histories:
                stepfunctions = self._connection.client("stepfunctions")
                self._histories[machine] = ExecutionStates(stepfunctions, machine, execution)
            events += [_state_event(span) for span in self._histories[machine].poll()]
        self.view.spans = [span for history in self._histories.values() for span in history.spans]
        return events

    def _tuning_events(self, run: Run) -> list[RunEvent]:
        if self._tuning is None or run.status is not RunStatus.TRAINING:
            return []
        progress = self._tuning.poll()
        if progress is None:
            return []
        self.view.tuning = progress
        return [RunEvent("trial", datetime.now(UTC), progress.as_json())]

    def _round_events(self, run: Run) -> list[RunEvent]:
        if run.status in _BEFORE_TRAINING:
            return []
        if self._log is None:
            self._log = self._begun_log(run)
        if self._log is None:
            return []
        if self.view.tuning is not None and self._tuning is not None and self._tuning.job:
            self._log.job_prefix = self._tuning.job
        rounds = self._log.poll()
        view = self.view
        view.rounds, view.planned_rounds = self._log.rounds, self._log.planned_rounds
        view.trained = self._names.trained_by(run.run, self._log.job or "")
        return [
            RunEvent(
                "round",
                at,
                {"training": view.trained, "round": round_.number, "metrics": round_.metrics},
            )
            for at, round_ in rounds
        ]

    def _begun_log(self, run: Run) -> TrainingLog | None:
        settings = _if_written(self._connection.artifacts.settings, run)
        if settings is None:  # the run failed before it had read its data
            return None
        return TrainingLog(
            self._connection.client("logs"),
            self._connection.client("sagemaker"),
            self._names.job(run.run),
            algorithm_of(settings.training).metrics_in_log,
        )

    def _result_events(self, run: Run) -> list[RunEvent]:
        view = self.view
        events = []
        # The leaks are known once the training rows are written, after the rest.
        view.learned = run.learned
        is_final = run.status not in _BEFORE_TRAINING
        if run.learned and is_final and run.learned != self._reported_learned:
            self._reported_learned = run.learned
            events.append(_learned_event(run.learned, self._left("Prepare", run)))
        if view.evaluation is None and (has_ended(run) or run.status in _AFTER_EVALUATION):
            view.evaluation = _if_written(self._connection.artifacts.evaluation, run)
            if view.evaluation is not None:
                at = self._left("Evaluate", run)
                events.append(_evaluation_event(view.evaluation, at))
        if view.decision is None and view.evaluation is not None:
            view.decision = _if_written(self._connection.artifacts.decision, run)
            if view.decision is not None:
                at = self._left("Gate", run)
                events.append(RunEvent("gate", at, view.decision.model_dump()))
        if view.endpoint is None and run.status == RunStatus.DEPLOYED:
            view.endpoint = self._names.endpoint
            view.endpoint_status = self._connection.endpoint_status(view.endpoint)
            data = {"endpoint": view.endpoint, "endpointStatus": view.endpoint_status}
            events.append(RunEvent("endpoint", _recorded_at(run), data))
        return events

    def _left(self, state: str, run: Run) -> datetime:
        """Return when a state was left; if that is not known, when the run's record changed."""
        times = [span.left_at for span in self.view.spans if span.state == state and span.left_at]
        return max(times, default=_recorded_at(run))


def _recorded_at(run: Run) -> datetime:
    """Return when the run ended, or when its record changed if it has not."""
    return run.finished_at or run.updated_at


def _if_written(read: Callable[[str, str], Artifact], run: Run) -> Artifact | None:
    """Read an artifact of a run; None while the run has not written it."""
    try:
        return read(run.model, run.run)
    except ObjectNotFound:
        return None


def _state_event(span: StateSpan) -> RunEvent:
    data: dict[str, Any] = {"machine": span.machine, "state": span.state}
    if span.left_at is None:
        return RunEvent("entered", span.entered_at, data)
    return RunEvent("left", span.left_at, data | {"seconds": round(span.seconds(span.left_at), 3)})


def _learned_event(learned: Learned, at: datetime) -> RunEvent:
    record = learned.model_dump(mode="json")
    return RunEvent("learned", at, {"sentence": learned.sentence, "learned": record})


def _evaluation_event(evaluation: Evaluation, at: datetime) -> RunEvent:
    new = evaluation.new
    champion = _values(new.champion) if new.champion else None
    return RunEvent(
        "evaluation",
        at,
        {"rows": new.rows, "challenger": _values(new.challenger), "champion": champion},
    )


def _values(quality: ModelQuality) -> dict[str, float]:
    return {name: estimate.value for name, estimate in quality.metrics.items()}
