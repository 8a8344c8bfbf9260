"""Finish a run with the outcome that its state machine reports.

Invoked by  TRAIN and DEPLOY state machines, states FinishRun and FailRun
Input       {"model", "run", "status", "reasons"?, "error"?, "deployment"?}  events/finish_run.json
Output      {"status"}
Raises      ServiceThrottled
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from refit.domain.pipeline.failure import Failure, explain_failure
from refit.domain.pipeline.failures_of_aws import undeployed_message
from refit.domain.vocabulary import RunStatus
from refit.handlers.wiring import services
from refit.telemetry import logger
from refit.usecases.finish_run import finish_run
from refit.usecases.record_outcome import RunOutcome


class FinishRunRequest(BaseModel):
    """The event."""

    model: str
    run: str
    status: RunStatus
    reasons: list[str] = []
    error: dict[str, Any] | None = None
    deployment: str | None = None


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, str]:
    """Finish the run."""
    request = FinishRunRequest.model_validate(event)
    failure = explain_failure(request.error) if request.error else None
    outcome = RunOutcome(
        model=request.model,
        run=request.run,
        status=request.status,
        message=_message(request, failure),
        failure=failure,
        deployment=request.deployment,
    )
    finish_run(services(), outcome)
    return {"status": request.status}


def _message(request: FinishRunRequest, failure: Failure | None) -> str:
    if failure is None:
        return " ".join(request.reasons)
    if request.deployment is None:
        return failure.message
    return undeployed_message(request.model, request.run, failure)
