"""Parse the CloudWatch Embedded Metric Format: metrics in the log lines of a function.

Source: CloudWatch User Guide, "Specification: Embedded metric format".
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DIMENSIONS = 30
MAX_METRICS = 100
MAX_VALUES = 100


@dataclass(frozen=True)
class EmbeddedMetric:
    """A metric with one set of dimensions; all `values` have the same timestamp."""

    namespace: str
    name: str
    values: list[float]
    unit: str
    dimensions: dict[str, str]
    timestamp_s: float


def metrics_of(line: str) -> Iterator[EmbeddedMetric]:
    """Yield the metrics of a log line; nothing for a line that is not valid EMF.

    A metric directive yields each of its metrics once per dimension set. As in CloudWatch, invalid
    directives, missing targets and targets of the wrong type are skipped.
    """
    if '"_aws"' not in line:
        return
    try:
        root = json.loads(line)
    except ValueError:
        return
    metadata = root.get("_aws") if isinstance(root, dict) else None
    if not isinstance(metadata, dict):
        return
    timestamp_ms = metadata.get("Timestamp")
    directives = metadata.get("CloudWatchMetrics")
    if not _is_number(timestamp_ms) or not isinstance(directives, list):
        return
    for directive in directives:
        if isinstance(directive, dict):
            yield from _metrics_of_directive(directive, root, timestamp_ms / 1000)


def _metrics_of_directive(
    directive: dict[str, Any], root: dict[str, Any], timestamp_s: float
) -> Iterator[EmbeddedMetric]:
    namespace, sets = directive.get("Namespace"), directive.get("Dimensions")
    definitions = directive.get("Metrics")
    if not isinstance(namespace, str) or not namespace:
        return
    if not isinstance(sets, list) or not isinstance(definitions, list):
        return
    for names in sets:
        dimensions = _dimensions(names, root)
        if dimensions is None:
            continue
        for definition in definitions[:MAX_METRICS]:
            name = definition.get("Name") if isinstance(definition, dict) else None
            if not isinstance(name, str):
                continue
            values = _values(root.get(name))
            if values:
                unit = definition.get("Unit", "None")
                yield EmbeddedMetric(namespace, name, values, unit, dimensions, timestamp_s)


def _dimensions(names: Any, root: dict[str, Any]) -> dict[str, str] | None:
    if not isinstance(names, list) or len(names) > MAX_DIMENSIONS:
        return None
    if not all(isinstance(name, str) and isinstance(root.get(name), str) for name in names):
        return None
    return {name: root[name] for name in names}


def _values(target: Any) -> list[float] | None:
    values = target if isinstance(target, list) else [target]
    if len(values) > MAX_VALUES or not all(_is_number(value) for value in values):
        return None
    return [float(value) for value in values]


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
