"""Decide which version should be live, take the deployment lock and make the requests for it.

Invoked by  DEPLOY state machine, state PlanDeployment
Input       {"group", "version", "package_arn", "approval"}: the model package that changed;
            "execution"                                              events/plan_deployment.json
Output      {"action": "none"} or {"action": "create" | "update", "model", "run", "version",
            "package_arn", "deployment", "name", "endpoint", "variant", "requests"}
Raises      DeploymentInProgress, EndpointNotReady, RegistryLags, SettingsInvalid, ServiceThrottled
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from refit.handlers.wiring import services
from refit.telemetry import logger
from refit.usecases.plan_deployment import PackageChange, plan_deployment


class PlanDeploymentRequest(BaseModel):
    """The event."""

    group: str
    version: int
    package_arn: str
    approval: str
    execution: str


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return what the deployment has to do."""
    request = PlanDeploymentRequest.model_validate(event)
    change = PackageChange(**request.model_dump(exclude={"execution"}))
    return plan_deployment(services(), change, request.execution)
