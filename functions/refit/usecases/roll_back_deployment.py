"""Undo a failed deployment, so that nothing stays half-deployed.

Each call takes the next step from the current state to the state before the deployment, so the call
can be repeated at any point. The champion serves predictions during the rollback.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit.domain.errors import EndpointNotReady
from refit.domain.vocabulary import EventName
from refit.usecases.set_alarms import set_alarms

if TYPE_CHECKING:
    from refit.domain.pipeline.failure import Failure
    from refit.domain.pipeline.model_state import Champion
    from refit.usecases.services import Services

_CHANGING = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})


@dataclass(frozen=True)
class FailedDeployment:
    """A deployment that failed.

    Attributes:
        name: name of the SageMaker model and endpoint config that the deployment created.
    """

    model: str
    run: str
    version: int
    package_arn: str
    name: str
    endpoint: str
    failure: Failure


def roll_back_deployment(services: Services, failed: FailedDeployment) -> str | None:
    """Update the endpoint back to the champion, or delete the endpoint if there is no champion.

    Returns:
        The endpoint config that is live now, or None.

    Raises:
        EndpointNotReady: while the endpoint is changing; call again later.
    """
    champion = services.models.champion(failed.model)
    live_config = _restore(services, failed.endpoint, champion)
    failure = failed.failure
    services.endpoints.delete_deployment(failed.name)
    services.registry.reject_package(
        failed.package_arn, f"The deployment failed: {failure.message}"
    )
    if champion is not None:  # PromoteVersion may have replaced the champion's alarms
        set_alarms(services, failed.model, champion.run, champion.variant)
    services.messaging.publish(
        EventName.DEPLOYMENT_ROLLED_BACK,
        {
            "model": failed.model,
            "run": failed.run,
            "version": failed.version,
            "error": failure.name,
            "message": failure.message,
        },
    )
    return live_config


def _restore(services: Services, endpoint: str, champion: Champion | None) -> str | None:
    """Return the live config if it is the champion's; otherwise change the endpoint."""
    live = services.endpoints.describe(endpoint)
    if live is None:
        return None
    if live.status in _CHANGING:
        raise EndpointNotReady(f"endpoint {endpoint} is {live.status}")
    if champion is None:
        services.endpoints.delete(endpoint)
        raise EndpointNotReady(f"endpoint {endpoint} is being deleted")
    if live.config != champion.endpoint_config or live.status != "InService":
        services.endpoints.update(endpoint, champion.endpoint_config)
        raise EndpointNotReady(f"endpoint {endpoint} is updating to {champion.endpoint_config}")
    return live.config
