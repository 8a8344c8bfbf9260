"""How each type of resource of `template.yaml` is listed, to prove that a stack has left none.

A contract test compares both tables with the types of the template.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refit_cli.removal.kinds import Kind, Resource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from refit_cli.destruction.deployed import DeployedStack


@dataclass(frozen=True)
class Listing:
    """A list call whose answer contains the physical ids of one type of resource.

    Attributes:
        result: the key of the list in the answer.
        member: the key of the physical id in an entry; None if the entry is the id.
        request: parameters of the call.
    """

    noun: tuple[str, str]
    service: str
    operation: str
    result: str
    member: str | None
    request: tuple[tuple[str, Any], ...] = ()

    def ids(self, client: Any) -> Iterator[str]:
        """Yield the ids of all resources of the type in the account and Region."""
        request = dict(self.request)
        if client.can_paginate(self.operation):
            pages = client.get_paginator(self.operation).paginate(**request)
        else:
            pages = [getattr(client, self.operation)(**request)]
        for page in pages:
            for entry in page.get(self.result, []):
                yield entry if self.member is None else entry[self.member]


LISTINGS: dict[str, Listing] = {
    "AWS::Events::Rule": Listing(("rule", "rules"), "events", "list_rules", "Rules", "Name"),
    "AWS::Lambda::EventSourceMapping": Listing(
        ("event source mapping", "event source mappings"),
        "lambda",
        "list_event_source_mappings",
        "EventSourceMappings",
        "UUID",
    ),
    "AWS::StepFunctions::StateMachine": Listing(
        ("state machine", "state machines"),
        "stepfunctions",
        "list_state_machines",
        "stateMachines",
        "stateMachineArn",
    ),
    "AWS::Lambda::Function": Listing(
        ("function", "functions"), "lambda", "list_functions", "Functions", "FunctionName"
    ),
    "AWS::ApiGateway::RestApi": Listing(
        ("API", "APIs"), "apigateway", "get_rest_apis", "items", "id"
    ),
    "AWS::ApiGateway::ApiKey": Listing(
        ("API key", "API keys"), "apigateway", "get_api_keys", "items", "id"
    ),
    "AWS::ApiGateway::UsagePlan": Listing(
        ("usage plan", "usage plans"), "apigateway", "get_usage_plans", "items", "id"
    ),
    "AWS::SQS::Queue": Listing(("queue", "queues"), "sqs", "list_queues", "QueueUrls", None),
    "AWS::SNS::Topic": Listing(("topic", "topics"), "sns", "list_topics", "Topics", "TopicArn"),
    "AWS::KinesisFirehose::DeliveryStream": Listing(
        ("delivery stream", "delivery streams"),
        "firehose",
        "list_delivery_streams",
        "DeliveryStreamNames",
        None,
        (("Limit", 10_000),),  # the most that it takes; botocore has no pages of it
    ),
    "AWS::CloudWatch::Alarm": Listing(
        ("alarm of the stack", "alarms of the stack"),
        "cloudwatch",
        "describe_alarms",
        "MetricAlarms",
        "AlarmName",
    ),
    "AWS::CloudWatch::Dashboard": Listing(
        ("dashboard", "dashboards"),
        "cloudwatch",
        "list_dashboards",
        "DashboardEntries",
        "DashboardName",
    ),
    "AWS::Logs::LogGroup": Listing(
        ("log group", "log groups"), "logs", "describe_log_groups", "logGroups", "logGroupName"
    ),
    "AWS::IAM::Role": Listing(("role", "roles"), "iam", "list_roles", "Roles", "RoleName"),
}
"""What CloudFormation deletes with the stack."""

RETAINED: dict[str, Listing] = {
    "AWS::S3::Bucket": Listing(("bucket", "buckets"), "s3", "list_buckets", "Buckets", "Name"),
    "AWS::DynamoDB::Table": Listing(
        ("table", "tables"), "dynamodb", "list_tables", "TableNames", None
    ),
}
"""What CloudFormation retains: `DeletionPolicy` of the template."""

FREE_OF_CHARGE: dict[str, str] = {
    "AWS::S3::BucketPolicy": "a part of the bucket",
    "AWS::SQS::QueuePolicy": "a part of its queues",
    "AWS::Lambda::Permission": "a part of its function",
    "AWS::Lambda::EventInvokeConfig": "a part of its function",
    "AWS::Lambda::LayerVersion": "the stack deletes its layers; AWS charges for no stored code",
    "AWS::ApiGateway::Deployment": "a part of the API",
    "AWS::ApiGateway::Stage": "a part of the API; it has no cache",
    "AWS::ApiGateway::UsagePlanKey": "a part of the usage plan",
}
"""Types without a listing, and why nothing of them can cost."""


class StackResources(Kind):
    """The resources of one type that CloudFormation made for the stack, and deletes with it."""

    def __init__(
        self, stack: DeployedStack, kind: str, listing: Listing, client: Callable[[str], Any]
    ) -> None:
        self.key = kind
        self.noun = listing.noun
        self._ids = stack.of_type(kind)
        self._listing = listing
        self._client = client

    def resources(self) -> Iterator[Resource]:
        """Yield the resources that exist."""
        if self._ids:
            for name in self._listing.ids(self._client(self._listing.service)):
                if name in self._ids:
                    yield Resource(name)

    def remove(self) -> None:
        """Do nothing: the deletion of the stack deletes them."""
