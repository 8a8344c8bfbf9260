"""Undo a failed deployment, so that nothing stays half-deployed.

Each call takes the next step from the current state to the state before the deployment, so the call
can be repeated at any point. The champion serves predictions during the rollback.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit.domain.errors import EndpointNotReady
from refit.domain.naming import ResourceNames, model_tags
from refit.domain.pipeline.deployment import CHANGING_STATUSES
from refit.domain.pipeline.failures_of_aws import is_failure_of_aws
from refit.domain.vocabulary import EventName
from refit.usecases.set_alarms import set_alarms

if TYPE_CHECKING:
    from refit.domain.pipeline.failure import Failure
    from refit.domain.pipeline.model_state import Champion
    from refit.usecases.services import Services


@dataclass(frozen=True)
class FailedDeployment:
    """A deployment that failed.

    Attributes:
        name: name of the SageMaker model and endpoint config that the deployment created.
        is_update: whether it updated an endpoint that existed.
    """

    model: str
    run: str
    version: int
    package_arn: str
    name: str
    endpoint: str
    failure: Failure
    is_update: bool


@dataclass(frozen=True)
class RolledBack:
    """The state after the rollback.

    Attributes:
        live_config: the endpoint config that is live now, or None.
        may_repeat: whether the version keeps its approval, because AWS caused the failure.
        is_promoted: whether the version was promoted before the failure, so that it stays live.
    """

    live_config: str | None
    may_repeat: bool
    is_promoted: bool = False


def roll_back_deployment(services: Services, failed: FailedDeployment) -> RolledBack:
    """Update the endpoint back to the champion, or delete the endpoint if there is no champion.

    The version is rejected, unless the failure was one of AWS's own. If the function that promotes
    died after the promotion, the version is the champion, and nothing is undone.

    Raises:
        EndpointNotReady: while the endpoint is changing; call again later.
    """
    champion = services.models.champion(failed.model)
    live_config = _restore(services, failed, champion)
    if champion is not None and champion.endpoint_config == failed.name:
        return RolledBack(live_config, may_repeat=False, is_promoted=True)
    failure = failed.failure
    services.endpoints.delete_deployment(failed.name)
    if services.artifacts.manifest(failed.model, failed.run).features_from is not None:
        services.endpoints.delete_model(ResourceNames.deployed_features(failed.name))
    may_repeat = is_failure_of_aws(failure)
    if not may_repeat:
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
    return RolledBack(live_config, may_repeat)


def _restore(services: Services, failed: FailedDeployment, champion: Champion | None) -> str | None:
    """Return the live config if it is the champion's; otherwise change the endpoint."""
    endpoint = failed.endpoint
    live = services.endpoints.describe(endpoint)
    if live is None:
        if champion is None or not failed.is_update:
            return None
        services.endpoints.create(endpoint, champion.endpoint_config, model_tags(failed.model))
        raise EndpointNotReady(f"endpoint {endpoint} is created with {champion.endpoint_config}")
    if live.status in CHANGING_STATUSES:
        raise EndpointNotReady(f"endpoint {endpoint} is {live.status}")
    if champion is None or live.status == "Failed":  # a failed endpoint can only be deleted
        services.endpoints.delete(endpoint)
        raise EndpointNotReady(f"endpoint {endpoint} is being deleted")
    if live.config != champion.endpoint_config or live.status != "InService":
        services.endpoints.update(endpoint, champion.endpoint_config)
        raise EndpointNotReady(f"endpoint {endpoint} is updating to {champion.endpoint_config}")
    return live.config
