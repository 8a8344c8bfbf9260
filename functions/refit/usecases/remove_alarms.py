"""Remove the alarms of a model whose endpoint was deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.monitoring.alarms import alarm_names
from refit.domain.naming import model_of_group

if TYPE_CHECKING:
    from refit.usecases.services import Services


def remove_alarms(services: Services, endpoint: str) -> str | None:
    """Delete the alarms of the model that an endpoint serves.

    Returns:
        The model; None when the endpoint exists (again), or belongs to another stack.
    """
    # An endpoint and the model package group of its model have the same name.
    model = model_of_group(services.environment.name_prefix, endpoint)
    if model is None:
        return None
    state = services.endpoints.describe(endpoint)
    if state is not None and state.status != "Deleting":
        return None
    services.alarms.delete(alarm_names(services.names(model)))
    return model
