"""End a run whose execution was stopped, timed out, or failed before it could end the run itself.

Invoked by  EventBridge: an execution of TRAIN or DEPLOY is ABORTED, TIMED_OUT or FAILED
Input       the "Step Functions Execution Status Change" event        events/end_stopped_run.json
Output      {"ended": the run, or null when there was nothing left to do}
Raises      ServiceThrottled

A state machine that is stopped from outside runs no Catch: without this the model stays locked.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict

from refit.domain.naming import deployment_id, model_of_group
from refit.domain.pipeline.failure import Failure, explained
from refit.environment import environment
from refit.stores import store
from refit.telemetry import logger
from refit.usecases.finish_run import Ending, end_run

_UNFINISHED = frozenset(
    {
        store.RunStatus.STARTED,
        store.RunStatus.PREPARING,
        store.RunStatus.TRAINING,
        store.RunStatus.EVALUATING,
        store.RunStatus.REGISTERING,
        store.RunStatus.DEPLOYING,
    }
)


class Execution(BaseModel):
    """The event's detail."""

    model_config = ConfigDict(extra="ignore")

    executionArn: str
    status: str
    input: str
    error: str | None = None
    cause: str | None = None


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, str | None]:
    """End the run of this execution unless it has ended."""
    execution = Execution.model_validate(event["detail"])
    model, run, deployment = _whose(execution)
    if not model or not run:
        return {"ended": None}
    known = store.load_run(model, run)
    if not known or known["status"] not in _UNFINISHED:
        return {"ended": None}
    failure = _failure(execution)
    end_run(Ending(model, run, store.RunStatus.FAILED, failure.message, failure, deployment))
    return {"ended": run}


def _whose(execution: Execution) -> tuple[str | None, str | None, str | None]:
    """Return the model and run of an execution, and the id of the deployment if it was one."""
    given = json.loads(execution.input)
    if "model" in given:
        return given["model"], given["run"], None
    model = model_of_group(environment().name_prefix, given["detail"]["ModelPackageGroupName"])
    if model is None:
        return None, None, None
    deployment = deployment_id(execution.executionArn)
    state = store.load_state(model)
    if state.deployment != deployment:
        return model, None, None
    if state.deployment_run is None:  # it failed before it knew what to deploy
        store.end_deployment(model, deployment)
    return model, state.deployment_run or state.active_run, deployment


def _failure(execution: Execution) -> Failure:
    if execution.cause:
        return explained({"Error": execution.error, "Cause": execution.cause})
    how = {"ABORTED": "was stopped by hand", "TIMED_OUT": "ran out of time"}
    return Failure(
        execution.error or execution.status.title(),
        f"the execution {how.get(execution.status, 'failed')}: {execution.executionArn}",
    )
