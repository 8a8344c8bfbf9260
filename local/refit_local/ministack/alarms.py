"""Evaluate alarms as CloudWatch does, and publish the AWS metrics that MiniStack leaves out.

MiniStack looks at an alarm when a metric is put, over all dimensions at once, and never clears one
by the passing of time. Here an alarm looks at its own dimensions, period by period, every few
seconds. A period ends now, not at the full minute: a person in front of a laptop waits for it.

Source: CloudWatch User Guide, "Evaluating an alarm" and "Configuring how CloudWatch alarms treat
missing data"; SQS, Step Functions and Lambda Developer Guides on their metrics; Service
Authorization Reference for CloudWatch.
"""

from __future__ import annotations

import asyncio
import json
import time
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from refit_local.ministack import hooks as ministack
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MINUTE_S = 60.0
"""How long a minute of an alarm's period takes. Only a test of alarms has less patience."""

TICK_MINUTES = 1 / 12
# A value that does not change is published again before the shortest period has passed.
REPEAT_MINUTES = 5 / 6
# Every metric that is put makes all alarms look; more often than this they would see nothing new.
LOOK_AGAIN_MINUTES = 1 / 60
# A point may come so much later than its time says.
LATE_S = 60.0

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}
_QUEUE_METRICS = {
    "ApproximateNumberOfMessagesVisible": "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible": "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed": "ApproximateNumberOfMessagesDelayed",
}
_EXECUTION_METRICS = {
    "RUNNING": "ExecutionsStarted",
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "ABORTED": "ExecutionsAborted",
    "TIMED_OUT": "ExecutionsTimedOut",
}


def install(minute_s: float = MINUTE_S) -> None:
    """Hang alarms and missing metrics into MiniStack. Called once, before the first request."""
    Hook.EVALUATE_ALARM.put(partial(_evaluate, minute_s))
    Hook.EVALUATE_ALARMS.wrap(_Pace(LOOK_AGAIN_MINUTES * minute_s))
    Hook.IAM_RESOURCE.wrap(_deleted_alarm)
    Hook.EMIT_STATUS.wrap(_count_execution)
    Hook.EXECUTE_WARM.wrap(_measure_stream)


async def watch(minute_s: float = MINUTE_S) -> None:
    """Publish the metrics of queues and let alarms look, for as long as the ground stands."""
    published: dict[tuple[str, str], tuple[float, float]] = {}
    while True:
        _publish_queues(published, time.time(), REPEAT_MINUTES * minute_s)
        ministack.evaluate_alarms()
        await asyncio.sleep(TICK_MINUTES * minute_s)


class _Pace:
    """Lets through one call in so many seconds; `watch` makes up for those it drops."""

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
    needed: int,
    missing: str,
) -> str | None:
    """Return the state an alarm goes to, or None when it keeps the one it has.

    Args:
        periods: the metric's value in each of the last periods; None where there is none.
        compare: whether a value breaches the threshold.
        threshold: what the values are compared with.
        needed: how many periods must breach (DatapointsToAlarm).
        missing: TreatMissingData: `breaching`, `notBreaching`, `ignore` or `missing`.
    """
    known = [compare(value, threshold) for value in periods if value is not None]
    gaps = len(periods) - len(known)
    if not known and missing in {"ignore", "missing"}:
        return None if missing == "ignore" else "INSUFFICIENT_DATA"
    breaching = sum(known) + (gaps if missing == "breaching" else 0)
    if breaching >= needed:
        return "ALARM"
    if missing == "ignore" and breaching + gaps >= needed:
        return None
    return "OK"


def _evaluate(minute_s: float, alarm: dict[str, Any]) -> None:
    compare = _COMPARE.get(alarm.get("ComparisonOperator", ""))
    if not alarm.get("MetricName") or compare is None:
        return
    periods = _values(alarm, time.time(), minute_s)
    state = state_of(
        periods,
        compare,
        float(alarm.get("Threshold", 0)),
        needed=alarm.get("DatapointsToAlarm") or len(periods),
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


def _values(alarm: dict[str, Any], now: float, minute_s: float) -> list[float | None]:
    """The alarm's statistic in each of its periods, the latest first."""
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
        held = [p for p in points if end - period_s < p["Timestamp"] <= end]
        statistics = Hook.METRIC_STATISTICS.get()(held)
        values.append(Hook.METRIC_STATISTIC.get()(statistics, statistic, held) if held else None)
    return values


def _since(points: Sequence[dict[str, Any]], begin: float) -> list[dict[str, Any]]:
    """The points after a moment: they stand nearly in order, and there are two weeks of them."""
    found = []
    for point in reversed(points):
        if point["Timestamp"] <= begin - LATE_S:
            break
        if point["Timestamp"] > begin:
            found.append(point)
    return found


def _deleted_alarm(
    original: Callable[..., str], service: str, method: str, path: str, *rest: Any
) -> str:
    """DeleteAlarms is about the alarms that it names, not about all; the first stands for them."""
    headers, body, _, region, account = rest
    if service == "monitoring" and headers.get("x-amz-target", "").endswith(".DeleteAlarms"):
        names = json.loads(body).get("AlarmNames") or ["*"]
        return f"arn:aws:cloudwatch:{region}:{account}:alarm:{names[0]}"
    return original(service, method, path, *rest)


def _publish_queues(
    published: dict[tuple[str, str], tuple[float, float]], now: float, repeat_s: float
) -> None:
    for queue in list(Hook.QUEUES.get().values()):
        Hook.COUNT_MESSAGES.get()(queue)
        for metric, attribute in _QUEUE_METRICS.items():
            value = float(queue["attributes"][attribute])
            at, last = published.get((queue["name"], metric), (0.0, -1.0))
            if value == last and now - at < repeat_s:
                continue
            published[queue["name"], metric] = (now, value)
            dimensions = {"QueueName": queue["name"]}
            ministack.put_metric("AWS/SQS", metric, [value], "Count", dimensions)


def _count_execution(original: Callable[[dict[str, Any]], None], execution: dict[str, Any]) -> None:
    original(execution)
    dimensions = {"StateMachineArn": execution["stateMachineArn"]}
    metric = _EXECUTION_METRICS[execution["status"]]
    ministack.put_metric("AWS/States", metric, [1.0], "Count", dimensions)
    if execution.get("stopDate"):
        began, ended = (datetime.fromisoformat(execution[k]) for k in ("startDate", "stopDate"))
        lasted_ms = (ended - began).total_seconds() * 1000
        ministack.put_metric("AWS/States", "ExecutionTime", [lasted_ms], "Milliseconds", dimensions)


def _measure_stream(
    original: Callable[..., dict[str, Any]], function: dict[str, Any], event: Any, request_id: str
) -> dict[str, Any]:
    """Publish how old the last record is that a function is given from a stream."""
    records = event.get("Records") if isinstance(event, dict) else None
    if records and records[-1].get("eventSource") == "aws:dynamodb":
        age_s = time.time() - float(records[-1]["dynamodb"]["ApproximateCreationDateTime"])
        name = (function.get("config") or function).get("FunctionName", "")
        dimensions = {"FunctionName": name}
        age_ms = max(0.0, age_s * 1000)
        ministack.put_metric("AWS/Lambda", "IteratorAge", [age_ms], "Milliseconds", dimensions)
    return original(function, event, request_id)
