"""Fail the run of an execution that was stopped, timed out or failed without finishing its run.

Invoked by  EventBridge: an execution of TRAIN or DEPLOY is ABORTED, TIMED_OUT or FAILED
Input       the "Step Functions Execution Status Change" event        events/end_stopped_run.json
Output      {"ended": the run, or null when it had ended}
Raises      ServiceThrottled
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from refit.handlers.wiring import services
from refit.stores.executions import Execution
from refit.telemetry import logger
from refit.usecases.end_stopped_run import end_stopped_run


class ExecutionDetail(BaseModel):
    """The detail of the event."""

    arn: str = Field(alias="executionArn")
    status: str
    input: str
    error: str | None = None
    cause: str | None = None


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, str | None]:
    """Fail the run of the execution unless it has ended."""
    detail = ExecutionDetail.model_validate(event["detail"])
    execution = Execution(**detail.model_dump())
    return {"ended": end_stopped_run(services(), execution)}
