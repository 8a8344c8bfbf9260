"""Fail a batch whose execution failed, was stopped or timed out.

Invoked by  BATCH state machine, state FailBatch; EventBridge: an execution of BATCH is ABORTED,
            TIMED_OUT or FAILED, because a Catch does not run when an execution is stopped
Input       {"model", "batch", "error"}                               events/fail_batch.json
            or the "Step Functions Execution Status Change" event     events/fail_batch_stopped.json
Output      {"failed": whether the batch failed now}
Raises      ServiceThrottled
"""

from __future__ import annotations

import json
from typing import Any

from refit.domain.pipeline.failure import explain_failure
from refit.handlers.events import BatchRequest
from refit.handlers.wiring import services
from refit.telemetry import logger
from refit.usecases.fail_batch import fail_batch


class FailBatchRequest(BatchRequest):
    """The event of the state machine."""

    error: dict[str, Any]


def _request(event: dict[str, Any]) -> FailBatchRequest:
    if "detail" not in event:
        return FailBatchRequest.model_validate(event)
    detail = event["detail"]
    error = {
        "Error": detail.get("error") or f"Execution{detail['status'].title().replace('_', '')}",
        "Cause": detail.get("cause") or f"the execution is {detail['status']}",
    }
    return FailBatchRequest.model_validate({**json.loads(detail["input"]), "error": error})


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, bool]:
    """Fail one batch."""
    request = _request(event)
    failure = explain_failure(request.error)
    return {"failed": fail_batch(services(), request.model, request.batch, failure)}
