"""Make the verified version the champion, and set its alarms.

Invoked by  DEPLOY state machine, state Promote
Input       the plan of PlanDeployment                                        events/promote.json
Output      {"version", "replaced": the version before, or null}
Raises      ServiceThrottled

The alarms come first: when they cannot be put, the champion stays who it is, and RollBack gives it
back its own. The replaced version's model and endpoint config stay: its registered package can be
brought back, and they cost nothing while no endpoint uses them.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from refit.stores import bus, store
from refit.telemetry import logger
from refit.usecases.set_alarms import renew_alarms


class Request(BaseModel):
    """The event."""

    model_config = ConfigDict(extra="ignore")

    model: str
    run: str
    version: int
    package_arn: str
    name: str
    endpoint: str
    variant: str


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, int | None]:
    """Set the alarms, record the champion and say so on the bus."""
    request = Request.model_validate(event)
    before = store.load_champion(request.model)
    replaced = before.version if before and before.version != request.version else None
    renew_alarms(request.model, request.run, request.variant)
    store.promote(
        request.model,
        store.Champion(
            version=request.version,
            run=request.run,
            package_arn=request.package_arn,
            endpoint=request.endpoint,
            endpoint_config=request.name,
            variant=request.variant,
            promoted_at=store.now(),
        ),
    )
    bus.publish(
        bus.EventName.MODEL_PROMOTED,
        {
            "model": request.model,
            "run": request.run,
            "version": request.version,
            "replaced": replaced,
            "endpoint": request.endpoint,
        },
    )
    return {"version": request.version, "replaced": replaced}
