"""Prove that nothing of a verification is left: list by name what AWS has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from tests.verify.target import PREFIX, STACK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.verify.target import Target


@dataclass(frozen=True)
class Listing:
    """A list call whose result contains the names of one kind of resource.

    Attributes:
        result: the key of the list in the response.
        name: the key of the name in an entry; None if an entry is the name.
        request: the parameters of the call.
    """

    kind: str
    service: str
    operation: str
    result: str
    name: str | None
    request: tuple[tuple[str, Any], ...] = ()

    def names(self, target: Target) -> Iterator[str]:
        """Yield the names of the verification's resources of this kind."""
        client = target.client(self.service)
        request = dict(self.request)
        if client.can_paginate(self.operation):
            pages = client.get_paginator(self.operation).paginate(**request)
        else:
            pages = [getattr(client, self.operation)(**request)]
        for page in pages:
            for entry in page.get(self.result, []):
                name = entry if self.name is None else entry.get(self.name, "")
                if is_ours(name):
                    yield name


OURS = (("NameContains", PREFIX),)
LISTINGS = (
    Listing("bucket", "s3", "list_buckets", "Buckets", "Name"),
    Listing("table", "dynamodb", "list_tables", "TableNames", None),
    Listing("function", "lambda", "list_functions", "Functions", "FunctionName"),
    Listing("state machine", "stepfunctions", "list_state_machines", "stateMachines", "name"),
    Listing("queue", "sqs", "list_queues", "QueueUrls", None),
    Listing("topic", "sns", "list_topics", "Topics", "TopicArn"),
    Listing("rule", "events", "list_rules", "Rules", "Name"),
    Listing(
        "delivery stream",
        "firehose",
        "list_delivery_streams",
        "DeliveryStreamNames",
        None,
        (("Limit", 10_000),),
    ),
    Listing("API", "apigateway", "get_rest_apis", "items", "name"),
    Listing("API key", "apigateway", "get_api_keys", "items", "name"),
    Listing("alarm", "cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    Listing("dashboard", "cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    Listing("log group", "logs", "describe_log_groups", "logGroups", "logGroupName"),
    Listing("role", "iam", "list_roles", "Roles", "RoleName"),
    Listing("endpoint", "sagemaker", "list_endpoints", "Endpoints", "EndpointName", OURS),
    Listing(
        "endpoint config",
        "sagemaker",
        "list_endpoint_configs",
        "EndpointConfigs",
        "EndpointConfigName",
        OURS,
    ),
    Listing("model", "sagemaker", "list_models", "Models", "ModelName", OURS),
    Listing(
        "model package group",
        "sagemaker",
        "list_model_package_groups",
        "ModelPackageGroupSummaryList",
        "ModelPackageGroupName",
        OURS,
    ),
    Listing(
        "running training job",
        "sagemaker",
        "list_training_jobs",
        "TrainingJobSummaries",
        "TrainingJobName",
        (*OURS, ("StatusEquals", "InProgress")),
    ),
    Listing(
        "running transform job",
        "sagemaker",
        "list_transform_jobs",
        "TransformJobSummaries",
        "TransformJobName",
        (*OURS, ("StatusEquals", "InProgress")),
    ),
)


def is_ours(name: str) -> bool:
    """Return whether the name, URL or ARN is one of the verification's stack, model or probe."""
    last = name.rsplit(":", 1)[-1].rsplit("/", 1)[-1]
    return last == STACK or last.startswith(f"{STACK}-") or PREFIX in last


def remains(target: Target) -> dict[str, list[str]]:
    """Return the names of what is left, by kind.

    Names of layers and API keys do not tell their stack: `of_stack` finds these.
    """
    found = {listing.kind: sorted(listing.names(target)) for listing in LISTINGS}
    return {kind: names for kind, names in found.items() if names}


def of_stack(target: Target, stack_id: str | None, deleted: list[list[str]]) -> list[str]:
    """Return what CloudFormation did not delete of a deleted stack, and nobody else did.

    AWS knows the resources of a deleted stack for 90 days.

    Args:
        stack_id: the stack's ARN; None if there was no stack.
        deleted: type and physical id of what was deleted after the stack.
    """
    if stack_id is None:
        return []
    pages = target.client("cloudformation").get_paginator("list_stack_resources")
    try:
        entries = [
            entry
            for page in pages.paginate(StackName=stack_id)
            for entry in page["StackResourceSummaries"]
        ]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        return []
    return [
        f"{entry['ResourceType']} {entry['PhysicalResourceId']} ({entry['ResourceStatus']})"
        for entry in entries
        if entry["ResourceStatus"] != "DELETE_COMPLETE"
        and [entry["ResourceType"], entry.get("PhysicalResourceId")] not in deleted
    ]
