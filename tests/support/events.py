"""The sample events of the Lambda functions.

The base sample of a function, `events/<verb>.json`, is a complete event that `sam local invoke`
accepts. A variant names its base under `extends` and contains only the differences.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

EVENTS = Path(__file__).parents[2] / "events"


def sample(name: str) -> dict[str, Any]:
    """Return the event in `events/<name>.json`, merged with its base."""
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    base = event.pop("extends", None)
    return event if base is None else merged(sample(base.removesuffix(".json")), event)


def merged(base: Any, changes: Any) -> Any:
    """Return `base` with `changes` applied.

    Objects are merged key by key, and lists of objects with the same length item by item. Every
    other value replaces the value of the base.
    """
    if isinstance(base, dict) and isinstance(changes, dict):
        both = base.keys() & changes.keys()
        return base | changes | {key: merged(base[key], changes[key]) for key in both}
    if _is_list_of_objects(base) and _is_list_of_objects(changes) and len(base) == len(changes):
        return [merged(*pair) for pair in zip(base, changes, strict=True)]
    return changes


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)
