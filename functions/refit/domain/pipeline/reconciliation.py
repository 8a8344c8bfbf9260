"""Decide what becomes of the run and the locks of a model, from what its executions have done.

A run holds the lock of its model until it has ended, and a deployment holds the deployment lock. An
execution normally ends its run itself. If it cannot (it was stopped, its last function failed, its
event was lost), the decision here ends the run. A version that waits for an approval holds no lock;
its run ends here when a person has decided and no deployment follows. The decision only needs the
present state, so it does not matter which event triggers it, nor how often.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

from refit.domain.pipeline.failure import Failure
from refit.domain.vocabulary import RunStatus

if TYPE_CHECKING:
    from datetime import datetime

    from refit.domain.pipeline.model_state import ModelState
    from refit.domain.pipeline.run import Run

GRACE = timedelta(minutes=15)
"""How long what should have happened may be late: an event, or an entry in a list of AWS."""

_REASONS = {
    "ABORTED": "was stopped",
    "TIMED_OUT": "timed out",
    "SUCCEEDED": "ended without the outcome of its run",
    "GONE": "does not exist any more",
}


@dataclass(frozen=True)
class ExecutionState:
    """An execution of TRAIN or DEPLOY.

    Attributes:
        status: as Step Functions says, or GONE.
        failure: why it failed, if it says so.
        is_deployment: whether it is one of DEPLOY.
        version: the version whose approval started an execution of DEPLOY.
    """

    arn: str
    status: str
    failure: Failure | None = None
    is_deployment: bool = False
    version: int | None = None

    @property
    def has_ended(self) -> bool:
        return self.status != "RUNNING"

    @property
    def has_failed(self) -> bool:
        return self.has_ended and self.status != "SUCCEEDED"

    def explained(self) -> Failure:
        """Return its failure, or one that says how it ended."""
        reason = _REASONS.get(self.status, "failed")
        return self.failure or Failure(
            self.status.title().replace("_", ""), f"the execution {reason}: {self.arn}"
        )


@dataclass(frozen=True)
class VersionState:
    """The version of the run that holds the lock, and what else is in its package group.

    Attributes:
        approval: approval status of the version; None when its package does not exist.
        newest: highest approved version that Refit made, if any.
        changed_at: when the package was last changed, for example approved; None if not known.
    """

    version: int
    approval: str | None
    newest: int | None
    changed_at: datetime | None = None


@dataclass(frozen=True)
class OpenRun:
    """A run that has not ended for good and does not hold the lock of the model.

    Its version waits for an approval, or was approved by a person and waits for its deployment.
    """

    run: Run
    version: VersionState | None


@dataclass(frozen=True)
class ModelFacts:
    """What the decision needs. What is None was not read, because it cannot matter.

    Attributes:
        ended: the execution whose end triggered the decision.
        run: the run that holds the lock of the model.
        training: the execution of TRAIN of that run.
        deployed_run: the run that the deployment deploys.
        deployment: the execution that holds the deployment lock.
        deployment_may_come: whether another execution of DEPLOY of the model is running.
        version: the version of the run that holds the lock.
        open_runs: further runs whose version waits for an approval or a deployment.
        live_config: endpoint config of the endpoint.
    """

    state: ModelState
    ended: ExecutionState | None = None
    run: Run | None = None
    training: ExecutionState | None = None
    deployed_run: Run | None = None
    deployment: ExecutionState | None = None
    deployment_may_come: bool = False
    version: VersionState | None = None
    open_runs: tuple[OpenRun, ...] = ()
    live_config: str | None = None


@dataclass(frozen=True)
class EndRun:
    """Record how a run ended, and notify."""

    run: str
    status: RunStatus
    message: str
    failure: Failure | None = None


@dataclass(frozen=True)
class Outcome:
    """How a run ends whose version is not deployed, and why.

    Attributes:
        error: name of the failure, if it is one.
    """

    status: RunStatus
    message: str
    error: str | None = None

    def end(self, run: str) -> EndRun:
        """Return the step that ends a run so."""
        failure = Failure(self.error, self.message) if self.error else None
        return EndRun(run, self.status, self.message, failure)


@dataclass(frozen=True)
class StartTraining:
    """Start the execution of a run that has begun."""

    run: str


@dataclass(frozen=True)
class ReleaseRunLock:
    """Release the lock of the model if this run holds it."""

    run: str


@dataclass(frozen=True)
class ReleaseDeploymentLock:
    """Release the deployment lock if this deployment holds it."""

    deployment: str


@dataclass(frozen=True)
class StartPendingDrop:
    """Look at the drop folder, because data arrived while a run was active."""


Step: TypeAlias = EndRun | StartTraining | ReleaseRunLock | ReleaseDeploymentLock | StartPendingDrop

AWAITS_DEPLOYMENT = frozenset({RunStatus.DEPLOYING, RunStatus.AWAITING_APPROVAL})
"""Statuses of a run that an approval, a rejection or a deployment ends."""


def reconcile(facts: ModelFacts, now: datetime) -> list[Step]:
    """Return the steps that bring the runs and the locks of a model up to date, in their order."""
    steps = _deployment_steps(facts)
    ended = {step.run for step in steps if isinstance(step, EndRun)}
    deployment_remains = facts.state.deployment is not None and not steps
    steps += _run_steps(facts, now, ended, deployment_remains)
    steps += _open_run_steps(facts, now, ended, deployment_remains)
    state = facts.state
    if state.pending and state.active_run is None and state.removing_since is None:
        steps.append(StartPendingDrop())
    return steps


def outcome_of_undeployed(
    version: VersionState, live: int | None, status: RunStatus = RunStatus.DEPLOYING
) -> Outcome | None:
    """Say why a version will not be deployed; None if it should be live or waits for an approval.

    Args:
        version: the version, and the newest one beside it.
        live: the live version.
        status: of the run that made the version.
    """
    if waits_for_approval(version, status):
        return None
    if version.approval == "Rejected":
        return _rejected(version, status)
    if version.approval is None:
        return Outcome(
            RunStatus.FAILED,
            f"the model package of version {version.version} was deleted before it was live",
            "VersionDeleted",
        )
    if version.newest is not None and version.newest > version.version:
        return Outcome(
            RunStatus.SUPERSEDED,
            f"version {version.newest} is newer than version {version.version}, and is deployed "
            "instead",
        )
    if live == version.version:
        return Outcome(RunStatus.DEPLOYED, f"version {version.version} is live")
    return None


def waits_for_approval(version: VersionState, status: RunStatus) -> bool:
    """Return whether a person is to decide on the version of a run in this status."""
    return status is RunStatus.AWAITING_APPROVAL and version.approval == "PendingManualApproval"


def _rejected(version: VersionState, status: RunStatus) -> Outcome:
    if status is RunStatus.AWAITING_APPROVAL:
        return Outcome(RunStatus.REFUSED, f"version {version.version} was rejected")
    return Outcome(
        RunStatus.FAILED,
        f"version {version.version} was rejected before it was live",
        "VersionRejected",
    )


def _deployment_steps(facts: ModelFacts) -> list[Step]:
    held, execution = facts.state.deployment, facts.deployment
    if held is None or execution is None or not execution.has_ended:
        return []
    run = facts.deployed_run
    steps: list[Step] = []
    if run is not None and run.status is RunStatus.DEPLOYING:
        steps.append(_end_of_live(facts, run) or _end_of_deployment(facts, run, execution))
    return [*steps, ReleaseDeploymentLock(held)]


def _end_of_live(facts: ModelFacts, run: Run) -> EndRun | None:
    """End a run whose version is live, which is its outcome whatever failed afterwards."""
    champion = facts.state.champion
    if champion is None or champion.run != run.run:
        return None
    return EndRun(run.run, RunStatus.DEPLOYED, f"version {champion.version} is live")


def _end_of_deployment(facts: ModelFacts, run: Run, execution: ExecutionState) -> EndRun:
    champion, failure = facts.state.champion, execution.explained()
    if facts.live_config and (champion is None or facts.live_config != champion.endpoint_config):
        contrast = (
            "and no version is live"
            if champion is None
            else "which is not that of the live version"
        )
        failure = Failure(
            failure.name,
            f"{failure.message}. The endpoint is left with the config {facts.live_config}, "
            f"{contrast}. To deploy the newest approved version again, run "
            f"`refit unblock {run.model}`",
        )
    return EndRun(run.run, RunStatus.FAILED, failure.message, failure)


def _run_steps(
    facts: ModelFacts, now: datetime, ended: set[str], deployment_remains: bool
) -> list[Step]:
    holder, run = facts.state.active_run, facts.run
    if holder is None:
        return []
    if run is None or run.status.is_final or holder in ended:
        return [ReleaseRunLock(holder)]
    end = _end_of_live(facts, run)
    if end is None and run.status is RunStatus.DEPLOYING:
        end = _end_of_undeployed(facts, OpenRun(run, facts.version), now, deployment_remains)
    elif end is None and facts.training is not None and facts.training.has_ended:
        end = _failed(run, facts.training)
    elif end is None and facts.training is None and now - run.started_at > GRACE:
        return [StartTraining(holder)] if facts.state.removing_since is None else []
    return [end, ReleaseRunLock(holder)] if end else []


def _open_run_steps(
    facts: ModelFacts, now: datetime, ended: set[str], deployment_remains: bool
) -> list[Step]:
    """End the runs without a lock that a person has decided on and that no deployment takes up."""
    ends = (
        _end_of_live(facts, waiting.run)
        or _end_of_undeployed(facts, waiting, now, deployment_remains)
        for waiting in facts.open_runs
        if waiting.run.run not in ended
    )
    return [end for end in ends if end is not None]


def _end_of_undeployed(
    facts: ModelFacts, waiting: OpenRun, now: datetime, deployment_remains: bool
) -> EndRun | None:
    """Decide on a run that waits for its deployment; None if it may still come."""
    run, version, champion = waiting.run, waiting.version, facts.state.champion
    is_deployed_now = facts.deployed_run is not None and facts.deployed_run.run == run.run
    if facts.deployment_may_come or (deployment_remains and is_deployed_now):
        return None
    if version is not None:
        if waits_for_approval(version, run.status):
            return None
        live = champion.version if champion else None
        reason = outcome_of_undeployed(version, live, run.status)
        if reason is not None:
            return reason.end(run.run)
    failed = _failed_execution(facts, waiting)
    if failed is not None:
        return _failed(run, failed)
    since = _waits_since(run, version)
    if deployment_remains or since is None or now - since <= GRACE:
        return None
    message = f"no execution of DEPLOY took up the version of run {run.run}. {_deploy_again(run)}"
    return EndRun(run.run, RunStatus.FAILED, message, Failure("DeploymentNotStarted", message))


def _failed_execution(facts: ModelFacts, waiting: OpenRun) -> ExecutionState | None:
    """Return the execution whose failure ended the run before its version was deployed."""
    for execution in (facts.ended, facts.deployment):
        if execution is not None and _failed_to_deploy(execution, waiting.run):
            return execution
    holds_lock = facts.state.active_run == waiting.run.run
    training = facts.training if holds_lock and waiting.version is None else None
    return training if training is not None and training.has_failed else None


def _waits_since(run: Run, version: VersionState | None) -> datetime | None:
    """Return since when the run waits for a deployment; None if it waits for an approval."""
    if run.status is RunStatus.DEPLOYING:
        return run.updated_at
    return version.changed_at if version is not None else None


def _deploy_again(run: Run) -> str:
    """Say how a person has the version of a run deployed."""
    which = f"{run.model} {run.version or 'VERSION'}"
    return f"To deploy it, run `refit reject {which}` and then `refit approve {which}`"


def _failed_to_deploy(execution: ExecutionState, run: Run) -> bool:
    """Say whether an execution of DEPLOY failed that was about the version of a run."""
    versions = (execution.version, run.version)
    return (
        execution.is_deployment
        and execution.has_failed
        and (None in versions or execution.version == run.version)
    )


def _failed(run: Run, execution: ExecutionState) -> EndRun:
    failure = execution.explained()
    return EndRun(run.run, RunStatus.FAILED, failure.message, failure)
