"""SQS: refuse a queue policy that does not cover exactly its own queue.

AWS        answers InvalidAttributeValue to a statement with several resources, or with another
           queue than the one whose policy it is
MiniStack  stores any policy
Source     SQS Developer Guide of 2011, "Special Information for SQS Policies" ("Each policy must
           cover only a single queue"); remind101/stacker_blueprints, pull request 71 (a list of
           queues was refused); aws/aws-cdk, issue 15602 (the text of the error)
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Any

from refit_local.ministack.hooks import account, region
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from refit_local.ministack.hooks import Document

_REFUSAL = "Invalid value for the parameter Policy."


def install() -> None:
    """Install these patches into MiniStack."""
    actions = Hook.QUEUE_ACTIONS.get()
    actions["CreateQueue"] = partial(_create, actions["CreateQueue"])
    actions["SetQueueAttributes"] = partial(_set_attributes, actions["SetQueueAttributes"])
    provisioner = Hook.PROVISIONERS.get()["AWS::SQS::QueuePolicy"]
    provisioner["create"] = partial(_provision, provisioner["create"])
    provisioner["update"] = partial(_update, provisioner["update"])


def covers_only(policy: str, queue_arn: str) -> bool:
    """Return whether each statement has one resource, and that is the queue or matches it."""
    try:
        statements = json.loads(policy)["Statement"]
    except (ValueError, KeyError, TypeError):
        return False
    return all(
        isinstance(resource := _only(statement.get("Resource")), str)
        and fnmatchcase(queue_arn, resource)
        for statement in (statements if isinstance(statements, list) else [statements])
    )


def _only(resources: Any) -> Any:
    is_list_of_one = isinstance(resources, list) and len(resources) == 1
    return resources[0] if is_list_of_one else resources


def _check(policy: str, queue_arn: str) -> None:
    if policy and not covers_only(policy, queue_arn):
        raise Hook.QUEUE_ERROR.get()("InvalidAttributeValue", _REFUSAL)


def _create(original: Callable[..., Document], request: Document, url: str) -> Document:
    policy = (request.get("Attributes") or {}).get("Policy", "")
    _check(policy, f"arn:aws:sqs:{region()}:{account()}:{request.get('QueueName', '')}")
    return original(request, url)


def _set_attributes(original: Callable[..., Document], request: Document, url: str) -> Document:
    queue = Hook.QUEUES.get().get(request.get("QueueUrl", url))
    if queue is not None:
        policy = (request.get("Attributes") or {}).get("Policy", "")
        _check(policy, queue["attributes"]["QueueArn"])
    return original(request, url)


def _provision(
    original: Callable[..., Any], logical_id: str, properties: Mapping[str, Any], *rest: Any
) -> Any:
    _check_queues(properties)
    return original(logical_id, properties, *rest)


def _update(
    original: Callable[..., Any],
    physical_id: str,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    *rest: Any,
) -> Any:
    _check_queues(new)
    return original(physical_id, old, new, *rest)


def _check_queues(properties: Mapping[str, Any]) -> None:
    policy = properties.get("PolicyDocument", {})
    text = policy if isinstance(policy, str) else json.dumps(policy)
    for url in properties.get("Queues", []):
        queue = Hook.QUEUES.get().get(url)
        if queue is not None:
            _check(text, queue["attributes"]["QueueArn"])
