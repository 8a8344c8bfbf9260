"""The resources of an account, counted by kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.driver import User

# Service, operation, the list in the answer, and the name in an entry.
LISTS = (
    ("s3", "list_buckets", "Buckets", "Name"),
    ("dynamodb", "list_tables", "TableNames", None),
    ("lambda", "list_functions", "Functions", "FunctionName"),
    ("lambda", "list_event_source_mappings", "EventSourceMappings", "UUID"),
    ("lambda", "list_layers", "Layers", "LayerName"),
    ("stepfunctions", "list_state_machines", "stateMachines", "name"),
    ("sqs", "list_queues", "QueueUrls", None),
    ("sns", "list_topics", "Topics", "TopicArn"),
    ("events", "list_rules", "Rules", "Name"),
    ("firehose", "list_delivery_streams", "DeliveryStreamNames", None),
    ("apigateway", "get_rest_apis", "items", "name"),
    ("apigateway", "get_api_keys", "items", "id"),
    ("apigateway", "get_usage_plans", "items", "id"),
    ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    ("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    ("iam", "list_roles", "Roles", "RoleName"),
    ("sagemaker", "list_endpoints", "Endpoints", "EndpointName"),
    ("sagemaker", "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
    ("sagemaker", "list_models", "Models", "ModelName"),
    (
        "sagemaker",
        "list_model_package_groups",
        "ModelPackageGroupSummaryList",
        "ModelPackageGroupName",
    ),
)
OF_SAM = ("aws-sam-cli-managed", "refit-packages")


def listed(user: User) -> dict[str, int]:
    """Return how many resources of each kind the account has, without what SAM itself has."""
    found = {}
    for service, operation, result, name in LISTS:
        client = user.client(service)
        names = [
            entry if name is None else entry[name] for entry in getattr(client, operation)()[result]
        ]
        count = sum(not str(each).startswith(OF_SAM) for each in names)
        if count:
            found[f"{service} {operation}"] = count
    logs = user.client("logs")
    for group in logs.describe_log_groups()["logGroups"]:
        streams = logs.describe_log_streams(logGroupName=group["logGroupName"])["logStreams"]
        if streams or "Endpoints" in group["logGroupName"]:
            found[group["logGroupName"]] = len(streams)
    return found
