"""Step Functions: authorize every task with the state machine's role.

AWS        runs each task with the permissions of the machine's role, and fails the state otherwise
MiniStack  runs every task without a check
Source     Step Functions Developer Guide, "Creating an IAM role for your state machine";
           Service Authorization Reference
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refit_local.ministack.execution_scope import current_execution, execution_error
from refit_local.ministack.hooks import account
from refit_local.ministack.iam import denial_message, role_may
from refit_local.ministack.names import Hook
from refit_local.ministack.permissions import task_permissions
from refit_local.ministack.sdk_task_errors import sdk_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit_local.ministack.hooks import Document

# The error name of a denied task, by the service of the action.
_DENIED = {
    "lambda": "Lambda.AWSLambdaException",
    "sagemaker": "SageMaker.AmazonSageMakerException",
    "sns": "SNS.AuthorizationErrorException",
    "sqs": "SQS.AmazonSQSException",
    "dynamodb": "DynamoDB.AmazonDynamoDBException",
    "events": "EventBridge.AccessDeniedException",
    "states": "StepFunctions.AccessDeniedException",
    "iam": "SageMaker.AmazonSageMakerException",
}


def install() -> None:
    """Install this patch into MiniStack."""
    Hook.INVOKE_RESOURCE.wrap(_invoke_resource)


def _invoke_resource(original: Callable[..., Any], resource: str, arguments: Any) -> Any:
    execution = current_execution()
    if execution is not None:
        _check_role(execution, resource, arguments)
    return original(resource, arguments)


def _check_role(execution: Document, resource: str, arguments: Any) -> None:
    machine = Hook.STATE_MACHINES.get().get(execution["stateMachineArn"])
    if machine is None:
        return
    role = machine["roleArn"]
    for permission in task_permissions(resource, arguments):
        if not role_may(role, permission):
            name = role.rsplit("/", 1)[-1]
            principal = f"arn:aws:sts::{account()}:assumed-role/{name}/{execution['name']}"
            message = denial_message(principal, permission)
            if ":aws-sdk:sagemaker:" in resource:
                raise sdk_error("AccessDeniedException", message)
            error = _DENIED[permission.action.split(":")[0]]
            raise execution_error(error, message)
