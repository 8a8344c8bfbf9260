"""Verify that the live endpoint is the new model: by the name of its config, and by its answers.

Invoked by  DEPLOY state machine, state VerifyDeployment
Input       the plan of PlanDeployment                                events/verify_deployment.json
Output      {"rows": how many held-out rows were answered as in the evaluation}
Raises      DeploymentRejected, EndpointDidNotStart, EndpointNotProvisioned, EndpointNotReady,
            ServiceThrottled
"""

from __future__ import annotations

from typing import Any

from refit.handlers.events import DeploymentPlan
from refit.handlers.wiring import services
from refit.telemetry import logger
from refit.usecases.verify_deployment import DeployedVersion, verify_deployment


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Compare the live endpoint with the evaluation."""
    plan = DeploymentPlan.model_validate(event)
    deployed = DeployedVersion(plan.model, plan.run, plan.endpoint, plan.name, plan.variant)
    return {"rows": verify_deployment(services(), deployed)}
