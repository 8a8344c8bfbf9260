"""Remove everything of a verification: models, probes' resources, the stack, what it retains."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from refit_cli.destruction.deployed import DeployedStack
from refit_cli.destruction.destruction import Destruction
from refit_cli.errors import TimedOut
from refit_cli.removal.data import ObjectVersions, Uploads
from refit_cli.removal.removal import Removal

from tests.verify import own_stack
from tests.verify.remains import of_stack, remains
from tests.verify.target import PREFIX, STACK, Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.verify.progress import Progress

OUTLIVING = frozenset({"AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::Logs::LogGroup"})
"""What can be left when CloudFormation has deleted the stack, and is deleted after it."""
SAM_STACK = "aws-sam-cli-managed-default"
_DELETION_S = 1800


def clean(target: Target, progress: Progress, log: Callable[[str], None]) -> dict[str, list[str]]:
    """Remove everything, and return what is left. It can be called again at any time.

    Raises:
        BadInput: if the stack is not the one that this verification made.
    """
    stack = own_stack.find(target)
    if stack is not None:
        own_stack.check_owned(stack, progress)
        progress.stack_id = stack["StackId"]
        progress.resources = own_stack.resources(target, stack["StackId"]) or progress.resources
        progress.save()
    log("removing what the probes and interrupted runs left")
    sweep(target)
    if progress.stack_id is not None:
        log(f"destroying the stack {STACK} with its data")
        destroy(target, progress.stack_id, progress.resources)
    _delete_packages(target)
    left = remains(target)
    outliving = [each for each in progress.resources if each[0] in OUTLIVING]
    if of_the_stack := of_stack(target, progress.stack_id, outliving):
        left["resource of the stack"] = of_the_stack
    return left


def remove_models(target: Target, stack: dict[str, Any], log: Callable[[str], None]) -> None:
    """Remove each model of the stack, as `refit remove` does."""
    if not stack.get("Outputs"):
        return  # its creation failed: there are no models
    connection = target.connection()
    for model in connection.models.models():
        removal = Removal(connection, model, _DELETION_S)
        if found := removal.found():
            log(f"removing the model {model}")
            removal.run(found)


def sweep(target: Target) -> None:
    """Delete what is of SageMaker with the prefix, and the probes' queues, rules and roles."""
    for kind, names in remains(target).items():
        delete = _deletion_of(target, kind)
        for name in names:
            if delete is not None and _is_outside_the_stack(kind, name):
                delete(name)


def _is_outside_the_stack(kind: str, name: str) -> bool:
    """Return whether a resource is none of the stack's, which CloudFormation deletes."""
    match kind:
        case "queue" | "rule" | "role" | "delivery stream":
            return f"probe-{PREFIX}" in name
        case "alarm":
            return name.startswith(f"{PREFIX}-")
        case "log group":
            return name.startswith("/aws/sagemaker/")
        case _:
            return True


def _deletion_of(target: Target, kind: str) -> Callable[[str], Any] | None:
    """Return what deletes a resource of a kind by name; None for kinds of the stack only."""
    sagemaker, events, iam = map(target.client, ("sagemaker", "events", "iam"))
    sqs, logs, cloudwatch = map(target.client, ("sqs", "logs", "cloudwatch"))
    firehose = target.client("firehose")
    return {
        "running training job": lambda name: sagemaker.stop_training_job(TrainingJobName=name),
        "running transform job": lambda name: sagemaker.stop_transform_job(TransformJobName=name),
        "endpoint": lambda name: _delete_endpoint(target, name),
        "endpoint config": lambda name: sagemaker.delete_endpoint_config(EndpointConfigName=name),
        "model": lambda name: sagemaker.delete_model(ModelName=name),
        "model package group": lambda name: delete_group(sagemaker, name),
        "alarm": lambda name: cloudwatch.delete_alarms(AlarmNames=[name]),
        "log group": lambda name: logs.delete_log_group(logGroupName=name),
        "queue": lambda name: sqs.delete_queue(QueueUrl=name),
        "delivery stream": lambda name: firehose.delete_delivery_stream(DeliveryStreamName=name),
        "rule": lambda name: delete_rule(events, name),
        "role": lambda name: delete_role(iam, name),
    }.get(kind)


def delete_group(sagemaker: Any, group: str) -> None:
    """Delete a model package group with its packages."""
    pages = sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
    packages = [
        entry["ModelPackageArn"] for page in pages for entry in page["ModelPackageSummaryList"]
    ]
    for package in packages:
        sagemaker.delete_model_package(ModelPackageName=package)
    sagemaker.delete_model_package_group(ModelPackageGroupName=group)


def delete_rule(events: Any, name: str) -> None:
    """Delete a rule with its targets."""
    targets = [each["Id"] for each in events.list_targets_by_rule(Rule=name)["Targets"]]
    if targets:
        events.remove_targets(Rule=name, Ids=targets)
    events.delete_rule(Name=name)


def delete_role(iam: Any, name: str) -> None:
    """Delete a role with its inline policies."""
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)


def destroy(target: Target, stack_id: str, recorded: list[list[str]]) -> None:
    """Destroy the stack with its data, as `refit destroy --delete-data` does.

    Args:
        target: where the stack is, or was: this goes on after an interruption at any point.
        stack_id: its ARN.
        recorded: type and physical id of its resources.
    """
    resources: dict[str, set[str]] = {}
    for kind, name in recorded:
        resources.setdefault(kind, set()).add(name)
    stack = DeployedStack(
        name=STACK,
        stack_id=stack_id,
        prefix=PREFIX,
        resources={kind: frozenset(names) for kind, names in resources.items()},
    )
    Destruction(target.connection(), stack, delete_data=True, timeout_s=_DELETION_S).run()


def _delete_packages(target: Target) -> None:
    """Delete what `sam deploy` uploaded; SAM's own bucket is shared with other stacks."""
    managed = own_stack.find(target, SAM_STACK)
    for output in (managed or {}).get("Outputs", []):
        if output["OutputKey"] == "SourceBucket":
            uploaded = target.client("s3"), output["OutputValue"], f"{STACK}/"
            for content in (Uploads(*uploaded), ObjectVersions(*uploaded)):
                content.remove()


def _delete_endpoint(target: Target, name: str) -> None:
    """Delete an endpoint; one that is being created or updated is deleted when that has ended."""
    sagemaker = target.client("sagemaker")

    def is_gone() -> bool:
        try:
            sagemaker.delete_endpoint(EndpointName=name)
        except ClientError:
            return not sagemaker.list_endpoints(NameContains=name)["Endpoints"]
        return False

    _until(is_gone, f"deleting the endpoint {name}", target)


def _until(is_done: Callable[[], bool], what: str, target: Target) -> None:
    end = time.monotonic() + _DELETION_S
    while not is_done():
        if time.monotonic() > end:
            raise TimedOut(f"{what} did not end within {_DELETION_S} s")
        time.sleep(target.pace.poll_s)
