"""CloudWatch, EventBridge and Firehose: keep a limited amount in memory.

AWS        keeps data points of less than a minute for 3 hours, and those of a minute for 15 days;
           gives nobody the events of a bus or the records of a delivery stream again
MiniStack  keeps every data point, and every event and record, although nothing reads them
Source     CloudWatch User Guide, "Metrics concepts", Metrics retention

Data points are kept one by one for 15 minutes, and then one a minute for 15 days. Percentiles of
these are not available; sums, counts, averages and extremes are exact.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from refit_local.ministack.hooks import Document

SINGLE_S = 15 * 60.0
KEPT_S = 15 * 24 * 3600.0
_MINUTE_S = 60.0
_STATISTICS = "_stat"


def install() -> None:
    """Install these patches into MiniStack."""
    nothing: deque[Any] = deque(maxlen=0)
    Hook.RECENT_EVENTS.put(lambda: nothing)


def apply() -> None:
    """Drop what is beyond the limits."""
    for _, stream in list(Hook.DELIVERY_STREAMS.get().all_items()):
        for destination in stream["destinations"]:
            # They are in S3: Firehose of MiniStack writes a record at once.
            destination["records"].clear()
    now = time.time()
    for _, points in list(Hook.METRICS.get().all_items()):
        shorten(points, now)


def shorten(points: list[Document], now: float) -> None:
    """Merge old data points of a metric to one a minute, and drop those that are too old.

    Args:
        points: in the order of their arrival; changed in place, while others may append.
        now: Unix time in seconds.
    """
    number = len(points)
    old = [point for point in points[:number] if point["Timestamp"] < now - SINGLE_S]
    merged = _by_minute([point for point in old if point["Timestamp"] >= now - KEPT_S])
    if len(merged) < len(old):
        recent = [point for point in points[:number] if point["Timestamp"] >= now - SINGLE_S]
        points[:number] = [*merged, *recent]


def _by_minute(points: list[Document]) -> list[Document]:
    minutes: dict[tuple[float, str], list[Document]] = {}
    for point in points:
        minute = point["Timestamp"] // _MINUTE_S * _MINUTE_S
        minutes.setdefault((minute, point["Unit"]), []).append(point)
    return [
        group[0] if len(group) == 1 else _merged(minute, group)
        for (minute, _), group in sorted(minutes.items())
    ]


def _merged(minute: float, points: list[Document]) -> Document:
    statistics = Hook.METRIC_STATISTICS.get()(points)
    average = statistics.pop("Average", 0.0)
    return {**points[0], "Timestamp": minute, "Value": average, _STATISTICS: statistics}
