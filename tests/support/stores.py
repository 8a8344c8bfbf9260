"""Replace the stores of services, and read items of the tables."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Key
from refit.handlers.wiring import services as services_of_handlers
from refit.stores.dynamodb import MAX_TRANSACTION_WRITES
from refit.stores.inferences import InferenceStore
from refit.stores.labels import LabelStore
from refit.stores.retries import TRANSACTION_CONFLICTS

if TYPE_CHECKING:
    from refit.usecases.services import Services

NO_WAIT = replace(TRANSACTION_CONFLICTS, sleep=lambda _: None)


def use_stores(services: Services, **stores: Any) -> None:
    """Replace stores of the services, by name, before they are used."""
    vars(services).update(stores)


def do_not_wait(services: Services, max_writes: int = MAX_TRANSACTION_WRITES) -> None:
    """Retry conflicting transactions without waiting, and limit the items per transaction."""
    shards = services.shards
    labels = LabelStore(services.inference_table, services.model_table, shards, NO_WAIT)
    inferences = InferenceStore(
        services.inference_table, services.monitoring, labels, shards, NO_WAIT, max_writes
    )
    use_stores(services, labels=labels, inferences=inferences)


def dynamodb_events() -> Any:
    """Return the event hooks of the client that the handlers use."""
    return services_of_handlers().client("dynamodb").meta.events


def inference_item(services: Services, model: str, inference_id: str) -> dict[str, Any]:
    """Return an item of InferenceTable; empty when there is none."""
    return services.inference_table.get({"id": f"{model}#{inference_id}"}) or {}


def label_counters_item(services: Services, model: str) -> dict[str, Any]:
    """Return the sums, and the latest times, of the items that count the labels of a model."""
    condition = Key("pk").eq(f"MODEL#{model}") & Key("sk").begins_with("LABELS")
    total: dict[str, Any] = {}
    for item in services.model_table.query(condition):
        for name in item.keys() - {"pk", "sk"}:
            value = item[name]
            if isinstance(value, str):
                total[name] = max(value, total.get(name, ""))
            else:
                total[name] = value + total.get(name, 0)
    return total
