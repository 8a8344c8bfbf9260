"""Undo a deployment that failed, so that nothing is left half-deployed.

Invoked by  DEPLOY state machine, state RollBack, until it succeeds
Input       the plan of PlanDeployment and the error                          events/roll_back.json
Output      {"live": the endpoint config that serves now, or null}
Raises      EndpointNotReady while the endpoint is changing, ServiceThrottled

Each call looks at what is and takes the next step towards the state before, so it can be repeated
at any point. The champion goes on answering while it is at work.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from refit.domain.errors import EndpointNotReady
from refit.domain.pipeline.failure import explained
from refit.stores import bus, registry, store
from refit.telemetry import logger
from refit.usecases.set_alarms import renew_alarms

_CHANGING = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})


class Request(BaseModel):
    """The event."""

    model_config = ConfigDict(extra="ignore")

    model: str
    run: str
    version: int
    package_arn: str
    name: str
    endpoint: str
    error: dict[str, Any]


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, str | None]:
    """Bring the endpoint back to the champion, or away when there is none."""
    request = Request.model_validate(event)
    live = _restore(request)
    failure = explained(request.error)
    registry.delete_deployment(request.name)
    registry.reject_package(request.package_arn, f"The deployment failed: {failure.message}")
    champion = store.load_champion(request.model)
    if champion is not None:
        renew_alarms(request.model, champion.run, champion.variant)  # Promote may have moved them
    bus.publish(
        bus.EventName.DEPLOYMENT_ROLLED_BACK,
        {
            "model": request.model,
            "run": request.run,
            "version": request.version,
            "error": failure.name,
            "message": failure.message,
        },
    )
    return {"live": live}


def _restore(request: Request) -> str | None:
    endpoint = registry.describe_endpoint(request.endpoint)
    if endpoint is None:
        return None
    if endpoint.status in _CHANGING:
        raise EndpointNotReady(f"endpoint {request.endpoint} is {endpoint.status}")
    champion = store.load_champion(request.model)
    if champion is None:
        registry.delete_endpoint(request.endpoint)
        raise EndpointNotReady(f"endpoint {request.endpoint} is being deleted")
    if endpoint.config != champion.endpoint_config or endpoint.status != "InService":
        registry.update_endpoint(request.endpoint, champion.endpoint_config)
        raise EndpointNotReady(
            f"endpoint {request.endpoint} is going back to {champion.endpoint_config}"
        )
    return endpoint.config
