"""Step Functions: a state machine with `.sync` tasks of SageMaker needs rights on managed rules.

AWS        learns of the end of a job by a rule of EventBridge that it manages with the machine's
           role, and refuses to create or update a machine whose role may not manage the rule
MiniStack  has no such rules
Source     Step Functions Developer Guide, "IAM policies for Amazon SageMaker" (the rules and the
           rights); serverless-operations/serverless-step-functions, issue 385, and
           aws-samples/amazon-sagemaker-safe-deployment-pipeline, issue 29 (the error)

The rules are not created: the local SageMaker tells Step Functions itself.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from refit_local.ministack.hooks import account, region
from refit_local.ministack.iam import Permission, role_may
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit_local.ministack.hooks import Document, Response

_ACTIONS = ("events:PutTargets", "events:PutRule", "events:DescribeRule")
_SYNC_TASK = re.compile(
    r'"arn:aws[\w-]*:states:::sagemaker:create(?:HyperParameter)?(Training|Transform|Tuning)Job\.sync"'
)


def install() -> None:
    """Install these patches into MiniStack."""
    Hook.CREATE_MACHINE.wrap(_create)
    Hook.UPDATE_MACHINE.wrap(_update)
    machine = Hook.RESOURCE_HANDLERS.get()["AWS::StepFunctions::StateMachine"]
    create = machine["create"]

    def checked_create(*arguments: Any) -> Any:
        arn, attributes = create(*arguments)
        created = Hook.STATE_MACHINES.get()[arn]
        refusal = _refusal(created["definition"], created["roleArn"])
        if refusal is not None:
            del Hook.STATE_MACHINES.get()[arn]
            raise ValueError(refusal)
        return arn, attributes

    machine["create"] = checked_create


def _create(original: Callable[[Document], Response], request: Document) -> Response:
    refusal = _refusal(request.get("definition", ""), request.get("roleArn", ""))
    return _denied(refusal) if refusal is not None else original(request)


def _update(original: Callable[[Document], Response], request: Document) -> Response:
    current = Hook.STATE_MACHINES.get().get(request.get("stateMachineArn"), {})
    changed = {**current, **request}
    refusal = _refusal(changed.get("definition", ""), changed.get("roleArn", ""))
    return _denied(refusal) if refusal is not None else original(request)


def _refusal(definition: str, role: str) -> str | None:
    for kind in sorted(set(_SYNC_TASK.findall(definition))):
        rule = f"rule/StepFunctionsGetEventsForSageMaker{kind}JobsRule"
        resource = f"arn:aws:events:{region()}:{account()}:{rule}"
        if not all(role_may(role, Permission(action, resource)) for action in _ACTIONS):
            return f"'{role}' is not authorized to create managed-rule."
    return None


def _denied(message: str) -> Response:
    body = json.dumps({"__type": "AccessDeniedException", "message": message}).encode()
    return 400, {"Content-Type": "application/x-amz-json-1.0"}, body
