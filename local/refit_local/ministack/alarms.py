"""CloudWatch: evaluate alarms period by period, over their own dimensions, as time passes.

AWS        evaluates the points of the alarm's own dimensions, one value a period, treats missing
           data as configured, and re-evaluates an alarm when no new data arrives
MiniStack  evaluates an alarm when a metric is put, over all dimensions and periods together, and
           never clears it by the passing of time
Source     CloudWatch User Guide, "Evaluating an alarm" and "Configuring how CloudWatch alarms treat
           missing data"

One difference from AWS remains: the newest period ends now, not at the full minute, so that an
alarm reacts within seconds.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

from refit_local.ministack import hooks, service_metrics
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from refit_local.ministack.hooks import Document

MINUTE_S = 60.0
"""The length of a minute of an alarm's period; only tests shorten it."""

EVALUATION_MINUTES = 1 / 12
# Every metric that is put evaluates all alarms; evaluations closer than this are skipped.
MIN_DISTANCE_MINUTES = 1 / 60
# How much later than its timestamp a point may arrive.
LATE_S = 60.0

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}


def install(minute_s: float = MINUTE_S) -> None:
    """Install these patches into MiniStack."""
    Hook.EVALUATE_ALARM.put(partial(_evaluate, minute_s))
    Hook.EVALUATE_ALARMS.wrap(_Pace(MIN_DISTANCE_MINUTES * minute_s))


async def evaluate_regularly(minute_s: float = MINUTE_S) -> None:
    """Publish the metrics of queues and evaluate all alarms, until cancelled."""
    queue_metrics = service_metrics.QueueMetrics(minute_s)
    while True:
        queue_metrics.publish(time.time())
        hooks.evaluate_alarms()
        await asyncio.sleep(EVALUATION_MINUTES * minute_s)


class _Pace:
    """Skip calls that follow another too closely; `evaluate_regularly` makes up for them."""

    def __init__(self, distance_s: float) -> None:
        self._distance_s = distance_s
        self._last = 0.0

    def __call__(self, original: Callable[[], None]) -> None:
        now = time.monotonic()
        if now - self._last >= self._distance_s:
            self._last = now
            original()


def state_of(
    periods: Sequence[float | None],
    compare: Callable[[float, float], bool],
    threshold: float,
    *,
    required: int,
    missing: str,
) -> str | None:
    """Return the state an alarm goes to, or None when it keeps its state.

    Args:
        periods: the metric's value in each of the last periods; None where there is no data.
        compare: whether a value breaches the threshold.
        threshold: the alarm's threshold.
        required: how many periods must breach (DatapointsToAlarm).
        missing: TreatMissingData: `breaching`, `notBreaching`, `ignore` or `missing`.
    """
    known = [compare(value, threshold) for value in periods if value is not None]
    gaps = len(periods) - len(known)
    if not known and missing in {"ignore", "missing"}:
        return None if missing == "ignore" else "INSUFFICIENT_DATA"
    breaching = sum(known) + (gaps if missing == "breaching" else 0)
    if breaching >= required:
        return "ALARM"
    if missing == "ignore" and breaching + gaps >= required:
        return None
    return "OK"


def _evaluate(minute_s: float, alarm: Document) -> None:
    compare = _COMPARE.get(alarm.get("ComparisonOperator", ""))
    if not alarm.get("MetricName") or compare is None:
        return
    periods = _values(alarm, time.time(), minute_s)
    state = state_of(
        periods,
        compare,
        float(alarm.get("Threshold", 0)),
        required=alarm.get("DatapointsToAlarm") or len(periods),
        missing=alarm.get("TreatMissingData") or "missing",
    )
    before = alarm["StateValue"]
    if state is None or state == before:
        return
    shown = ", ".join("no data" if value is None else f"{value:g}" for value in periods)
    reason = f"[{shown}] {alarm['ComparisonOperator']} {alarm.get('Threshold', 0)}: {state}"
    alarm["StateValue"] = state
    alarm["StateReason"] = reason
    alarm["StateUpdatedTimestamp"] = int(time.time())
    Hook.ALARM_HISTORY.get()(alarm["AlarmName"], before, state, reason)
    Hook.ALARM_ACTIONS.get()(alarm, before, state, reason)
    Hook.ALARM_PARENTS.get()(alarm)


def _values(alarm: Document, now: float, minute_s: float) -> list[float | None]:
    """Return the alarm's statistic in each of its periods, the newest first."""
    given = alarm.get("Dimensions") or []
    dimensions = {d["Name"]: d["Value"] for d in given} if isinstance(given, list) else given
    key = (alarm["Namespace"], alarm["MetricName"], Hook.METRIC_KEY.get()(dimensions))
    statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"
    period_s = (alarm.get("Period") or 60) * minute_s / 60
    periods = alarm.get("EvaluationPeriods") or 1
    points = _since(Hook.METRIC_POINTS.get()(key), now - periods * period_s)
    values: list[float | None] = []
    for index in range(periods):
        end = now - index * period_s
        in_period = [p for p in points if end - period_s < p["Timestamp"] <= end]
        statistics = Hook.METRIC_STATISTICS.get()(in_period)
        value = Hook.METRIC_STATISTIC.get()(statistics, statistic, in_period) if in_period else None
        values.append(value)
    return values


def _since(points: Sequence[Document], begin: float) -> list[Document]:
    """Return the points after a time; stop early, for points are nearly sorted and kept 2 weeks."""
    recent = []
    for point in reversed(points):
        if point["Timestamp"] <= begin - LATE_S:
            break
        if point["Timestamp"] > begin:
            recent.append(point)
    return recent
