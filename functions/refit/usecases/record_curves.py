"""Keep the metrics of each round with the run: read the logs of its training jobs.

A log arrives in CloudWatch after the job has ended, at a time that nobody promises. So it is read
until it no longer grows, and for a minute at most; then the run has no curves, and curves.json says
why.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from refit.domain.errors import ServiceThrottled
from refit.domain.evaluation.training_curves import Curves, JobCurves, curves_of, without_curves
from refit.domain.naming import RunKeys

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from refit.domain.evaluation.training_curves import TrainedJob
    from refit.usecases.services import Services

PAUSES_S = (1, 2, 4, 8, 15, 15, 15)
"""Waits between the readings of a log. A log that did not grow in one of them is complete."""

_LATE = f"its log did not arrive within {sum(PAUSES_S)} seconds after the training"


def record_curves(
    services: Services,
    model: str,
    run: str,
    jobs: Sequence[TrainedJob],
    pause: Callable[[float], None] = time.sleep,
) -> Curves:
    """Write curves.json of a run, and return its content; the same logs give the same file."""
    read: dict[str, list[str]] = {}
    complete: set[str] = set()
    for wait_s in (*PAUSES_S, None):
        for job in jobs:
            if job.name in complete:
                continue
            lines = _lines(services, job, read.get(job.name, []))
            if lines and len(lines) == len(read.get(job.name, [])):
                complete.add(job.name)
            read[job.name] = lines
        if wait_s is None or len(complete) == len({job.name for job in jobs}):
            break
        pause(wait_s)
    curves = Curves(
        model=model, run=run, jobs=tuple(_curves(job, read.get(job.name, [])) for job in jobs)
    )
    services.bucket.put_json(RunKeys(model, run).curves, curves.model_dump(mode="json"))
    return curves


def _lines(services: Services, job: TrainedJob, known: list[str]) -> list[str]:
    """Return the lines of a job's log; a reading that is throttled brings nothing new."""
    try:
        return services.training_logs.lines_of(job.name)
    except ServiceThrottled:
        return known


def _curves(job: TrainedJob, lines: list[str]) -> JobCurves:
    return curves_of(job, lines) if lines else without_curves(job, _LATE)
