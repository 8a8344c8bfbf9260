"""Structured logs and embedded metrics, the same for every Lambda."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit

from refit.domain.metric_names import FAILED_MESSAGES, NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Sequence

_VALUES_PER_LINE = 99
"""CloudWatch accepts 100 values a line; Powertools flushes a line by itself when it has 100."""

logger = Logger(service="refit")


def put_metric(
    name: str, model: str, value: float = 1, unit: MetricUnit = MetricUnit.Count
) -> None:
    """Publish one metric of a model as an EMF line of the log."""
    metrics = Metrics(namespace=NAMESPACE)
    metrics.add_dimension(name="Model", value=model)
    metrics.add_metric(name=name, unit=unit, value=value)
    metrics.flush_metrics()


def put_failed_message(function: str) -> None:
    """Count a message that a function could not handle, as an EMF line of the log."""
    metrics = Metrics(namespace=NAMESPACE)
    metrics.add_dimension(name="FunctionName", value=function)
    metrics.add_metric(name=FAILED_MESSAGES, unit=MetricUnit.Count, value=1)
    metrics.flush_metrics()


def put_metric_values(name: str, model: str, values: Sequence[float], unit: MetricUnit) -> None:
    """Publish many values of one metric of a model, so that CloudWatch can compute percentiles."""
    for start in range(0, len(values), _VALUES_PER_LINE):
        metrics = Metrics(namespace=NAMESPACE)
        metrics.add_dimension(name="Model", value=model)
        for value in values[start : start + _VALUES_PER_LINE]:
            metrics.add_metric(name=name, unit=unit, value=value)
        metrics.flush_metrics()
