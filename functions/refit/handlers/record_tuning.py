"""Record the trials of a tuning job that has ended, and return its best model.

Invoked by  TRAIN state machine, state RecordTuning
Input       {"model", "run", "job": the tuning job's name}                 events/record_tuning.json
Output      {"name", "image", "artifacts", "environment"}: the best trial's, as of a training job
Raises      TuningFailed, ServiceThrottled
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel

from refit.handlers.wiring import services
from refit.telemetry import logger
from refit.usecases.record_tuning import record_tuning


class RecordTuningRequest(BaseModel):
    """The event."""

    model: str
    run: str
    job: str


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Record the trials."""
    request = RecordTuningRequest.model_validate(event)
    return asdict(record_tuning(services(), request.model, request.run, request.job))
