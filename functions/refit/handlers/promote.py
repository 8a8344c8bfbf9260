"""Make the verified version the champion, and set its alarms.

Invoked by  DEPLOY state machine, state Promote
Input       the plan of PlanDeployment                                        events/promote.json
Output      {"version", "replaced": the version before, or null}
Raises      SchemaChanged, ModelNotFound, ServiceThrottled
"""

from __future__ import annotations

from typing import Any

from refit.domain.moments import iso
from refit.domain.pipeline.model_state import Champion
from refit.handlers.events import DeploymentPlan
from refit.handlers.wiring import services
from refit.telemetry import logger
from refit.usecases.promote_version import promote_version


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, int | None]:
    """Promote the version."""
    plan = DeploymentPlan.model_validate(event)
    champion = Champion(
        version=plan.version,
        run=plan.run,
        package_arn=plan.package_arn,
        endpoint=plan.endpoint,
        endpoint_config=plan.name,
        variant=plan.variant,
        promoted_at=iso(services().now()),
    )
    replaced = promote_version(services(), plan.model, champion)
    return {"version": plan.version, "replaced": replaced}
