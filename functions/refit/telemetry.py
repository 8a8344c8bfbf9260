"""Structured logs and embedded metrics, the same for every Lambda."""

from __future__ import annotations

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit

from refit.domain.metric_names import NAMESPACE

logger = Logger(service="refit")


def count(name: str, model: str, value: float = 1, unit: MetricUnit = MetricUnit.Count) -> None:
    """Publish one metric of a model, at once, as an embedded-metric line of the log."""
    metrics = Metrics(namespace=NAMESPACE)
    metrics.add_dimension(name="Model", value=model)
    metrics.add_metric(name=name, unit=unit, value=value)
    metrics.flush_metrics()
