"""Remove the alarms of a model whose endpoint was deleted.

Invoked by  EventBridge: an endpoint of this stack is being deleted, or was deleted
Input       the "SageMaker Endpoint State Change" event                 events/remove_alarms.json
Output      {"removed": the model, or null when the endpoint still exists}
Raises      ServiceThrottled

The event may be repeated or late: if the endpoint was created again, the alarms stay.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from refit.handlers.wiring import services
from refit.telemetry import logger
from refit.usecases.remove_alarms import remove_alarms


class EndpointDetail(BaseModel):
    """The detail of the event."""

    name: str = Field(alias="EndpointName")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, str | None]:
    """Remove the alarms of the endpoint's model."""
    endpoint = EndpointDetail.model_validate(event["detail"])
    return {"removed": remove_alarms(services(), endpoint.name)}
