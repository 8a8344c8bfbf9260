"""IAM: the permissions that a SageMaker request and a Step Functions task require.

MiniStack checks neither (see `services` and `state_machine_roles`).

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon
SageMaker" and for AWS Lambda, SNS, SQS, EventBridge, DynamoDB and Step Functions.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from refit_local.ministack.hooks import account, region
from refit_local.ministack.iam import Permission

if TYPE_CHECKING:
    from collections.abc import Callable

_INVOCATION = re.compile(r"/endpoints/([^/]+)/invocations")
_PASSED_ROLES = ("RoleArn", "ExecutionRoleArn")
# The request field that names a resource, and the resource type in its ARN. A create request has
# several such fields: the one that belongs to the operation's noun decides.
_RESOURCE_FIELDS = {
    "TrainingJobName": "training-job",
    "TransformJobName": "transform-job",
    "HyperParameterTuningJobName": "hyper-parameter-tuning-job",
    "EndpointName": "endpoint",
    "EndpointConfigName": "endpoint-config",
    "ModelPackageGroupName": "model-package-group",
    "ModelPackageName": "model-package",
    "ModelName": "model",
}
_OF_SYNC_TASKS = ("Describe{job}", "Stop{job}", "ListTags")
_OPERATION_NOUNS = sorted(
    ((field.removesuffix("Name"), field) for field in _RESOURCE_FIELDS), key=lambda p: -len(p[0])
)


def sagemaker_permissions(operation: str | None, path: str, body: bytes) -> list[Permission]:
    """Return what a request to SageMaker requires; nothing for a path that is not an operation.

    Args:
        operation: the name in `X-Amz-Target`, or None for a request of the runtime API.
        path: the request's path, which names the endpoint of an invocation.
        body: the request's JSON; invalid JSON is treated as an empty request.
    """
    if operation is None:
        match = _INVOCATION.match(path)
        return [_sagemaker("InvokeEndpoint", f"endpoint/{match[1]}")] if match else []
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        request = {}
    return sagemaker_operation(operation, request if isinstance(request, dict) else {})


def sagemaker_operation(operation: str, request: dict[str, Any]) -> list[Permission]:
    """Return what an operation with this request requires, the operation itself first."""
    required = [Permission(f"sagemaker:{operation}", _resource_arn(operation, request))]
    if operation in {"CreateEndpoint", "UpdateEndpoint"}:
        config = str(request.get("EndpointConfigName", ""))
        required.append(_sagemaker(operation, f"endpoint-config/{config}"))
    if request.get("Tags") and operation.startswith("Create"):
        required.append(Permission("sagemaker:AddTags", required[0].resource))
    of_trials = request.get("TrainingJobDefinition") or {}
    required.extend(
        Permission(
            "iam:PassRole", str(part[field]), {"iam:PassedToService": "sagemaker.amazonaws.com"}
        )
        for part in (request, of_trials)
        for field in _PASSED_ROLES
        if part.get(field)
    )
    return required


def _sagemaker(operation: str, resource: str) -> Permission:
    arn = f"arn:aws:sagemaker:{region()}:{account()}:{resource.lower()}"
    return Permission(f"sagemaker:{operation}", arn)


def _resource_arn(operation: str, request: dict[str, Any]) -> str:
    for field in ("ResourceArn", "ModelPackageArn"):
        if request.get(field):
            return str(request[field])
    if operation.startswith("List"):
        return "*"
    if operation == "CreateModelPackage" and request.get("ModelPackageGroupName"):
        # The version does not exist yet: a policy must allow every version of the group.
        group = f"model-package/{request['ModelPackageGroupName']}/*"
        return _sagemaker(operation, group).resource
    for noun, field in _OPERATION_NOUNS:
        if operation.endswith(noun) and request.get(field):
            name = str(request[field])
            if name.startswith("arn:"):
                return name
            return _sagemaker(operation, f"{_RESOURCE_FIELDS[field]}/{name}").resource
    return "*"


def task_permissions(resource: str, arguments: Any) -> list[Permission]:
    """Return what a task requires of the state machine's role; nothing for unknown services.

    Args:
        resource: the Resource of the Task state.
        arguments: its arguments after JSONata or JSONPath is applied.
    """
    if resource.startswith("arn:aws:lambda:"):
        return [_function(resource)]
    request = arguments if isinstance(arguments, dict) else {}
    service, _, action = resource.removeprefix("arn:aws:states:::").rpartition(":")
    operation = action.split(".")[0]
    operation = operation[:1].upper() + operation[1:]
    if service == "sagemaker":
        return _of_optimized_task(operation, request, is_sync=action.endswith(".sync"))
    service = service.removeprefix("aws-sdk:")
    if service == "sagemaker":
        return sagemaker_operation(operation, request)
    permission_of = _TASK_PERMISSIONS.get(service)
    return [permission_of(operation, request)] if permission_of else []


def _of_optimized_task(
    operation: str, request: dict[str, Any], *, is_sync: bool
) -> list[Permission]:
    """Return what an optimized integration requires: Step Functions tags the jobs it creates.

    Source: aws/aws-cdk, issues 26012 and 32294 (AddTags); Step Functions Developer Guide, "IAM
    policies for Amazon SageMaker". When AWS finds out that a right to describe, to stop or to list
    tags is missing is not documented; here it is at the start.
    """
    required = sagemaker_operation(operation, request)
    job = operation.removeprefix("Create")
    if not job.endswith("Job"):
        return required
    actions = ["AddTags", *(name.format(job=job) for name in _OF_SYNC_TASKS if is_sync)]
    resource = required[0].resource
    return [*required, *(Permission(f"sagemaker:{action}", resource) for action in actions)]


def _function(name: str) -> Permission:
    is_arn = name.startswith("arn:")
    arn = name if is_arn else f"arn:aws:lambda:{region()}:{account()}:function:{name}"
    return Permission("lambda:InvokeFunction", arn)


def _queue(operation: str, request: dict[str, Any]) -> Permission:
    name = str(request.get("QueueUrl", "")).rsplit("/", 1)[-1]
    return Permission(f"sqs:{operation}", f"arn:aws:sqs:{region()}:{account()}:{name}")


def _table(operation: str, request: dict[str, Any]) -> Permission:
    name = str(request.get("TableName", ""))
    arn = f"arn:aws:dynamodb:{region()}:{account()}:table/{name}"
    return Permission(f"dynamodb:{operation}", name if name.startswith("arn:") else arn)


def _bus(operation: str, request: dict[str, Any]) -> Permission:
    name = str((request.get("Entries") or [{}])[0].get("EventBusName", "default"))
    arn = f"arn:aws:events:{region()}:{account()}:event-bus/{name}"
    return Permission(f"events:{operation}", name if name.startswith("arn:") else arn)


_TASK_PERMISSIONS: dict[str, Callable[[str, dict[str, Any]], Permission]] = {
    "lambda": lambda _, request: _function(str(request.get("FunctionName", ""))),
    "sns": lambda operation, request: Permission(
        f"sns:{operation}", str(request.get("TopicArn", "*"))
    ),
    "sqs": _queue,
    "dynamodb": _table,
    "events": _bus,
    "eventbridge": _bus,
    "states": lambda operation, request: Permission(
        f"states:{operation}", str(request.get("StateMachineArn", "*"))
    ),
}
