"""CloudWatch: publish the metrics of SQS, Step Functions and Lambda streams.

AWS        publishes queue depths, counts and durations of executions, and the IteratorAge of a
           function that reads a stream
MiniStack  publishes none of them
Source     SQS Developer Guide, "Available CloudWatch metrics for Amazon SQS"; Step Functions
           Developer Guide, "Monitoring Step Functions metrics"; Lambda Developer Guide, "Types of
           metrics for Lambda functions"
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from refit_local.ministack.hooks import function_name, put_metric
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit_local.ministack.hooks import Document

# A value that does not change is published again before the shortest period has passed.
REPEAT_MINUTES = 5 / 6

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


def install() -> None:
    """Install these patches into MiniStack."""
    Hook.EMIT_STATUS.wrap(_count_execution)
    Hook.EXECUTE_WARM.wrap(_measure_iterator_age)


class QueueMetrics:
    """Publishes the depth of every queue when it changes, and from time to time when it does not.

    Args:
        minute_s: the length of a minute of an alarm's period.
    """

    def __init__(self, minute_s: float) -> None:
        self._repeat_s = REPEAT_MINUTES * minute_s
        self._published: dict[tuple[str, str], tuple[float, float]] = {}

    def publish(self, now: float) -> None:
        """Publish what has changed or was last published too long ago. `now` is Unix time."""
        for queue in list(Hook.QUEUES.get().values()):
            Hook.COUNT_MESSAGES.get()(queue)
            for metric, attribute in _QUEUE_METRICS.items():
                value = float(queue["attributes"][attribute])
                at, previous = self._published.get((queue["name"], metric), (0.0, -1.0))
                if value == previous and now - at < self._repeat_s:
                    continue
                self._published[queue["name"], metric] = (now, value)
                put_metric("AWS/SQS", metric, [value], "Count", {"QueueName": queue["name"]})


def _count_execution(original: Callable[[Document], None], execution: Document) -> None:
    original(execution)
    dimensions = {"StateMachineArn": execution["stateMachineArn"]}
    put_metric("AWS/States", _EXECUTION_METRICS[execution["status"]], [1.0], "Count", dimensions)
    if execution.get("stopDate"):
        began, ended = (datetime.fromisoformat(execution[k]) for k in ("startDate", "stopDate"))
        duration_ms = (ended - began).total_seconds() * 1000
        put_metric("AWS/States", "ExecutionTime", [duration_ms], "Milliseconds", dimensions)


def _measure_iterator_age(
    original: Callable[..., Document], function: Document, event: Any, request_id: str
) -> Document:
    """Publish the age of the last stream record that a function receives."""
    records = event.get("Records") if isinstance(event, dict) else None
    if records and records[-1].get("eventSource") == "aws:dynamodb":
        age_s = time.time() - float(records[-1]["dynamodb"]["ApproximateCreationDateTime"])
        age_ms = max(0.0, age_s * 1000)
        dimensions = {"FunctionName": function_name(function)}
        put_metric("AWS/Lambda", "IteratorAge", [age_ms], "Milliseconds", dimensions)
    return original(function, event, request_id)
