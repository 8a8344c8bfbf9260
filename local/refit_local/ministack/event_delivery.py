"""Deliver events as EventBridge does: only where it may, tried again, and never silently dropped.

MiniStack asks neither a rule's role nor a queue's policy, calls a function once whatever comes of
it, and knows no dead-letter queue of a target.

Source: EventBridge User Guide, "Using dead-letter queues to process undelivered events"; Lambda
Developer Guide, "How Lambda handles errors and retries with asynchronous invocation".
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from refit_local.ministack import hooks as ministack
from refit_local.ministack.hooks import Permission
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable

SERVICE = "events.amazonaws.com"

log = logging.getLogger("refit.ground.events")
Document = dict[str, Any]


def install() -> None:
    """Hang it into MiniStack. Called once, before the first request."""
    Hook.EVENT_TARGET.wrap(_deliver)
    Hook.EVENT_TO_FUNCTION.put(_invoke)


def _deliver(
    original: Callable[..., None], target: Document, event: Document, rule: Document, *rest: Any
) -> None:
    refusal = _refusal(target, rule)
    if refusal is None:
        original(target, event, rule, *rest)
        return
    arn = target.get("Arn", "")
    log.warning("the rule %s cannot reach %s: %s", rule["Name"], arn, refusal)
    dimensions = {"RuleName": rule["Name"]}
    ministack.put_metric("AWS/Events", "FailedInvocations", [1.0], "Count", dimensions)
    dead_letters = (target.get("DeadLetterConfig") or {}).get("Arn")
    if dead_letters and _queue_refusal(dead_letters, rule) is None:
        original({"Id": target.get("Id", ""), "Arn": dead_letters}, event, rule, *rest)
        ministack.put_metric("AWS/Events", "InvocationsSentToDlq", [1.0], "Count", dimensions)


def _refusal(target: Document, rule: Document) -> str | None:
    """Why a target cannot be reached; None when nothing is known to stand against it."""
    arn = target.get("Arn", "")
    service = arn.split(":")[2] if arn.count(":") >= 5 else ""
    if service == "states":
        return _machine_refusal(arn, target.get("RoleArn") or rule.get("RoleArn") or "")
    if service == "sqs":
        return _queue_refusal(arn, rule)
    if service == "lambda" and not Hook.FUNCTION_RECORD.get()(arn)[0]:
        return "there is no such function"
    return None


def _machine_refusal(arn: str, role: str) -> str | None:
    if Hook.RESOLVE_MACHINE.get()(arn) is None:
        return "there is no such state machine"
    if not role or not ministack.role_may(role, Permission("states:StartExecution", arn)):
        return f"the role {role or '(none)'} may not start it"
    return None


def _queue_refusal(arn: str, rule: Document) -> str | None:
    if Hook.QUEUE_BY_ARN.get()(arn) is None:
        return "there is no such queue"
    if not Hook.QUEUE_ALLOWS.get()(arn, SERVICE, rule["Arn"], ministack.account()):
        return f"the queue's policy does not allow {SERVICE}"
    return None


def _invoke(arn: str, payload: str) -> None:
    """Call a function asynchronously: tried again, then sent to its failure destination."""
    function, config, _ = Hook.FUNCTION_RECORD.get()(arn)
    record = Hook.EXECUTION_RECORD.get()(function, config)
    Hook.INVOKE_ASYNC.get()(record, json.loads(payload))
