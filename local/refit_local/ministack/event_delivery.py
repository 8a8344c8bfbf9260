"""EventBridge: authorize deliveries, retry functions, and use a target's dead-letter queue.

AWS        checks the rule's role or the queue's policy, retries a function that fails, and sends an
           event that cannot be delivered to the target's dead-letter queue
MiniStack  checks neither, invokes a function once, and has no dead-letter queues of targets
Source     EventBridge User Guide, "Using dead-letter queues to process undelivered events"; Lambda
           Developer Guide, "How Lambda handles errors and retries with asynchronous invocation"
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from refit_local.ministack.hooks import account, put_metric
from refit_local.ministack.iam import Permission, role_may
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit_local.ministack.hooks import Document

SERVICE = "events.amazonaws.com"

log = logging.getLogger("refit.stack.events")


def install() -> None:
    """Install these patches into MiniStack."""
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
    log.warning("rule %s cannot deliver to %s: %s", rule["Name"], arn, refusal)
    dimensions = {"RuleName": rule["Name"]}
    put_metric("AWS/Events", "FailedInvocations", [1.0], "Count", dimensions)
    dead_letters = (target.get("DeadLetterConfig") or {}).get("Arn")
    if dead_letters and _queue_refusal(dead_letters, rule) is None:
        original({"Id": target.get("Id", ""), "Arn": dead_letters}, event, rule, *rest)
        put_metric("AWS/Events", "InvocationsSentToDlq", [1.0], "Count", dimensions)


def _refusal(target: Document, rule: Document) -> str | None:
    """Return why a target cannot be reached, or None if no reason is known."""
    arn = target.get("Arn", "")
    service = arn.split(":")[2] if arn.count(":") >= 5 else ""
    if service == "states":
        return _machine_refusal(arn, target.get("RoleArn") or rule.get("RoleArn") or "")
    if service == "sqs":
        return _queue_refusal(arn, rule)
    if service == "lambda" and not Hook.FUNCTION_RECORD.get()(arn)[0]:
        return "the function does not exist"
    return None


def _machine_refusal(arn: str, role: str) -> str | None:
    if Hook.RESOLVE_MACHINE.get()(arn) is None:
        return "the state machine does not exist"
    if not role or not role_may(role, Permission("states:StartExecution", arn)):
        return f"the role {role or '(none)'} may not start it"
    return None


def _queue_refusal(arn: str, rule: Document) -> str | None:
    if Hook.QUEUE_BY_ARN.get()(arn) is None:
        return "the queue does not exist"
    if not Hook.QUEUE_ALLOWS.get()(arn, SERVICE, rule["Arn"], account()):
        return f"the queue's policy does not allow {SERVICE}"
    return None


def _invoke(arn: str, payload: str) -> None:
    """Invoke a function asynchronously, with its retries and its failure destination."""
    function, config, _ = Hook.FUNCTION_RECORD.get()(arn)
    record = Hook.EXECUTION_RECORD.get()(function, config)
    Hook.INVOKE_ASYNC.get()(record, json.loads(payload))
