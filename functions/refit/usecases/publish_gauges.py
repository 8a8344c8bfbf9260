"""Publish the gauges of a model that the alarms and the dashboard use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit

from refit.domain import metric_names
from refit.domain.retraining.state import RetrainingStatus
from refit.telemetry import put_metric

if TYPE_CHECKING:
    from collections.abc import Iterable

    from refit.domain.monitoring.verdict import InputVerdict, LiveQuality, QualityVerdict, Verdict
    from refit.domain.retraining.state import RetrainingState
    from refit.usecases.services import Services


@dataclass(frozen=True)
class Gauge:
    """A metric and its current value."""

    name: str
    value: float
    unit: MetricUnit = MetricUnit.Count


def publish_verdict_gauges(model: str, verdict: Verdict, retraining: RetrainingState) -> None:
    """Publish the results of a drift check, and the state of the retraining at that time."""
    gauges = [Gauge(metric_names.LIVE_VERSION, verdict.version, MetricUnit.NoUnit)]
    gauges += _quality_gauges(verdict.quality) + _live_gauges(verdict.live)
    if verdict.inputs is not None:
        gauges += _input_gauges(verdict.inputs)
    _publish(model, gauges + _retraining_gauges(retraining, verdict.checked_at))


def publish_label_gauges(services: Services, model: str, promoted_at: str) -> None:
    """Publish the number of held labels, and the time since the last capture and the last label.

    Args:
        services: the AWS services and the clock of this process.
        model: name of the model.
        promoted_at: time of the promotion of the live version; earlier silence is not counted.
    """
    counters = services.labels.load_counters(model)
    now, promoted = services.now(), datetime.fromisoformat(promoted_at).astimezone(UTC)

    def silence_s(last: datetime | None) -> float:
        since = max(last, promoted) if last else promoted
        return max(0.0, (now - since).total_seconds())

    captures_s, labels_s = silence_s(counters.last_capture_at), silence_s(counters.last_label_at)
    gauges = [
        Gauge(metric_names.HELD_LABELS, counters.held),
        Gauge(metric_names.CAPTURE_SILENCE, captures_s, MetricUnit.Seconds),
        Gauge(metric_names.LABEL_SILENCE, labels_s, MetricUnit.Seconds),
    ]
    _publish(model, gauges)


def _publish(model: str, gauges: Iterable[Gauge]) -> None:
    for gauge in gauges:
        put_metric(gauge.name, model, gauge.value, gauge.unit)


def _quality_gauges(quality: QualityVerdict) -> list[Gauge]:
    evidence = max(0.0, quality.log10_evidence or 0.0)  # evidence below 1 counts as none
    tolerated = 100 * quality.tolerated_error_rate
    gauges = [
        Gauge(metric_names.DRIFT_EVIDENCE, evidence, MetricUnit.NoUnit),
        Gauge(metric_names.QUALITY_DRIFT, float(quality.drifted)),
        Gauge(metric_names.TOLERATED_ERROR_RATE, tolerated, MetricUnit.Percent),
    ]
    if quality.error_rate is not None:
        rate = 100 * quality.error_rate
        gauges.append(Gauge(metric_names.ERROR_RATE, rate, MetricUnit.Percent))
    return gauges


def _live_gauges(live: LiveQuality) -> list[Gauge]:
    gauges = []
    if live.coverage is not None:
        coverage = 100 * live.coverage
        gauges.append(Gauge(metric_names.LABEL_COVERAGE, coverage, MetricUnit.Percent))
    for metrics, accuracy, rmse in (
        (live.metrics, metric_names.ACCURACY, metric_names.RMSE),
        (live.baseline, metric_names.BASELINE_ACCURACY, metric_names.BASELINE_RMSE),
    ):
        if "accuracy" in metrics:
            gauges.append(Gauge(accuracy, 100 * metrics["accuracy"], MetricUnit.Percent))
        if "rmse" in metrics:
            gauges.append(Gauge(rmse, metrics["rmse"], MetricUnit.NoUnit))
    return gauges


def _input_gauges(inputs: InputVerdict) -> list[Gauge]:
    gauges = [Gauge(metric_names.INPUT_DRIFT, inputs.flagged)]
    if inputs.estimated_accuracy is not None:
        estimated = 100 * inputs.estimated_accuracy
        gauges.append(Gauge(metric_names.ESTIMATED_ACCURACY, estimated, MetricUnit.Percent))
    return gauges


def _retraining_gauges(retraining: RetrainingState, now: datetime) -> list[Gauge]:
    pending = retraining.pending
    pending_s = max(0.0, (now - pending.since).total_seconds()) if pending else 0.0
    is_blocked = retraining.state is RetrainingStatus.BLOCKED
    return [
        Gauge(metric_names.RETRAINING_PENDING, pending_s, MetricUnit.Seconds),
        Gauge(metric_names.RETRAINING_BLOCKED, float(is_blocked)),
    ]
