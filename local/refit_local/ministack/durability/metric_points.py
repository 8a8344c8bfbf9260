"""CloudWatch: store data points as they arrive, and keep a limited number of them in memory.

AWS        keeps data points of less than a minute for 3 hours, and those of a minute for 15 days
MiniStack  keeps every data point in memory, for ever
Source     botocore's model of GetMetricStatistics: retention, and percentiles of statistic sets

Data points are kept one by one for 15 minutes, and then one a minute for 15 days. Percentiles of
these are not available; sums, counts, averages and extremes are exact.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from refit_local.ministack.hooks import Document
    from refit_local.state.database import Database

SINGLE_S = 15 * 60.0
KEPT_S = 15 * 24 * 3600.0
SHORTEN_EVERY_S = 60.0
_MINUTE_S = 60.0
_STATISTICS = "_stat"
_LAYOUT = (
    "CREATE TABLE IF NOT EXISTS metric_points "
    "(row INTEGER PRIMARY KEY AUTOINCREMENT, points TEXT NOT NULL)"
)


@dataclass
class MetricPoints:
    """The stored data points. Each row of the table has those that arrived in some seconds."""

    database: Database
    _stored: dict[Any, int] = field(default_factory=lambda: defaultdict(int))
    _shortened_at: float = 0.0

    def install(self) -> None:
        """Load the stored points."""
        with self.database.transaction() as connection:
            connection.execute(_LAYOUT)
            rows = connection.execute("SELECT points FROM metric_points ORDER BY row").fetchall()
            metrics = Hook.METRICS.get()._data
            for (text,) in rows:
                stored = json.loads(text, object_hook=Hook.STATE_FROM_JSON.get())
                for key, points in stored._data.items():
                    metrics.setdefault(key, []).extend(points)
            self._shorten()
            connection.execute("DELETE FROM metric_points")
            self._stored.clear()
            self.store()

    def store(self) -> None:
        """Store the points that have arrived, and merge old ones once a minute."""
        arrived = Hook.SCOPED.get()()
        for key, points in list(Hook.METRICS.get()._data.items()):
            new = points[self._stored[key] :]
            if new:
                arrived._data[key] = new
        if arrived._data:
            text = json.dumps(arrived, default=Hook.STATE_TO_JSON.get())
            with self.database.transaction() as connection:
                connection.execute("INSERT INTO metric_points (points) VALUES (?)", (text,))
            for key, new in arrived._data.items():
                self._stored[key] += len(new)
        if time.time() - self._shortened_at > SHORTEN_EVERY_S:
            self._shorten()

    def _shorten(self) -> None:
        now = time.time()
        # What is older was merged the last time.
        since = self._shortened_at - SINGLE_S - 2 * _MINUTE_S if self._shortened_at else 0.0
        for key, points in list(Hook.METRICS.get()._data.items()):
            self._stored[key] -= shorten(points, now, since)
        self._shortened_at = now


def shorten(points: list[Document], now: float, since: float = 0.0) -> int:
    """Merge old data points of a metric to one a minute, and drop those that are too old.

    Args:
        points: in the order of their arrival; changed in place, while others may append.
        now: Unix time in seconds.
        since: points before this time are one a minute already; Unix time in seconds.

    Returns:
        by how many points it is shorter.
    """
    number = len(points)
    oldest, single = now - KEPT_S, now - SINGLE_S
    known = [p for p in points[:number] if oldest <= p["Timestamp"]]
    old = [p for p in known if since <= p["Timestamp"] < single]
    merged = _by_minute(old)
    removed = number - len(known) + len(old) - len(merged)
    if removed:
        before = [p for p in known if p["Timestamp"] < since]
        recent = [p for p in known if p["Timestamp"] >= single]
        points[:number] = [*before, *merged, *recent]
    return removed


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
