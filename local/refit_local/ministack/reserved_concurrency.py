"""Lambda: refuse reserved concurrency that the smallest account does not have.

AWS        wants at least 100 concurrent executions to stay unreserved. A new account has 10 in all,
           so it refuses every reservation but 0
MiniStack  takes any number, and ignores it in a CloudFormation template
Source     Lambda API Reference, PutFunctionConcurrency ("at least 100 simultaneous executions
           unreserved"); Lambda Developer Guide, "Lambda quotas" (new accounts have reduced
           concurrency); the message: aws-samples/one-observability-demo, issue 278
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from refit_local.ministack.hooks import Document, Response

ACCOUNT_CONCURRENCY = 10
"""Concurrent executions of a new account."""

_REFUSAL = (
    "Specified ReservedConcurrentExecutions for function decreases account's "
    f"UnreservedConcurrentExecution below its minimum value of [{ACCOUNT_CONCURRENCY}]."
)


def install() -> None:
    """Install these patches into MiniStack."""
    Hook.PUT_CONCURRENCY.wrap(_put)
    function = Hook.RESOURCE_HANDLERS.get()["AWS::Lambda::Function"]
    create, update = function["create"], function["update"]

    def checked_create(logical_id: str, properties: Document, *rest: Any) -> Any:
        _check(properties)
        return create(logical_id, properties, *rest)

    def checked_update(
        name: str, before: Document, after: Document, *rest: Any, **more: Any
    ) -> Any:
        _check(after)
        return update(name, before, after, *rest, **more)

    function |= {"create": checked_create, "update": checked_update}


def _is_refused(properties: Mapping[str, Any]) -> bool:
    return int(properties.get("ReservedConcurrentExecutions") or 0) > 0


def _check(properties: Mapping[str, Any]) -> None:
    if _is_refused(properties):
        raise ValueError(_REFUSAL)


def _put(original: Callable[..., Response], name: str, request: Document) -> Response:
    if not _is_refused(request):
        return original(name, request)
    body = {"__type": "InvalidParameterValueException", "message": _REFUSAL}
    headers = {
        "Content-Type": "application/json",
        "x-amzn-errortype": "InvalidParameterValueException",
    }
    return 400, headers, json.dumps(body).encode()
