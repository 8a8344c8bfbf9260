"""Fail the run of an execution that ended without finishing its run.

A Catch does not run when an execution is stopped from outside, so the model would remain locked.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit.domain.naming import deployment_id, model_of_group
from refit.domain.pipeline.failure import Failure, explain_failure
from refit.domain.vocabulary import RunStatus
from refit.usecases.finish_run import RunOutcome, finish_run

if TYPE_CHECKING:
    from refit.usecases.services import Services

_REASONS = {"ABORTED": "was stopped", "TIMED_OUT": "timed out"}


@dataclass(frozen=True)
class StoppedExecution:
    """An execution of TRAIN or DEPLOY that is ABORTED, TIMED_OUT or FAILED.

    Attributes:
        input: input of the execution, as JSON.
    """

    arn: str
    status: str
    input: str
    error: str | None
    cause: str | None


@dataclass(frozen=True)
class _Owner:
    """The run of an execution, and its deployment if it is an execution of DEPLOY."""

    model: str
    run: str
    deployment: str | None = None


def end_stopped_run(services: Services, execution: StoppedExecution) -> str | None:
    """Fail the run of an execution if it has not ended; return the run, or None."""
    owner = _owner(services, execution)
    if owner is None:
        return None
    run = services.models.run(owner.model, owner.run)
    if run is None or run.status.is_final:
        return None
    failure = _failure(execution)
    finish_run(
        services,
        RunOutcome(
            model=owner.model,
            run=owner.run,
            status=RunStatus.FAILED,
            message=failure.message,
            failure=failure,
            deployment=owner.deployment,
        ),
    )
    return owner.run


def _owner(services: Services, execution: StoppedExecution) -> _Owner | None:
    given = json.loads(execution.input)
    if "model" in given:
        return _Owner(given["model"], given["run"])
    group = given["detail"]["ModelPackageGroupName"]
    model = model_of_group(services.environment.name_prefix, group)
    return None if model is None else _owner_of_deployment(services, model, execution.arn)


def _owner_of_deployment(services: Services, model: str, execution_arn: str) -> _Owner | None:
    deployment = deployment_id(execution_arn)
    state = services.models.state(model)
    if state.deployment != deployment:
        return None
    if state.deployment_run is None:  # it failed before the deployed run was recorded
        services.models.end_deployment(model, deployment)
    run = state.deployment_run or state.active_run
    return _Owner(model, run, deployment) if run else None


def _failure(execution: StoppedExecution) -> Failure:
    if execution.cause:
        return explain_failure({"Error": execution.error, "Cause": execution.cause})
    reason = _REASONS.get(execution.status, "failed")
    return Failure(
        execution.error or execution.status.title(),
        f"the execution {reason}: {execution.arn}",
    )
