"""Which endpoint uses an endpoint config or a model, now or in a deployment that is in progress."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit_local.sagemaker.records.naming import ENDPOINT, ENDPOINT_CONFIG

if TYPE_CHECKING:
    from refit_local.sagemaker.records.store import RecordStore


def endpoint_of_config(store: RecordStore, config: str) -> str | None:
    """Return the name of an endpoint that uses a config, or None."""
    for endpoint in store.all(ENDPOINT):
        pending = endpoint.get("PendingDeploymentSummary", {})
        used = (endpoint["EndpointConfigName"], pending.get("EndpointConfigName", ""))
        if config.lower() in map(str.lower, used):
            return str(endpoint["EndpointName"])
    return None


def endpoint_of_model(store: RecordStore, model: str) -> str | None:
    """Return the name of an endpoint that uses a model, or None."""
    for config in store.all(ENDPOINT_CONFIG):
        models = [variant["ModelName"].lower() for variant in config["ProductionVariants"]]
        if model.lower() in models:
            endpoint = endpoint_of_config(store, config["EndpointConfigName"])
            if endpoint is not None:
                return endpoint
    return None
