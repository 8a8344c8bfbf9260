"""The last value of a run's training: from curves.json, or from the log while the job runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refit.domain.errors import ObjectNotFound
from refit.domain.evaluation.training_curves import TrainedJob, best_round, curves_of, shown_metric
from refit.domain.naming import ResourceNames
from refit.domain.pipeline.algorithms import algorithm_of
from refit.domain.vocabulary import RunStatus
from refit.stores.training_logs import TrainingLogs

if TYPE_CHECKING:
    from refit.domain.evaluation.training_curves import BestRound, JobCurves
    from refit.domain.pipeline.run import Run

    from refit_cli.connection import StackConnection


@dataclass(frozen=True)
class TrainingStatus:
    """The newest round of a training job.

    Attributes:
        title: what the job trains.
        rounds: number of rounds so far.
        metric: the metric that is shown, with its value in the newest round.
        best: the best round so far by this metric, or None.
    """

    title: str
    rounds: int
    metric: str
    value: float
    best: BestRound | None

    @property
    def text(self) -> str:
        """The status in one line."""
        best = ""
        if self.best and self.best.round + 1 < self.rounds:
            best = f", best {self.best.value:.4g} in round {self.best.round + 1}"
        return f"{self.title}: round {self.rounds}, {self.metric} {self.value:.4g}{best}"

    def as_json(self) -> dict[str, Any]:
        """Return the status as `refit status --json` prints it."""
        return {
            "title": self.title,
            "rounds": self.rounds,
            "metric": self.metric,
            "value": self.value,
            "best": self.best and self.best.model_dump(mode="json"),
        }


def read_training_status(connection: StackConnection, run: Run) -> list[TrainingStatus]:
    """Return the newest round of each training job of a run, as far as they are known."""
    try:
        jobs = connection.artifacts.curves(run.model, run.run).jobs
    except ObjectNotFound:
        jobs = _running(connection, run) if run.status is RunStatus.TRAINING else ()
    found = [_status(job) for job in jobs]
    return [status for status in found if status is not None]


def _running(connection: StackConnection, run: Run) -> tuple[JobCurves, ...]:
    """Return the curves so far of the newest training job; nothing before it has a log."""
    names = ResourceNames(connection.stack.name_prefix, run.model)
    logs = TrainingLogs(connection.client("logs"))
    stream = logs.newest_stream(f"{names.job(run.run)}-")
    if stream is None:
        return ()
    name = stream.partition("/")[0]
    lines, _ = logs.lines_after(stream, None)
    settings = connection.artifacts.settings(run.model, run.run)
    job = TrainedJob(name, names.trained_by(run.run, name))
    return (curves_of(job, lines, algorithm_of(settings.training).metrics_in_log),)


def _status(job: JobCurves) -> TrainingStatus | None:
    metric = shown_metric(list(job.metrics))
    if metric is None:
        return None
    values = [value for value in job.metrics[metric] if value is not None]
    if not values:
        return None
    return TrainingStatus(job.title, job.rounds, metric, values[-1], best_round(job.metrics))
