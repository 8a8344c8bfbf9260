"""Call MiniStack's own functions: events, metrics, logs, the request's account and region.

Everything here goes through the private names in `names`.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextvars import ContextVar

Document = dict[str, Any]
"""A JSON object: a request, a state, an event or a record of MiniStack's."""

Response = tuple[int, dict[str, str], Any]
"""Status, headers and body of an HTTP response. The body is bytes or a StreamingResponse."""

_Value = TypeVar("_Value")


def account() -> str:
    """Return the account of the current request, or the local stack's own."""
    return str(Hook.ACCOUNT.get()())


def region() -> str:
    """Return the region of the current request, or the local stack's own."""
    return str(Hook.REGION.get()())


@contextmanager
def set_during(variable: ContextVar[_Value], value: _Value) -> Iterator[None]:
    """Give a context variable a value until the block ends."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def scoped_copy(store: Any, change: Callable[[Document], Document]) -> Any:
    """Return a copy of a store of all accounts and regions, with its records changed."""
    copy = Hook.SCOPED.get()()
    for (account_id, region_name, key), record in list(store.all_items()):
        copy.set_scoped(account_id, region_name, key, change(record))
    return copy


def put_event(
    source: str, detail_type: str, detail: Mapping[str, Any], resources: Iterable[str]
) -> None:
    """Publish an event on the default bus; unlike PutEvents, the source may be `aws.*`."""
    entry = {
        "Source": source,
        "DetailType": detail_type,
        "Detail": json.dumps(detail),
        "Resources": list(resources),
    }
    Hook.PUT_EVENTS.get()({"Entries": [entry]}, allow_aws_source=True)


def put_metric(
    namespace: str,
    name: str,
    values: list[float],
    unit: str,
    dimensions: Mapping[str, str],
    *,
    counts: list[float] | None = None,
    timestamp_s: float | None = None,
) -> None:
    """Store a metric's values at one point in time and evaluate the alarms.

    Args:
        namespace: a namespace, which may be one of AWS's own.
        name: the metric's name.
        values: the distinct values.
        unit: a CloudWatch unit, e.g. `Count`.
        dimensions: the metric's dimensions.
        counts: how often each value occurred; once each when None.
        timestamp_s: Unix time in seconds; the current time when None.
    """
    at = time.time() if timestamp_s is None else timestamp_s
    Hook.STORE_METRIC.get()(namespace, name, dict(dimensions), at, unit, None, values, counts, None)
    evaluate_alarms()


def evaluate_alarms() -> None:
    """Evaluate every alarm."""
    Hook.EVALUATE_ALARMS.get()()


def put_log_lines(group: str, stream: str, lines: Iterable[str]) -> None:
    """Append lines to a log stream; create the group and the stream if they do not exist."""
    now_ms = int(time.time() * 1000)
    groups = Hook.LOG_GROUPS.get()
    if group not in groups:
        groups[group] = {
            "arn": Hook.LOG_GROUP_ARN.get()(group),
            "creationTime": now_ms,
            "retentionInDays": None,
            "tags": {},
            "subscriptionFilters": {},
            "streams": {},
        }
    streams = groups[group]["streams"]
    if stream not in streams:
        streams[stream] = {
            "events": [],
            "uploadSequenceToken": "1",
            "creationTime": now_ms,
            "firstEventTimestamp": None,
            "lastEventTimestamp": None,
            "lastIngestionTime": None,
        }
    Hook.APPEND_LOG.get()(
        streams[stream],
        [{"timestamp": now_ms, "message": line, "ingestionTime": now_ms} for line in lines],
    )


def on_lambda_log(listener: Callable[[str, list[str]], None]) -> None:
    """Call `listener(function_name, lines)` with the log lines of each invocation."""

    def around(
        original: Callable[..., None],
        function: Document,
        request_id: str,
        text: str,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        original(function, request_id, text, *args, **kwargs)
        listener(function_name(function), text.splitlines() if text else [])

    Hook.EMIT_LAMBDA_LOGS.wrap(around)


def function_name(function: Document) -> str:
    """Return the name in MiniStack's record of a Lambda function."""
    return str((function.get("config") or function).get("FunctionName", ""))


def end_lambda_workers() -> None:
    """End every Lambda process and wait for it."""
    Hook.KILL_WORKERS.get()()
