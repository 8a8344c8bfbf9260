"""What is stored of each service, and how a service gets it back."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit_local.ministack.hooks import scoped_copy
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit_local.ministack.hooks import Document


@dataclass(frozen=True)
class Part:
    """A part of the state that is stored as a whole.

    Attributes:
        name: of its snapshot.
        key: MiniStack's name of the state of the service.
        state: returns what is stored; None when there is nothing to store.
        restore: takes what was stored.
        in_background: whether it also changes without a request.
    """

    name: str
    key: str
    state: Callable[[], Document | None]
    restore: Callable[[Document], None]
    in_background: bool = True


def parts() -> list[Part]:
    """Return the parts of the state, of all services."""
    own = [
        Part("lambda", "lambda", _functions, Hook.RESTORE_FUNCTIONS.get(), in_background=False),
        Part("sqs", "sqs", _queues, Hook.RESTORE_QUEUES.get()),
        Part("stepfunctions", "stepfunctions", _state_machines, Hook.RESTORE_MACHINES.get()),
        Part("cloudwatch", "cloudwatch", _alarms, Hook.RESTORE_METRICS.get()),
        Part("cloudwatch_logs", "cloudwatch_logs", _log_groups, Hook.RESTORE_LOGS.get()),
    ]
    # The items, streams and definitions of tables are stored by `state.tables`.
    keys = {"dynamodb", *(part.key for part in own)}
    modules = Hook.STATE_KEYS.get()
    return [*own, *(_of_module(key, name) for key, name in modules.items() if key not in keys)]


def keys_of(service: str) -> set[str]:
    """Return the names of the states that a service's requests may change."""
    registered = Hook.SERVICE_REGISTRY.get().get(service, {})
    own = registered.get("state_key", registered.get("module", service))
    return {own, *registered.get("sub_modules", ())}


def _of_module(key: str, name: str) -> Part:
    def state() -> Document | None:
        get_state = getattr(sys.modules.get(f"ministack.services.{name}"), "get_state", None)
        return None if get_state is None else get_state()

    def restore(state: Document) -> None:
        Hook.SERVICE_MODULE.get()(name).load_persisted_state(state)

    # Stacks are stored when they have come to rest.
    return Part(key, key, state, restore, in_background=key != "cloudformation")


def _functions() -> Document:
    return {
        "functions": Hook.STORED_FUNCTIONS.get(),
        "layers": Hook.LAYERS.get(),
        "esms": Hook.FUNCTION_MAPPINGS.get(),
        "function_urls": Hook.FUNCTION_URLS.get(),
    }


def _queues() -> Document:
    """Return the queues without their messages, which are stored one by one."""
    return {
        "queues": scoped_copy(Hook.QUEUES.get(), lambda queue: {**queue, "messages": []}),
        "queue_name_to_url": Hook.QUEUE_URLS.get(),
    }


def _state_machines() -> Document:
    """Return the state machines without their executions, which are stored one by one."""
    return {
        "state_machines": Hook.STATE_MACHINES.get(),
        "tags": Hook.MACHINE_TAGS.get(),
        "activities": Hook.ACTIVITIES.get(),
        "state_machine_versions": Hook.MACHINE_VERSIONS.get(),
        "state_machine_aliases": Hook.MACHINE_ALIASES.get(),
        "map_runs": Hook.MAP_RUNS.get(),
    }


def _alarms() -> Document:
    """Return the state of CloudWatch without data points, which are stored as they arrive."""
    return {
        "alarms": Hook.ALARMS.get(),
        "composite_alarms": Hook.COMPOSITE_ALARMS.get(),
        "composite_triggers": Hook.COMPOSITE_TRIGGERS.get(),
        "alarm_history": Hook.ALARM_ENTRIES.get(),
        "dashboards": Hook.DASHBOARDS.get(),
        "resource_tags": Hook.METRIC_TAGS.get(),
    }


def _log_groups() -> Document:
    """Return the state of the logs without their events, which are stored as they arrive."""

    def without_events(group: Document) -> Document:
        streams = {name: {**stream, "events": []} for name, stream in group["streams"].items()}
        return {**group, "streams": streams}

    groups = scoped_copy(Hook.LOG_GROUPS.get(), without_events)
    return {
        "log_groups": groups,
        "destinations": Hook.LOG_DESTINATIONS.get(),
        "resource_policies": Hook.LOG_RESOURCE_POLICIES.get(),
        "log_group_policies": Hook.LOG_GROUP_POLICIES.get(),
        "metric_filters": Hook.METRIC_FILTERS.get(),
        "delivery_sources": Hook.LOG_DELIVERY_SOURCES.get(),
        "delivery_destinations": Hook.LOG_DELIVERY_DESTINATIONS.get(),
        "deliveries": Hook.LOG_DELIVERIES.get(),
    }
