"""Encode the rows of a file for the transform job that predicts them.

Invoked by  BATCH state machine, state PrepareBatch
Input       {"model", "batch"}                                        events/prepare_batch.json
Output      {"stem", "model_request", "request"}: the stem of the names of the job, a CreateModel
            request, and a CreateTransformJob request without its name
Raises      ModelNotFound, SettingsInvalid, DatasetNotFound, DropTooLarge, DatasetEmpty,
            DatasetUnreadable, DatasetInvalid, ColumnsUnfit, TooManyBadRows, ServiceThrottled
"""

from __future__ import annotations

from typing import Any

from refit.handlers.events import BatchRequest
from refit.handlers.wiring import services
from refit.telemetry import logger
from refit.usecases.prepare_batch import prepare_batch


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Prepare one batch."""
    request = BatchRequest.model_validate(event)
    return prepare_batch(services(), request.model, request.batch)
