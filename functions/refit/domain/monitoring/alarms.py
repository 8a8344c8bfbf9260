"""The alarms of one live model, as plain values.

They are put at the promotion and renewed at each one, since what the endpoint publishes is named by
the live variant. What belongs to the stack and not to a model has its alarms in template.yaml.

Three ways of missing data, each on purpose:
    not breaching   the endpoint and the predict API publish only while they are asked
    ignored         a gauge that nobody publishes says nothing new: the alarm stays as it is
    insufficient    only the silence of captures: without any look at it, nobody watches this model,
                    and people are told so. Breaching would be wrong here: a new model's alarm would
                    go off before the first look.

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
    """What an alarm is about; the end of its name."""

    QUALITY_DRIFT = "quality-drift"
    INPUT_DRIFT = "input-drift"
    CAPTURE_SILENCE = "capture-silence"
    LABEL_SILENCE = "label-silence"
    RETRAINING_OWED = "retraining-owed"
    RETRAINING_BLOCKED = "retraining-blocked"
    ENDPOINT_ERRORS = "endpoint-errors"
    LATENCY = "latency"
    UNANSWERED = "unanswered"


class Missing(StrEnum):
    """CloudWatch's TreatMissingData."""

    NOT_BREACHING = "notBreaching"
    IGNORED = "ignore"
    INSUFFICIENT = "missing"


@dataclass(frozen=True)
class Alarm:
    """One alarm: it goes off when `needed` of the last `periods` periods breach.

    Attributes:
        statistic: of each period: Sum, Minimum, Maximum, or a percentile such as p99.
        threshold: in the metric's unit; a period breaches when its statistic is above it.
    """

    kind: AlarmKind
    name: str
    description: str
    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str
    threshold: float
    missing: Missing
    period_s: int = 60
    periods: int = 1
    needed: int = 1


def alarm_name(names: ResourceNames, kind: AlarmKind) -> str:
    """Return the name of a model's alarm."""
    return f"{names.prefix}-{names.model}-{kind}"


def alarm_names(names: ResourceNames) -> list[str]:
    """Return the names of all alarms that a model may have."""
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
    names: ResourceNames, variant: str, chosen: ModelSettings, period_s: int
) -> list[Alarm]:
    """Return the alarms that a live version should have.

    A model whose captures are off is not watched: nothing joins its labels, so it has only the
    alarms of its endpoint and of its retraining.

    Args:
        names: of the model.
        variant: the live production variant.
        chosen: the settings of the live version's run.
        period_s: how far apart the watcher's gauges are; a multiple of 60.
    """
    alarms = _serving(names, variant, chosen) + _retraining(names, chosen, period_s)
    if chosen.monitoring.capture == "off":
        return alarms
    return _watching(names, chosen, period_s) + alarms


def request_of(alarm: Alarm, topic_arn: str) -> dict[str, Any]:
    """Return the PutMetricAlarm request of an alarm that tells a topic when it goes off and on."""
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
        "InsufficientDataActions": [topic_arn] if alarm.missing is Missing.INSUFFICIENT else [],
    }


def _gauge(
    names: ResourceNames,
    kind: AlarmKind,
    metric: str,
    description: str,
    period_s: int,
    *,
    statistic: str = "Maximum",
    threshold: float = 0,
    missing: Missing = Missing.IGNORED,
    periods: int = 1,
) -> Alarm:
    return Alarm(
        kind=kind,
        name=alarm_name(names, kind),
        description=f"{description} Look at `refit status {names.model}`.",
        namespace=metric_names.NAMESPACE,
        metric=metric,
        dimensions=(("Model", names.model),),
        statistic=statistic,
        threshold=threshold,
        missing=missing,
        period_s=period_s,
        periods=periods,
    )


def _watching(names: ResourceNames, chosen: ModelSettings, period_s: int) -> list[Alarm]:
    model, monitoring = names.model, chosen.monitoring
    return [
        _gauge(
            names,
            AlarmKind.QUALITY_DRIFT,
            metric_names.QUALITY_DRIFT,
            f"The labels show that the live version of {model} is worse than on its held-out "
            "rows. A retraining starts by itself unless [retraining] says otherwise.",
            period_s,
        ),
        _gauge(
            names,
            AlarmKind.INPUT_DRIFT,
            metric_names.INPUT_DRIFT,
            f"What is asked of {model}, or what it answers, is distributed otherwise than in its "
            "training. A warning: labels decide whether it matters. Send labels soon.",
            period_s,
        ),
        _gauge(
            names,
            AlarmKind.CAPTURE_SILENCE,
            metric_names.CAPTURE_SILENCE,
            f"No prediction of {model} was captured for {monitoring.capture_silence_s} s: nobody "
            "asks it, or captures do not arrive. INSUFFICIENT_DATA: nobody looks at the model; "
            "see the errors and dead letters of CheckDriftFunction.",
            period_s,
            # The smallest of a period: one look after a capture ends the silence. The gauge of
            # some looks may come late, hence three periods before it counts as gone.
            statistic="Minimum",
            threshold=monitoring.capture_silence_s,
            missing=Missing.INSUFFICIENT,
            periods=3,
        ),
        _gauge(
            names,
            AlarmKind.LABEL_SILENCE,
            metric_names.LABEL_SILENCE,
            f"No label for {model} came for {monitoring.label_silence_s} s, so its quality is not "
            "known. Look at what should send them.",
            period_s,
            statistic="Minimum",
            threshold=monitoring.label_silence_s,
        ),
    ]


def _retraining(names: ResourceNames, chosen: ModelSettings, period_s: int) -> list[Alarm]:
    model, retraining = names.model, chosen.retraining
    return [
        _gauge(
            names,
            AlarmKind.RETRAINING_OWED,
            metric_names.RETRAINING_OWED,
            f"A retraining of {model} is owed and has not begun, longer than cool-down and daily "
            "cap may hold it back: too few labels came, or a run hangs.",
            period_s,
            statistic="Minimum",
            threshold=retraining.cooldown_s + DAY_S,
        ),
        _gauge(
            names,
            AlarmKind.RETRAINING_BLOCKED,
            metric_names.RETRAINING_BLOCKED,
            f"{retraining.max_failures} retrainings of {model} in a row brought no better model. "
            f"Find out why, then `refit unblock {model}`.",
            period_s,
        ),
    ]


def _serving(names: ResourceNames, variant: str, chosen: ModelSettings) -> list[Alarm]:
    model = names.model
    served = (("EndpointName", names.endpoint), ("VariantName", variant))
    return [
        Alarm(
            kind=AlarmKind.ENDPOINT_ERRORS,
            name=alarm_name(names, AlarmKind.ENDPOINT_ERRORS),
            description=f"The endpoint {names.endpoint} ({variant}) answered 5xx. Look at its log, "
            f"/aws/sagemaker/Endpoints/{names.endpoint}; marking the version Rejected brings the "
            f"one before back. Look at `refit status {model}`.",
            namespace="AWS/SageMaker",
            metric="Invocation5XXErrors",
            dimensions=served,
            statistic="Sum",
            threshold=0,
            missing=Missing.NOT_BREACHING,
        ),
        Alarm(
            kind=AlarmKind.LATENCY,
            name=alarm_name(names, AlarmKind.LATENCY),
            description=f"In two of three minutes the slowest hundredth of the calls of "
            f"{names.endpoint} ({variant}) took longer than "
            f"{chosen.monitoring.max_latency_ms} ms. Send fewer rows a call, or give it larger or "
            f"more instances in [deployment]. Look at `refit status {model}`.",
            namespace="AWS/SageMaker",
            metric="ModelLatency",
            dimensions=served,
            statistic="p99",
            threshold=1000 * chosen.monitoring.max_latency_ms,  # microseconds
            missing=Missing.NOT_BREACHING,
            periods=3,
            needed=2,
        ),
        Alarm(
            kind=AlarmKind.UNANSWERED,
            name=alarm_name(names, AlarmKind.UNANSWERED),
            description=f"Callers of {model} were answered 503: its endpoint is not in service, "
            f"or AWS throttles. Look at `refit status {model}`.",
            namespace=metric_names.NAMESPACE,
            metric=metric_names.PREDICTIONS_UNANSWERED,
            dimensions=(("Model", model),),
            statistic="Sum",
            threshold=0,
            missing=Missing.NOT_BREACHING,
        ),
    ]
