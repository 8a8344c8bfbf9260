"""Record and notify that a run waits for a quota of instances which others use up.

Invoked by  TRAIN state machine, states ReportFeaturesWait, ReportTrainingWait, ReportFoldWait,
            ReportChallengerWait and ReportChampionWait; DEPLOY state machine, state ReportWait
Input       {"model", "run", "error": {"Error", "Cause"}}                 events/report_wait.json
Output      {"message"}
Raises      ServiceThrottled
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from refit.handlers.wiring import services
from refit.telemetry import logger
from refit.usecases.report_wait import report_wait


class CaughtError(BaseModel):
    """The error output of a state."""

    Cause: str


class ReportWaitRequest(BaseModel):
    """The event."""

    model: str
    run: str
    error: CaughtError


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, str]:
    """Report the wait."""
    request = ReportWaitRequest.model_validate(event)
    message = report_wait(services(), request.model, request.run, request.error.Cause)
    return {"message": message}
