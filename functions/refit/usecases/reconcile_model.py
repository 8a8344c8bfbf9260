"""Bring the run and the locks of a model up to date with what its executions have done.

The only use case that releases locks. It runs when something ends (finish_run, end_stopped_run, a
deployment that has nothing to do) and at every regular check, so no lock outlives its holder by
more than a check. What is decided is in domain/pipeline/reconciliation.py.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from refit.domain.naming import deployment_id, model_of_group
from refit.domain.pipeline.failure import explain_failure
from refit.domain.pipeline.model_state import ModelState
from refit.domain.pipeline.reconciliation import (
    AWAITS_DEPLOYMENT,
    EndRun,
    ExecutionState,
    ModelFacts,
    OpenRun,
    ReleaseDeploymentLock,
    ReleaseRunLock,
    StartPendingDrop,
    StartTraining,
    VersionState,
    reconcile,
)
from refit.domain.vocabulary import RunStatus
from refit.telemetry import logger
from refit.usecases.record_outcome import RunOutcome, record_outcome

if TYPE_CHECKING:
    from refit.domain.pipeline.reconciliation import Step
    from refit.domain.pipeline.run import Run
    from refit.stores.executions import Execution
    from refit.usecases.services import Services


def reconcile_model(
    services: Services,
    model: str,
    ended: Execution | None = None,
    ended_run: str | None = None,
    ended_deployment: str | None = None,
) -> list[Step]:
    """End the run of executions that have ended, and release the locks that they held.

    Args:
        services: the AWS services and the clock of this process.
        model: name of the model.
        ended: the execution whose end triggers the use case.
        ended_run: the run whose outcome has just been recorded. Only its locks are looked at, so
            that they are released at once.
        ended_deployment: the deployment that is ending, although its execution still runs.

    Returns:
        The steps that were taken.

    Raises:
        ServiceThrottled: when AWS throttled a request; call again to complete.
    """
    if ended_run is not None:
        facts = _facts_of_ended_run(ended_run, ended_deployment)
    else:
        facts = _facts(services, model, ended, ended_deployment)
    steps = reconcile(facts, services.now())
    for step in steps:
        _carry_out(services, model, step)
    return steps


def _carry_out(services: Services, model: str, step: Step) -> None:
    logger.info("reconcile", extra={"model": model, "step": repr(step)})
    match step:
        case EndRun():
            outcome = RunOutcome(model, step.run, step.status, step.message, step.failure)
            record_outcome(services, outcome)
        case StartTraining() | StartPendingDrop():  # ingest starts the run that holds the lock
            services.messaging.enqueue_ingest(model)
        case ReleaseRunLock():
            if services.models.release_run(model, step.run):
                services.messaging.enqueue_ingest(model)
        case ReleaseDeploymentLock():
            services.models.end_deployment(model, step.deployment)


def _facts_of_ended_run(run: str, deployment: str | None) -> ModelFacts:
    """Return facts that say that the run and its deployment hold the locks and have ended.

    Nothing is read, because a lock is released only if they do hold it.
    """
    return ModelFacts(
        ModelState(active_run=run, deployment=deployment),
        deployment=ExecutionState("", "SUCCEEDED", is_deployment=True) if deployment else None,
    )


def _facts(
    services: Services, model: str, ended: Execution | None, ended_deployment: str | None
) -> ModelFacts:
    """Read the facts. Calls of AWS beyond the table are made only if their answer can matter.

    An execution records its outcome before it ends, so the records are read after the executions.
    """
    before = services.models.state(model)
    if before.active_run is None and before.deployment is None:
        return _facts_without_locks(services, model, before, ended)
    holder = _holder(services, model, before)
    open_holder = holder if holder and not holder.status.is_final else None
    training = _training(services, open_holder, ended) if open_holder else None
    deployment = _deployment(services, before, ended, ended_deployment)
    state = services.models.state(model)
    if (state.active_run, state.deployment) != (before.active_run, before.deployment):
        logger.info("a lock has just changed; the next check decides", extra={"model": model})
        return ModelFacts(ModelState())
    run = _holder(services, model, state)
    deployed_run = (
        services.models.run(model, state.deployment_run) if state.deployment_run else None
    )
    waiting = run if run is not None and run.status is RunStatus.DEPLOYING else None
    open_runs = _open_runs(services, model, state, ended)
    is_awaited = waiting is not None or any(map(_is_approved, open_runs))
    return ModelFacts(
        state=state,
        ended=_execution_state(ended) if ended else None,
        run=run,
        training=training,
        deployed_run=deployed_run,
        deployment=deployment,
        deployment_may_come=is_awaited and _deployment_may_come(services, model, state, ended),
        version=_version(services, model, waiting) if waiting else None,
        open_runs=open_runs,
        live_config=_live_config(services, model, deployed_run, deployment),
    )


def _facts_without_locks(
    services: Services, model: str, state: ModelState, ended: Execution | None
) -> ModelFacts:
    open_runs = _open_runs(services, model, state, ended)
    is_awaited = any(map(_is_approved, open_runs))
    return ModelFacts(
        state,
        ended=_execution_state(ended) if ended else None,
        open_runs=open_runs,
        deployment_may_come=is_awaited and _deployment_may_come(services, model, state, ended),
    )


def _is_approved(waiting: OpenRun) -> bool:
    return waiting.version is not None and waiting.version.approval == "Approved"


def _open_runs(
    services: Services, model: str, state: ModelState, ended: Execution | None
) -> tuple[OpenRun, ...]:
    """Return the last run, and that of the version that was deployed, if they wait without a lock.

    The registry's event of an older version ends the run of that version (plan_deployment).
    """
    version = _execution_state(ended).version if ended else None
    runs = {state.last_run, services.models.run_of_version(model, version) if version else None}
    records = (
        services.models.run(model, run)
        for run in sorted(filter(None, runs))
        if run not in {state.active_run, state.deployment_run}
    )
    return tuple(
        OpenRun(record, _version(services, model, record))
        for record in records
        if record is not None and record.status in AWAITS_DEPLOYMENT
    )


def _holder(services: Services, model: str, state: ModelState) -> Run | None:
    """Return the run that holds the lock of the model."""
    return services.models.run(model, state.active_run) if state.active_run else None


def _deployment(
    services: Services, state: ModelState, ended: Execution | None, ended_deployment: str | None
) -> ExecutionState | None:
    """Return the execution that holds the deployment lock."""
    if state.deployment is None:
        return None
    arn = state.deployment_execution or ""
    if state.deployment == ended_deployment:
        return ExecutionState(arn, "SUCCEEDED", is_deployment=True)
    if ended is not None and deployment_id(ended.arn) == state.deployment:
        return _execution_state(ended)
    if not arn:  # the lock was never taken without an execution, so its item was changed by hand
        return ExecutionState("unknown", "GONE", is_deployment=True)
    return described(services, arn, is_deployment=True)


def _training(services: Services, run: Run, ended: Execution | None) -> ExecutionState | None:
    if ended is not None and _input_of(ended).get("run") == run.run:
        return _execution_state(ended)
    if run.train_execution_arn is None:
        return None
    return described(services, run.train_execution_arn)


def described(services: Services, arn: str, is_deployment: bool = False) -> ExecutionState:
    """Return the state of an execution; its status is GONE if it does not exist."""
    execution = services.execution_history.describe(arn)
    if execution is None:
        return ExecutionState(arn, "GONE", is_deployment=is_deployment)
    return _execution_state(execution)


def _execution_state(execution: Execution) -> ExecutionState:
    detail = _input_of(execution).get("detail")
    failure = None
    if execution.cause:
        failure = explain_failure({"Error": execution.error, "Cause": execution.cause})
    return ExecutionState(
        execution.arn,
        execution.status,
        failure,
        is_deployment=detail is not None,
        version=(detail or {}).get("ModelPackageVersion"),
    )


def _deployment_may_come(
    services: Services, model: str, state: ModelState, ended: Execution | None
) -> bool:
    """Say whether an execution of DEPLOY of the model runs, beside the holder of the lock."""
    known = {state.deployment_execution, ended.arn if ended else None}
    prefix = services.environment.name_prefix
    running = services.execution_history.running(services.environment.deploy_state_machine_arn)
    return any(
        execution.arn not in known
        and model_of_group(prefix, _input_of(execution)["detail"]["ModelPackageGroupName"]) == model
        for execution in running
    )


def _version(services: Services, model: str, run: Run) -> VersionState | None:
    if run.version is None or run.package_arn is None:
        return None
    package = services.registry.find_package(run.package_arn)
    newest = services.registry.latest_approved(services.names(model).model_package_group)
    return VersionState(
        run.version,
        package.approval if package else None,
        newest.version if newest else None,
        package.changed_at if package else None,
    )


def _live_config(
    services: Services, model: str, deployed_run: Run | None, deployment: ExecutionState | None
) -> str | None:
    """Return the live endpoint config if a deployment ended without the outcome of its run."""
    is_open = deployed_run is not None and deployed_run.status is RunStatus.DEPLOYING
    if deployment is None or not deployment.has_ended or not is_open:
        return None
    live = services.endpoints.describe(services.names(model).endpoint)
    return live.config if live else None


def _input_of(execution: Execution) -> dict[str, Any]:
    return dict(json.loads(execution.input))
