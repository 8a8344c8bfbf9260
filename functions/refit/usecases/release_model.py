"""Free a model from what holds it without anybody working on it, and say what was done.

It takes the steps of the regular check at once. Beyond these, it deploys the newest approved
version again if the endpoint does not serve the live version, which only a person decides: an
endpoint may have been deleted on purpose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.pipeline.reconciliation import (
    EndRun,
    ReleaseDeploymentLock,
    ReleaseRunLock,
    StartPendingDrop,
    StartTraining,
)
from refit.usecases.endpoint_faults import fault_of
from refit.usecases.reconcile_batches import reconcile_batches
from refit.usecases.reconcile_model import reconcile_model

if TYPE_CHECKING:
    from refit.domain.pipeline.reconciliation import Step
    from refit.usecases.services import Services


def release_model(services: Services, model: str) -> list[str]:
    """Free a model; return what was done, in sentences.

    Raises:
        ServiceThrottled: when AWS throttled a request; call again to complete.
    """
    done = [_text(step) for step in reconcile_model(services, model)]
    done += [
        f"Batch {batch} ended FAILED: its execution had ended."
        for batch in reconcile_batches(services, model)
    ]
    repair = _deploy_again(services, model)
    return [*done, repair] if repair else done


def _text(step: Step) -> str:
    match step:
        case EndRun():
            return f"Run {step.run} ended {step.status}: {step.message.rstrip('.')}."
        case StartTraining():
            return f"Run {step.run} is started."
        case ReleaseRunLock():
            return f"Run {step.run} does not hold the model any more."
        case ReleaseDeploymentLock():
            return "The deployment does not hold the model any more."
        case StartPendingDrop():
            return "The drop folder is looked at for the data that was pending."


def _deploy_again(services: Services, model: str) -> str | None:
    """Deploy the newest approved version if the endpoint does not serve the live one."""
    state = services.models.state(model)
    if state.champion is None or state.deployment is not None or state.removing_since is not None:
        return None
    names = services.names(model)
    fault = fault_of(names, state.champion, services.endpoints.describe(names.endpoint))
    newest = services.registry.latest_approved(names.model_package_group) if fault else None
    if newest is None:
        return None
    services.deployments.start(names.model_package_group, newest.version, newest.arn)
    return f"Version {newest.version} is deployed again, because {fault}."
