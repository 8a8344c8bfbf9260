"""How much a stack, its models and their traffic use in a month, and what that costs.

docs/aws.md, section Costs, has the same amounts; a test compares them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from refit_local.stack.record import PROJECT

from refit_cli.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit_cli.pricing.prices import Prices

Part = Literal["stack", "models", "traffic"]

HOURS = 730
MODEL_ALARMS = 9
MODEL_METRICS = 36
EVENT_QUEUES = 6
# Lambda polls each queue by five pollers, which wait for 20 seconds.
QUEUE_REQUESTS = EVENT_QUEUES * 5 * 3 * 60 * HOURS
# One check a minute: Lambda, S3 and DynamoDB requests, and logs (docs/aws.md).
DRIFT_CHECKS_USD = 1.1
# Predict: 50 ms at 1,024 MB, 1.2 KB of logs and metrics for each request.
PREDICT_GB_S, PREDICT_LOG_BYTES = 0.05, 1200
# A record of 600 bytes is billed as 5 KB; a file of captures has records of many rows.
RECORD_BYTES, BILLED_RECORD_BYTES = 600, 5 * 1024
# Ingestion of the captures of a million requests: batches of some thousand rows.
INGEST_USD = 0.10e-6
ROW_WRITES, LABEL_WRITES = 2, 4
# Labels: 50 ms for a request of one label, and 5 ms for each further one; 1 KB of logs.
LABEL_GB_S, FURTHER_LABEL_GB_S, LABEL_LOG_BYTES = 0.05, 0.005, 1000
# Predictions are kept for 90 days, at 0.4 KB each.
KEPT_MONTHS, ROW_BYTES = 3, 400
# A training job and two transform jobs, mostly their start.
JOBS_OF_A_RUN, JOB_HOURS = 3, 5 / 60
GB = 1e9
GIB = 1024.0**3


@dataclass(frozen=True)
class Traffic:
    """What is asked of a stack in a month.

    Attributes:
        models: live models, each with an endpoint.
        instances: of each endpoint.
        hour_usd: the price of an instance for an hour.
        runs: trainings of all models together.
        predictions: rows of all models together.
        labels: of all models together.
    """

    models: int
    instances: int
    instance: str
    hour_usd: float
    runs: int
    predictions: int
    rows_per_request: int
    labels: int
    labels_per_request: int


@dataclass(frozen=True)
class Cost:
    """One line of the month's price.

    Attributes:
        low: in dollars.
        high: in dollars; as `low` unless it depends on what the models publish.
        why: how it is computed.
    """

    part: Part
    what: str
    low: float
    high: float
    why: str

    def as_json(self) -> dict[str, Any]:
        """Return the line as an object of JSON."""
        usd = {"usd_low": round(self.low, 2), "usd_high": round(self.high, 2)}
        return {"part": self.part, "what": self.what, **usd, "why": self.why}


def stack_alarms() -> int:
    """Count the alarms of template.yaml, which other changes add to."""
    template = (PROJECT / "template.yaml").read_text("utf-8")
    return len(re.findall(r"^    Type: AWS::CloudWatch::Alarm$", template, re.MULTILINE))


def month(prices: Prices, traffic: Traffic) -> list[Cost]:
    """Return the month's price in lines."""
    return [*_stack(prices), *_models(prices, traffic), *_traffic(prices, traffic)]


def total(costs: list[Cost], part: Part | None = None) -> tuple[float, float]:
    """Return the lowest and highest sum, of one part or of all."""
    chosen = [cost for cost in costs if part in {None, cost.part}]
    return sum(cost.low for cost in chosen), sum(cost.high for cost in chosen)


def _stack(prices: Prices) -> Iterator[Cost]:
    alarms = stack_alarms()
    for what, amount, why in (
        ("alarms", alarms * prices.usd("alarm_month"), f"{alarms} alarms"),
        ("dashboard", prices.usd("dashboard_month"), "one"),
        (
            "queues",
            QUEUE_REQUESTS * prices.usd("sqs_request"),
            f"{QUEUE_REQUESTS / 1e6:.1f} million polls of {EVENT_QUEUES} event queues",
        ),
    ):
        yield Cost("stack", what, amount, amount, why)


def _models(prices: Prices, traffic: Traffic) -> Iterator[Cost]:
    models, endpoints = traffic.models, traffic.models * traffic.instances
    endpoint = endpoints * HOURS * traffic.hour_usd
    why = f"{endpoints} × {traffic.instance}, {HOURS} hours at ${traffic.hour_usd:g}"
    yield Cost("models", "endpoints", endpoint, endpoint, why)
    checks = models * DRIFT_CHECKS_USD
    yield Cost(
        "models", "drift checks", checks, checks, f"{counted(models, 'model')}, once a minute"
    )
    alarms = models * MODEL_ALARMS * prices.usd("alarm_month")
    yield Cost("models", "alarms", alarms, alarms, f"{MODEL_ALARMS} of each model")
    metrics = models * MODEL_METRICS * prices.usd("metric_month")
    why = f"up to {MODEL_METRICS} of each model, for the hours in which they are published"
    yield Cost("models", "metrics", 0.0, metrics, why)
    runs = traffic.runs * JOBS_OF_A_RUN * JOB_HOURS * prices.instance_hour("ml.m5.large")
    yield Cost(
        "models",
        "runs",
        runs,
        runs,
        f"{counted(traffic.runs, 'run')} of small data, three jobs each",
    )


def _traffic(prices: Prices, traffic: Traffic) -> Iterator[Cost]:
    rows = traffic.predictions
    requests = rows / traffic.rows_per_request
    yield _traffic_line("predictions: API", requests * prices.usd("api_request"), "REST requests")
    yield _traffic_line(
        "predictions: Lambda",
        requests * (PREDICT_GB_S * prices.usd("lambda_gb_second") + prices.usd("lambda_request")),
        "50 ms at 1,024 MB for each request",
    )
    record_bytes = max(BILLED_RECORD_BYTES, RECORD_BYTES * traffic.rows_per_request)
    yield _traffic_line(
        "predictions: capture",
        requests * record_bytes / GIB * prices.usd("firehose_gb")
        + rows * RECORD_BYTES / GIB * prices.usd("firehose_partitioned_gb")
        + requests * INGEST_USD,
        "Firehose with dynamic partitioning, and ingestion",
    )
    yield _traffic_line(
        "predictions: DynamoDB",
        rows * ROW_WRITES * prices.usd("dynamodb_write"),
        f"{ROW_WRITES} write units for each row",
    )
    yield _traffic_line(
        "predictions: logs", requests * PREDICT_LOG_BYTES / GB * prices.usd("log_gb"), "1.2 KB each"
    )
    kept = KEPT_MONTHS * rows * ROW_BYTES / GB
    gb_month = prices.usd("dynamodb_gb_month") + prices.usd("dynamodb_recovery_gb_month")
    yield _traffic_line("predictions: storage", kept * gb_month, "90 days, with recovery")
    if traffic.labels:
        yield from _labels(prices, traffic)


def _labels(prices: Prices, traffic: Traffic) -> Iterator[Cost]:
    requests = traffic.labels / traffic.labels_per_request
    gb_s = LABEL_GB_S * requests + FURTHER_LABEL_GB_S * (traffic.labels - requests)
    yield _traffic_line(
        "labels",
        requests * (prices.usd("api_request") + prices.usd("lambda_request"))
        + gb_s * prices.usd("lambda_gb_second")
        + traffic.labels * LABEL_WRITES * prices.usd("dynamodb_write")
        + requests * LABEL_LOG_BYTES / GB * prices.usd("log_gb"),
        f"API, Lambda, {LABEL_WRITES} write units for each label, logs",
    )


def _traffic_line(what: str, amount: float, why: str) -> Cost:
    return Cost("traffic", what, amount, amount, why)
