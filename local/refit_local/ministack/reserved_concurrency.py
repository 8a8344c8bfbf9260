"""Lambda: refuse reserved concurrency that the smallest account does not have.

AWS        wants at least 100 concurrent executions to stay unreserved. A new account has 10 in all,
           so it refuses every reservation but 0
MiniStack  takes any number, and ignores it in a CloudFormation template
Source     Lambda API Reference, PutFunctionConcurrency ("at least 100 simultaneous executions
           unreserved"); Lambda Developer Guide, "Lambda quotas" (new accounts have reduced
           concurrency); the message: aws-samples/one-observability-demo, issue 278
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refit_local.ministack import lambda_refusals
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from refit_local.ministack.hooks import Document, Response

ACCOUNT_CONCURRENCY = 10
"""Concurrent executions of a new account."""

_TEXT = (
    "Specified ReservedConcurrentExecutions for function decreases account's "
    f"UnreservedConcurrentExecution below its minimum value of [{ACCOUNT_CONCURRENCY}]."
)


def install() -> None:
    """Install these patches into MiniStack."""
    Hook.PUT_CONCURRENCY.wrap(_put)
    lambda_refusals.check_resources("AWS::Lambda::Function", _refusal)


def _refusal(properties: Mapping[str, Any]) -> str | None:
    return _TEXT if int(properties.get("ReservedConcurrentExecutions") or 0) > 0 else None


def _put(original: Callable[..., Response], name: str, request: Document) -> Response:
    refusal = _refusal(request)
    return original(name, request) if refusal is None else lambda_refusals.refused(refusal)
