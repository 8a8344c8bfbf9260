"""Remove a model's alarms together with its endpoint.

Invoked by  EventBridge: an endpoint of this stack is being deleted, or is deleted
Input       the "SageMaker Endpoint State Change" event                 events/remove_alarms.json
Output      {"removed": the model, or null when the endpoint is not gone}
Raises      ServiceThrottled

An event may come twice, or late: when the endpoint is there again, its alarms stay.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from refit.domain.monitoring.alarms import alarm_names
from refit.domain.naming import ResourceNames, model_of_group
from refit.environment import environment
from refit.stores import alarms, registry
from refit.telemetry import logger


class Endpoint(BaseModel):
    """The event's detail."""

    model_config = ConfigDict(extra="ignore")

    EndpointName: str


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, str | None]:
    """Delete the alarms of the endpoint's model unless the endpoint exists again."""
    name = Endpoint.model_validate(event["detail"]).EndpointName
    model = model_of_group(environment().name_prefix, name)  # endpoint and group share their name
    if model is None:
        return {"removed": None}
    endpoint = registry.describe_endpoint(name)
    if endpoint is not None and endpoint.status != "Deleting":
        return {"removed": None}
    alarms.delete(alarm_names(ResourceNames(environment().name_prefix, model)))
    return {"removed": model}
