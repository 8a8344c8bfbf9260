"""Encode the rows of a file for the transform job that predicts them.

Invoked by  BATCH state machine, states PrepareBatch and PrepareAnsweredBatch
Input       {"model", "batch", "is_answered"?}                        events/prepare_batch.json
Output      {"stem", "model_request", "request", "asks_another_model"}: the stem of the names of the
            job, a CreateModel request, a CreateTransformJob request without its name, and whether
            they are of the model that [data] features_from names: it is asked before
Raises      ModelNotFound, SettingsInvalid, DatasetNotFound, DropTooLarge, DatasetEmpty,
            DatasetUnreadable, DatasetInvalid, ColumnsUnfit, TooManyBadRows, EvaluationIncomplete,
            ServiceThrottled
"""

from __future__ import annotations

from typing import Any

from refit.handlers.events import BatchRequest
from refit.handlers.wiring import services
from refit.telemetry import logger
from refit.usecases.prepare_batch import prepare_batch


class PrepareBatchRequest(BatchRequest):
    """The event.

    Attributes:
        is_answered: whether the model that `[data] features_from` names has been asked.
    """

    is_answered: bool = False


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Prepare one batch."""
    request = PrepareBatchRequest.model_validate(event)
    return prepare_batch(services(), request.model, request.batch, is_answered=request.is_answered)
