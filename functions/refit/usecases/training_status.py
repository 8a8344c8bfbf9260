"""The curves of a run's training jobs: from curves.json, or from the log while a job runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.answers.runs import TrainingProgress
from refit.domain.errors import ObjectNotFound
from refit.domain.evaluation.training_curves import TrainedJob, best_round, curves_of, shown_metric
from refit.domain.pipeline.algorithms import algorithm_of
from refit.domain.vocabulary import RunStatus

if TYPE_CHECKING:
    from refit.domain.evaluation.training_curves import JobCurves
    from refit.domain.pipeline.run import Run
    from refit.usecases.services import Services

_MOST_LOG_PAGES = 5
"""Pages of a log, of 1 MB each, that are read: about 100,000 rounds."""


def curves_so_far(services: Services, run: Run) -> tuple[JobCurves, ...]:
    """Return the curves of the training jobs of a run, as far as they are known."""
    try:
        return services.artifacts.curves(run.model, run.run).jobs
    except ObjectNotFound:
        return _running(services, run) if run.status is RunStatus.TRAINING else ()


def training_progress(jobs: tuple[JobCurves, ...]) -> tuple[TrainingProgress, ...]:
    """Return the newest round of each training job that has one."""
    found = [_progress(job) for job in jobs]
    return tuple(progress for progress in found if progress is not None)


def _running(services: Services, run: Run) -> tuple[JobCurves, ...]:
    """Return the curves so far of the newest training job; nothing before it has a log."""
    names = services.names(run.model)
    stream = services.training_logs.newest_stream(f"{names.job(run.run)}-")
    if stream is None:
        return ()
    name = stream.partition("/")[0]
    lines, _ = services.training_logs.lines_after(stream, None, _MOST_LOG_PAGES)
    settings = services.artifacts.settings(run.model, run.run)
    job = TrainedJob(name, names.trained_by(run.run, name))
    return (curves_of(job, lines, algorithm_of(settings.training).metrics_in_log),)


def _progress(job: JobCurves) -> TrainingProgress | None:
    metric = shown_metric(list(job.metrics))
    if metric is None:
        return None
    values = [value for value in job.metrics[metric] if value is not None]
    if not values:
        return None
    return TrainingProgress(
        title=job.title,
        rounds=job.rounds,
        metric=metric,
        value=values[-1],
        best=best_round(job.metrics),
    )
