"""Undo a failed deployment, so that nothing stays half-deployed.

Invoked by  DEPLOY state machine, state RollBack, until it succeeds
Input       the plan of PlanDeployment and the error                          events/roll_back.json
Output      {"live": the endpoint config that is live now, or null,
            "repeat": whether the deployment may be repeated, because AWS caused the failure,
            "promoted": whether the version was promoted before the failure, and stays live}
Raises      EndpointNotReady while the endpoint is changing, ServiceThrottled
"""

from __future__ import annotations

from typing import Any

from refit.domain.pipeline.deployment import Action
from refit.domain.pipeline.failure import explain_failure
from refit.handlers.events import DeploymentPlan
from refit.handlers.wiring import services
from refit.telemetry import logger
from refit.usecases.roll_back_deployment import FailedDeployment, roll_back_deployment


class RollBackRequest(DeploymentPlan):
    """The event."""

    error: dict[str, Any]
    action: Action


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, str | bool | None]:
    """Take the next step back."""
    request = RollBackRequest.model_validate(event)
    failed = FailedDeployment(
        model=request.model,
        run=request.run,
        version=request.version,
        package_arn=request.package_arn,
        name=request.name,
        endpoint=request.endpoint,
        failure=explain_failure(request.error),
        is_update=request.action is Action.UPDATE,
    )
    rolled_back = roll_back_deployment(services(), failed)
    return {
        "live": rolled_back.live_config,
        "repeat": rolled_back.may_repeat,
        "promoted": rolled_back.is_promoted,
    }
