"""End a run as its state machine says.

Invoked by  TRAIN and DEPLOY state machines, states FinishRun and FailRun
Input       {"model", "run", "status", "reasons"?, "error"?, "deployment"?}  events/finish_run.json
Output      {"status"}
Raises      ServiceThrottled
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from refit.domain.pipeline.failure import explained
from refit.stores import store
from refit.telemetry import logger
from refit.usecases.finish_run import Ending, end_run


class Request(BaseModel):
    """The event."""

    model_config = ConfigDict(extra="ignore")

    model: str
    run: str
    status: store.RunStatus
    reasons: list[str] = []
    error: dict[str, Any] | None = None
    deployment: str | None = None


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, str]:
    """Record how the run ended and tell those who wait for it."""
    request = Request.model_validate(event)
    failure = explained(request.error) if request.error else None
    end_run(
        Ending(
            model=request.model,
            run=request.run,
            status=request.status,
            message=failure.message if failure else " ".join(request.reasons),
            failure=failure,
            deployment=request.deployment,
        )
    )
    return {"status": request.status}
