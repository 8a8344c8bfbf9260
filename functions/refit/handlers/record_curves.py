"""Keep the metrics of each round of the run's training jobs, from their logs.

Invoked by  TRAIN state machine, state RecordCurves, beside the batch transform jobs
Input       {"model", "run", "jobs": [{"name", "title"}]}             events/record_curves.json
Output      {"rounds": number of rounds of each job; 0 if its metrics are not known}
Raises      ServiceThrottled

Writes curves.json. Nothing that fails here fails the run.
"""

from __future__ import annotations

from typing import Any

from refit.domain.evaluation.training_curves import TrainedJob
from refit.handlers.events import RunRequest
from refit.handlers.wiring import services
from refit.telemetry import logger
from refit.usecases.record_curves import record_curves


class RecordCurvesRequest(RunRequest):
    """The event."""

    jobs: tuple[TrainedJob, ...]


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, list[int]]:
    """Record the curves."""
    request = RecordCurvesRequest.model_validate(event)
    curves = record_curves(services(), request.model, request.run, request.jobs)
    for job in curves.jobs:
        if job.missing:
            logger.warning("no curves", extra={"job": job.job, "reason": job.missing})
    return {"rounds": [job.rounds for job in curves.jobs]}
