"""Join the predictions of a batch with its rows, and capture a sample of them.

Invoked by  BATCH state machine, state FinishBatch
Input       {"model", "batch", "job": name of the transform job}       events/finish_batch.json
Output      the summary of the batch
Raises      ModelNotFound, EvaluationIncomplete, ServiceThrottled
"""

from __future__ import annotations

from typing import Any

from refit.handlers.events import BatchRequest
from refit.handlers.wiring import services
from refit.telemetry import logger
from refit.usecases.finish_batch import finish_batch


class FinishBatchRequest(BatchRequest):
    """The event."""

    job: str


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Finish one batch."""
    request = FinishBatchRequest.model_validate(event)
    return finish_batch(services(), request.model, request.batch, request.job)
