"""The CloudWatch alarms of one live model, as plain values.

They are set at every promotion, because the live production variant is a dimension of the
endpoint's metrics. Alarms of the stack itself are defined in template.yaml.

Missing data is treated in three ways:
    not breaching   for metrics that exist only while there is traffic
    ignored         for gauges: a missing value is no new information, so the alarm keeps its state
    insufficient    for capture silence only: without this gauge the model is not monitored, so
                    people are notified. "Breaching" would raise the alarm of a new model before
                    its first drift check.

Source: CloudWatch User Guide, "Configuring how CloudWatch alarms treat missing data".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from refit.domain import metric_names

if TYPE_CHECKING:
    from refit.domain.model_settings import ModelSettings
    from refit.domain.naming import ResourceNames

DAY_S = 86_400
_CHECK_EVERY = re.compile(r"rate\((\d+) minutes?\)")


class AlarmKind(StrEnum):
    """The condition that raises an alarm; also the last part of the alarm's name."""

    QUALITY_DRIFT = "quality-drift"
    INPUT_DRIFT = "input-drift"
    CAPTURE_SILENCE = "capture-silence"
    LABEL_SILENCE = "label-silence"
    RETRAINING_PENDING = "retraining-pending"
    RETRAINING_BLOCKED = "retraining-blocked"
    ENDPOINT_ERRORS = "endpoint-errors"
    LATENCY = "latency"
    UNANSWERED = "unanswered"


class MissingData(StrEnum):
    """CloudWatch's TreatMissingData."""

    NOT_BREACHING = "notBreaching"
    IGNORED = "ignore"
    INSUFFICIENT = "missing"


@dataclass(frozen=True)
class MetricAlarm:
    """An alarm that is raised when `needed` of the last `periods` periods exceed the threshold.

    Attributes:
        statistic: statistic of each period: Sum, Minimum, Maximum, or a percentile such as p99.
        threshold: limit, in the unit of the metric.
    """

    kind: AlarmKind
    name: str
    description: str
    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str
    threshold: float
    missing: MissingData
    period_s: int = 60
    periods: int = 1
    needed: int = 1


def alarm_name(names: ResourceNames, kind: AlarmKind) -> str:
    """Return the name of a model's alarm."""
    return f"{names.prefix}-{names.model}-{kind}"


def alarm_names(names: ResourceNames) -> list[str]:
    """Return the names of all alarms that a model can have."""
    return [alarm_name(names, kind) for kind in AlarmKind]


def check_period_s(check_every: str) -> int:
    """Return the interval between two drift checks of a model, in seconds.

    Args:
        check_every: an EventBridge schedule such as `rate(5 minutes)`.

    Raises:
        ValueError: when the schedule is not `rate(N minutes)`.
    """
    match = _CHECK_EVERY.fullmatch(check_every)
    if match is None:
        raise ValueError(f"CheckEvery is {check_every!r}; it must be rate(N minutes)")
    return 60 * int(match[1])


def alarms_of(
    names: ResourceNames, variant: str, settings: ModelSettings, period_s: int
) -> list[MetricAlarm]:
    """Return the alarms that a live version should have.

    A model whose predictions are not captured is not monitored, so it has only the alarms of its
    endpoint and of its retraining.

    Args:
        names: names of the model's AWS resources.
        variant: the live production variant.
        settings: settings of the run that made the live version.
        period_s: interval between two drift checks, a multiple of 60.
    """
    alarms = _serving_alarms(names, variant, settings) + _retraining_alarms(
        names, settings, period_s
    )
    if settings.monitoring.capture == "off":
        return alarms
    return _monitoring_alarms(names, settings, period_s) + alarms


def request_of(alarm: MetricAlarm, topic_arn: str) -> dict[str, Any]:
    """Return the PutMetricAlarm request of an alarm that publishes its changes to a topic."""
    percentile = alarm.statistic.startswith("p")
    return {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.description,
        "Namespace": alarm.namespace,
        "MetricName": alarm.metric,
        "Dimensions": [{"Name": name, "Value": value} for name, value in alarm.dimensions],
        "ExtendedStatistic" if percentile else "Statistic": alarm.statistic,
        "Period": alarm.period_s,
        "EvaluationPeriods": alarm.periods,
        "DatapointsToAlarm": alarm.needed,
        "Threshold": alarm.threshold,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": alarm.missing.value,
        "AlarmActions": [topic_arn],
        "OKActions": [topic_arn],
        "InsufficientDataActions": (
            [topic_arn] if alarm.missing is MissingData.INSUFFICIENT else []
        ),
    }


def _gauge_alarm(
    names: ResourceNames,
    kind: AlarmKind,
    metric: str,
    description: str,
    period_s: int,
    *,
    statistic: str = "Maximum",
    threshold: float = 0,
    missing: MissingData = MissingData.IGNORED,
    periods: int = 1,
) -> MetricAlarm:
    return MetricAlarm(
        kind=kind,
        name=alarm_name(names, kind),
        description=f"{description} See `refit status {names.model}`.",
        namespace=metric_names.NAMESPACE,
        metric=metric,
        dimensions=(("Model", names.model),),
        statistic=statistic,
        threshold=threshold,
        missing=missing,
        period_s=period_s,
        periods=periods,
    )


def _monitoring_alarms(
    names: ResourceNames, settings: ModelSettings, period_s: int
) -> list[MetricAlarm]:
    model, monitoring = names.model, settings.monitoring
    return [
        _gauge_alarm(
            names,
            AlarmKind.QUALITY_DRIFT,
            metric_names.QUALITY_DRIFT,
            f"The labels show that the live version of {model} is worse than on its held-out "
            "rows. A retraining starts automatically unless it is disabled in [retraining].",
            period_s,
        ),
        _gauge_alarm(
            names,
            AlarmKind.INPUT_DRIFT,
            metric_names.INPUT_DRIFT,
            f"The input or prediction distribution of {model} differs from its training data. "
            "This is a warning: only labels show whether quality is affected. Send labels soon.",
            period_s,
        ),
        _gauge_alarm(
            names,
            AlarmKind.CAPTURE_SILENCE,
            metric_names.CAPTURE_SILENCE,
            f"No prediction of {model} was captured for {monitoring.capture_silence_s} s: there "
            "is no traffic, or captures do not arrive. In state INSUFFICIENT_DATA the model is "
            "not monitored: check the errors and the dead-letter queue of CheckDriftFunction.",
            period_s,
            # With the statistic Minimum, the first check after a capture ends the silence. The
            # alarm needs three periods, because a gauge can be published late.
            statistic="Minimum",
            threshold=monitoring.capture_silence_s,
            missing=MissingData.INSUFFICIENT,
            periods=3,
        ),
        _gauge_alarm(
            names,
            AlarmKind.LABEL_SILENCE,
            metric_names.LABEL_SILENCE,
            f"No label for {model} arrived for {monitoring.label_silence_s} s, so its quality is "
            "unknown. Check the process that sends labels.",
            period_s,
            statistic="Minimum",
            threshold=monitoring.label_silence_s,
        ),
    ]


def _retraining_alarms(
    names: ResourceNames, settings: ModelSettings, period_s: int
) -> list[MetricAlarm]:
    model, retraining = names.model, settings.retraining
    return [
        _gauge_alarm(
            names,
            AlarmKind.RETRAINING_PENDING,
            metric_names.RETRAINING_PENDING,
            f"A retraining of {model} has been pending for longer than the cool-down and the "
            "daily limit can delay it: too few labels arrived, or a run does not finish.",
            period_s,
            statistic="Minimum",
            threshold=retraining.cooldown_s + DAY_S,
        ),
        _gauge_alarm(
            names,
            AlarmKind.RETRAINING_BLOCKED,
            metric_names.RETRAINING_BLOCKED,
            f"{retraining.max_failures} consecutive retrainings did not improve {model}. "
            f"Find the cause, then run `refit unblock {model}`.",
            period_s,
        ),
    ]


def _serving_alarms(
    names: ResourceNames, variant: str, settings: ModelSettings
) -> list[MetricAlarm]:
    model, max_latency_ms = names.model, settings.monitoring.max_latency_ms
    endpoint_dimensions = (("EndpointName", names.endpoint), ("VariantName", variant))
    return [
        MetricAlarm(
            kind=AlarmKind.ENDPOINT_ERRORS,
            name=alarm_name(names, AlarmKind.ENDPOINT_ERRORS),
            description=f"The endpoint {names.endpoint} ({variant}) returned 5xx. Check its log, "
            f"/aws/sagemaker/Endpoints/{names.endpoint}. To return to the previous version, set "
            f"this version to Rejected. See `refit status {model}`.",
            namespace="AWS/SageMaker",
            metric="Invocation5XXErrors",
            dimensions=endpoint_dimensions,
            statistic="Sum",
            threshold=0,
            missing=MissingData.NOT_BREACHING,
        ),
        MetricAlarm(
            kind=AlarmKind.LATENCY,
            name=alarm_name(names, AlarmKind.LATENCY),
            description=f"The p99 model latency of {names.endpoint} ({variant}) exceeded "
            f"{max_latency_ms} ms in two of three minutes. Send fewer rows per call, or "
            f"configure larger or more instances in [deployment]. See `refit status {model}`.",
            namespace="AWS/SageMaker",
            metric="ModelLatency",
            dimensions=endpoint_dimensions,
            statistic="p99",
            threshold=1000 * max_latency_ms,  # microseconds
            missing=MissingData.NOT_BREACHING,
            periods=3,
            needed=2,
        ),
        MetricAlarm(
            kind=AlarmKind.UNANSWERED,
            name=alarm_name(names, AlarmKind.UNANSWERED),
            description=f"The predict API returned 503 for {model}: its endpoint is not in "
            f"service, or AWS throttled it. See `refit status {model}`.",
            namespace=metric_names.NAMESPACE,
            metric=metric_names.PREDICTIONS_UNANSWERED,
            dimensions=(("Model", model),),
            statistic="Sum",
            threshold=0,
            missing=MissingData.NOT_BREACHING,
        ),
    ]
