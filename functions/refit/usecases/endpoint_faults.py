"""Find out whether the endpoint of a model serves its live version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.pipeline.deployment import fault_of_endpoint

if TYPE_CHECKING:
    from refit.domain.naming import ResourceNames
    from refit.domain.pipeline.model_state import Champion
    from refit.stores.endpoints import EndpointState


def fault_of(names: ResourceNames, champion: Champion, live: EndpointState | None) -> str | None:
    """Say why an endpoint does not serve the champion; None if it does."""
    status, config = (live.status, live.config) if live else (None, None)
    return fault_of_endpoint(names, champion.endpoint_config, status, config)
