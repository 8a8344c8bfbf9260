"""Tell the requests that may change the stored state of their service from those that do not.

A request that is not recognized as one of the others may change it. Messages, items, executions and
objects are stored one by one elsewhere, and metrics and log lines every few seconds.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs

_READS = (
    "BatchGet",
    "Describe",
    "Filter",
    "Get",
    "List",
    "Lookup",
    "Receive",
    "Search",
    "Simulate",
    "Test",
    "Validate",
)
_STORED_ELSEWHERE = {
    "events": {"PutEvents"},
    "firehose": {"PutRecord", "PutRecordBatch"},
    "logs": {"PutLogEvents"},
    "monitoring": {"PutMetricData"},
    "sns": {"Publish", "PublishBatch"},
    "sqs": {
        "ChangeMessageVisibility",
        "ChangeMessageVisibilityBatch",
        "DeleteMessage",
        "DeleteMessageBatch",
        "PurgeQueue",
        "SendMessage",
        "SendMessageBatch",
    },
    "states": {"StartExecution", "StartSyncExecution", "StopExecution"},
    "sts": {"AssumeRole"},
}
_OWN_STORES = {"dynamodb", "sagemaker"}
_INVOCATION = re.compile(r"/2015-03-31/functions/[^/]+/invocations/?")
_RPC = re.compile(r"/service/[^/]+/operation/([^/]+)")
_OBJECT = re.compile(r"/[^/]+/.+")


def may_change(
    service: str, method: str, path: str, headers: dict[str, str], body: bytes, query: Any
) -> bool:
    """Return whether a request may change the stored state of its service.

    Args:
        service: MiniStack's name of the service.
        method: the HTTP method.
        path: the path without the query.
        headers: with names in lower case.
        body: the body.
        query: the parameters of the query, with lists of values.
    """
    if service in _OWN_STORES:
        return False
    operation = _operation(path, headers, body, query)
    if operation is not None:
        elsewhere = _STORED_ELSEWHERE.get(service, set())
        return operation not in elsewhere and not operation.startswith(_READS)
    if method in {"GET", "HEAD", "OPTIONS"}:
        return False
    if service == "s3":
        return _OBJECT.fullmatch(path) is None
    return _INVOCATION.fullmatch(path) is None


def _operation(path: str, headers: dict[str, str], body: bytes, query: Any) -> str | None:
    """Return the operation of a request that names it, as all but REST requests do."""
    target = headers.get("x-amz-target", "")
    if target:
        return target.rsplit(".", 1)[-1]
    in_path = _RPC.fullmatch(path)
    if in_path:
        return in_path[1]
    named = query.get("Action")
    if not named and headers.get("content-type", "").startswith(
        "application/x-www-form-urlencoded"
    ):
        named = parse_qs(body.decode("utf-8", "replace")).get("Action")
    if not named:
        return None
    return str(named[0] if isinstance(named, list) else named)
