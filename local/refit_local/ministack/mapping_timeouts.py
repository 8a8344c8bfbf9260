"""Lambda: refuse an event source mapping whose function may run longer than messages stay hidden.

AWS        refuses to create or to update the mapping of a queue whose visibility timeout is less
           than the function's timeout
MiniStack  takes any
Source     Lambda Developer Guide, "Creating and configuring an Amazon SQS event source mapping";
           the message: linuxbeast.com, "How to Fix SQS Visibility Timeout in AWS Lambda"
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refit_local.ministack import lambda_refusals
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from refit_local.ministack.hooks import Document, Response

_DEFAULT_TIMEOUT_S = 3
_DEFAULT_VISIBILITY_S = 30


def install() -> None:
    """Install these patches into MiniStack."""
    Hook.CREATE_MAPPING.wrap(_create)
    lambda_refusals.check_resources("AWS::Lambda::EventSourceMapping", _invalid)


def _refusal(mapping: Mapping[str, Any]) -> str | None:
    function = Hook.FUNCTIONS.get().get(str(mapping.get("FunctionName", "")).rsplit(":", 1)[-1])
    visibility_s = _visibility_s(str(mapping.get("EventSourceArn", "")))
    if function is None or visibility_s is None:
        return None
    timeout_s = int(function["config"].get("Timeout", _DEFAULT_TIMEOUT_S))
    if timeout_s <= visibility_s:
        return None
    return (
        f"Queue visibility timeout: {visibility_s} seconds is less than Function timeout: "
        f"{timeout_s} seconds"
    )


def _visibility_s(queue_arn: str) -> int | None:
    for queue in Hook.QUEUES.get().values():
        attributes = queue["attributes"]
        if attributes.get("QueueArn") == queue_arn:
            return int(attributes.get("VisibilityTimeout", _DEFAULT_VISIBILITY_S))
    return None


def _invalid(properties: Mapping[str, Any]) -> str | None:
    refusal = _refusal(properties)
    return refusal and f"Invalid request provided: {refusal}"


def _create(original: Callable[..., Response], request: Document) -> Response:
    refusal = _refusal(request)
    return original(request) if refusal is None else lambda_refusals.refused(refusal)
