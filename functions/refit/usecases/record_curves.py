"""Keep the metrics of each round with the run: read the logs of its training jobs.

A log arrives in CloudWatch after the job has ended, at a time that nobody promises. So it is read
until it no longer grows, and for a minute at most; then the run has no curves, and curves.json says
why.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from refit.domain.errors import ServiceThrottled
from refit.domain.evaluation.training_curves import (
    Curves,
    curves_of,
    without_curves,
)
from refit.domain.naming import RunKeys
from refit.domain.pipeline.algorithms import algorithm_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from refit.domain.evaluation.training_curves import TrainedJob
    from refit.usecases.services import Services

PAUSES_S = (1, 2, 4, 8, 15, 15, 15)
"""Waits between the readings of a log."""

QUIET_READINGS = 2
"""A log that did not grow in so many waits is complete."""

_LATE = f"its log did not arrive within {sum(PAUSES_S)} seconds after the training"


def record_curves(
    services: Services,
    model: str,
    run: str,
    jobs: Sequence[TrainedJob],
    pause: Callable[[float], None] = time.sleep,
) -> Curves:
    """Write curves.json of a run, and return its content; the same logs give the same file."""
    algorithm = algorithm_of(services.artifacts.settings(model, run).training)
    logs = {job.name: _Log() for job in jobs}
    for wait_s in (*PAUSES_S, None):
        for name, log in logs.items():
            if not log.is_complete:
                log.read(services, name)
        if wait_s is None or all(log.is_complete for log in logs.values()):
            break
        pause(wait_s)
    curves = Curves(
        model=model,
        run=run,
        jobs=tuple(
            curves_of(job, logs[job.name].lines, algorithm.metrics_in_log)
            if logs[job.name].lines
            else without_curves(job, _LATE)
            for job in jobs
        ),
    )
    services.bucket.put_json(RunKeys(model, run).curves, curves.model_dump(mode="json"))
    return curves


@dataclass
class _Log:
    """The log of a job, as far as it has arrived."""

    lines: list[str] = field(default_factory=list)
    quiet_readings: int = 0

    @property
    def is_complete(self) -> bool:
        return self.quiet_readings >= QUIET_READINGS

    def read(self, services: Services, job: str) -> None:
        """Read the log again. A reading that is throttled says nothing."""
        try:
            lines = services.training_logs.lines_of(job)
        except ServiceThrottled:
            return
        is_quiet = bool(lines) and len(lines) == len(self.lines)
        self.quiet_readings = self.quiet_readings + 1 if is_quiet else 0
        self.lines = lines
