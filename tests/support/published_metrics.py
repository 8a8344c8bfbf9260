"""The metrics that Refit and the resources of its template publish, and how they may be shown."""

from __future__ import annotations

import ast
from functools import cache

from refit.domain import metric_names

from tests.support.template import ROOT

METRICS = {
    name: value
    for name, value in vars(metric_names).items()
    if name.isupper() and name not in {"NAMESPACE", "FAILED_MESSAGES"}
}
_COUNT = {"Sum"}
_GAUGE = {"Average", "Maximum", "Minimum"}
_DISTRIBUTION = {"Maximum", "SampleCount", "p50", "p99"}
_DISTRIBUTIONS = {
    metric_names.CAPTURE_LAG,
    metric_names.LABEL_DELAY,
    metric_names.PREDICTION_LATENCY,
    metric_names.RUN_SECONDS,
}
# The metrics of each namespace, with their dimensions, and the statistics that say something. A sum
# of gauges depends on how often they are published, and the average of a count on how it is split.
AWS_METRICS: dict[str, dict[tuple[str, tuple[str, ...]], set[str]]] = {
    "AWS/SQS": {("ApproximateNumberOfMessagesVisible", ("QueueName",)): _GAUGE},
    "AWS/States": {
        ("ExecutionsFailed", ("StateMachineArn",)): _COUNT,
        ("ExecutionsSucceeded", ("StateMachineArn",)): _COUNT,
    },
    "AWS/Lambda": {
        ("Duration", ("FunctionName",)): _DISTRIBUTION,
        ("Errors", ("FunctionName",)): _COUNT,
        ("Invocations", ("FunctionName",)): _COUNT,
        ("IteratorAge", ("FunctionName",)): _GAUGE,
        ("Throttles", ("FunctionName",)): _COUNT,
    },
    "AWS/ApiGateway": {
        ("4XXError", ("ApiName",)): _COUNT,
        ("5XXError", ("ApiName",)): _COUNT,
        ("Count", ("ApiName",)): _COUNT,
        ("Latency", ("ApiName",)): _DISTRIBUTION,
    },
    "AWS/DynamoDB": {
        ("ConsumedReadCapacityUnits", ("TableName",)): _COUNT,
        ("ConsumedWriteCapacityUnits", ("TableName",)): _COUNT,
    },
    "AWS/Firehose": {
        ("DeliveryToS3.DataFreshness", ("DeliveryStreamName",)): _GAUGE,
        ("IncomingBytes", ("DeliveryStreamName",)): _COUNT,
        ("PartitionCountExceeded", ("DeliveryStreamName",)): {"Maximum"},
        ("ThrottledRecords", ("DeliveryStreamName",)): _COUNT,
    },
    "AWS/SageMaker": {
        ("Invocation5XXErrors", ("EndpointName", "VariantName")): _COUNT,
        ("ModelLatency", ("EndpointName", "VariantName")): _DISTRIBUTION,
    },
}
RESOURCE_TYPES = {
    "AWS/SQS": {"AWS::SQS::Queue"},
    "AWS/States": {"AWS::Serverless::StateMachine"},
    "AWS/Lambda": {"AWS::Serverless::Function"},
    "AWS/ApiGateway": {"AWS::Serverless::Api"},
    "AWS/DynamoDB": {"AWS::DynamoDB::Table"},
    "AWS/Firehose": {"AWS::KinesisFirehose::DeliveryStream"},
    metric_names.NAMESPACE: {"AWS::Serverless::Function"},
}


def statistics_of(namespace: str, metric: str, dimensions: tuple[str, ...]) -> set[str]:
    """Return the statistics that a metric may be shown by; none if nothing publishes it."""
    if namespace != metric_names.NAMESPACE:
        return AWS_METRICS[namespace].get((metric, dimensions), set())
    if (metric, dimensions) == (metric_names.FAILED_MESSAGES, ("FunctionName",)):
        return _COUNT
    constant = next((name for name, value in METRICS.items() if value == metric), None)
    if dimensions != ("Model",) or constant not in published_constants():
        return set()
    if metric in _DISTRIBUTIONS:
        return _DISTRIBUTION
    return _GAUGE if constant in _constants_of("publish_gauges.py") else _COUNT


def published_constants() -> set[str]:
    """Return the constants of metric_names that the functions use, other than for an alarm."""
    return _constants_of("*.py")


@cache
def _constants_of(pattern: str) -> set[str]:
    names: set[str] = set()
    for path in (ROOT / "functions/refit").rglob(pattern):
        if path.name in {"alarms.py", "metric_names.py"}:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                names |= {node.attr} if node.value.id == "metric_names" else set()
            elif isinstance(node, ast.ImportFrom) and node.module == "refit.domain.metric_names":
                names |= {alias.name for alias in node.names}
    return names
