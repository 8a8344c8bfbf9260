from __future__ import annotations

import itertools
from typing import Any

import botocore.session
import pytest
from botocore.validate import validate_parameters
from refit.domain.model_settings import ModelSettings, parse_settings
from refit.domain.monitoring.alarms import (
    AlarmKind,
    MetricAlarm,
    MissingData,
    alarm_names,
    alarms_of,
    check_period_s,
    request_of,
)
from refit.domain.naming import ResourceNames

NAMES = ResourceNames("refit", "digits")
TOPIC = "arn:aws:sns:us-east-1:123456789012:notices"


def alarms(
    settings: str = "", variant: str = "v2", period_s: int = 60
) -> dict[AlarmKind, MetricAlarm]:
    found = alarms_of(NAMES, variant, parse_settings(settings), period_s)
    return {alarm.kind: alarm for alarm in found}


def test_a_model_has_one_alarm_of_each_kind() -> None:
    assert set(alarms()) == set(AlarmKind)
    assert [alarm.name for alarm in alarms().values()] == [
        f"refit-digits-{kind}" for kind in alarms()
    ]
    assert set(alarm_names(NAMES)) == {alarm.name for alarm in alarms().values()}


def test_the_alarms_of_two_models_never_share_a_name() -> None:
    # If a kind ended with the name of another kind, alarms of models such as `digits-capture` and
    # `digits` could have the same name.
    for one, other in itertools.permutations(AlarmKind, 2):
        assert not one.endswith(f"-{other}")


def test_metrics_of_the_endpoint_are_monitored_for_the_live_variant() -> None:
    for kind in (AlarmKind.ENDPOINT_ERRORS, AlarmKind.LATENCY):
        assert alarms(variant="v7")[kind].dimensions == (
            ("EndpointName", "refit-digits"),
            ("VariantName", "v7"),
        )


@pytest.mark.parametrize(
    ("kind", "settings", "threshold"),
    [
        (AlarmKind.LATENCY, "max_latency_ms = 250", 250_000),
        (AlarmKind.CAPTURE_SILENCE, "capture_silence_s = 3600", 3600),
        (AlarmKind.LABEL_SILENCE, "label_silence_s = 7200", 7200),
    ],
)
def test_the_settings_define_the_thresholds(
    kind: AlarmKind, settings: str, threshold: float
) -> None:
    assert alarms(f"[monitoring]\n{settings}\n")[kind].threshold == threshold


def test_a_pending_retraining_raises_an_alarm_a_day_after_the_cool_down() -> None:
    found = alarms("[retraining]\ncooldown_s = 3600\n")[AlarmKind.RETRAINING_PENDING]
    assert found.threshold == 3600 + 24 * 3600


def test_a_model_without_capture_has_no_alarms_for_its_monitoring() -> None:
    kinds = set(alarms('[monitoring]\ncapture = "off"\n'))
    assert kinds == {
        AlarmKind.ENDPOINT_ERRORS,
        AlarmKind.LATENCY,
        AlarmKind.UNANSWERED,
        AlarmKind.RETRAINING_PENDING,
        AlarmKind.RETRAINING_BLOCKED,
    }


def test_gauges_are_evaluated_as_often_as_they_are_published() -> None:
    periods = {kind: alarm.period_s for kind, alarm in alarms(period_s=300).items()}
    served = {AlarmKind.ENDPOINT_ERRORS, AlarmKind.LATENCY, AlarmKind.UNANSWERED}
    assert {kind for kind, period_s in periods.items() if period_s == 60} == served
    assert set(periods.values()) == {60, 300}


def test_no_alarm_evaluates_a_longer_period_than_cloudwatch_allows() -> None:
    for alarm in alarms(period_s=59 * 60).values():
        assert alarm.period_s % 60 == 0
        assert alarm.period_s * alarm.periods <= 24 * 3600
        assert alarm.needed <= alarm.periods


def test_people_are_notified_when_an_alarm_is_raised_and_when_it_ends() -> None:
    for alarm in alarms().values():
        request = request_of(alarm, TOPIC)
        assert (request["AlarmActions"], request["OKActions"]) == ([TOPIC], [TOPIC])


def test_people_are_notified_when_the_model_is_no_longer_monitored() -> None:
    notified = {
        kind
        for kind, alarm in alarms().items()
        if request_of(alarm, TOPIC)["InsufficientDataActions"]
    }
    assert notified == {AlarmKind.CAPTURE_SILENCE}
    assert alarms()[AlarmKind.CAPTURE_SILENCE].missing is MissingData.INSUFFICIENT


def test_an_alarm_says_what_happened_and_what_to_do() -> None:
    for alarm in alarms().values():
        assert "refit status digits" in alarm.description
        assert len(alarm.description) <= 1024


@pytest.mark.parametrize("settings", ["", '[monitoring]\ncapture = "off"\n'])
def test_cloudwatch_accepts_every_request(settings: str) -> None:
    model = botocore.session.get_session().get_service_model("cloudwatch")
    shape = model.operation_model("PutMetricAlarm").input_shape
    longest = ResourceNames("p" * 12, "m" * 24)
    parsed: ModelSettings = parse_settings(settings)
    for alarm in alarms_of(longest, "v12345", parsed, 60):
        request: dict[str, Any] = request_of(alarm, TOPIC)
        validate_parameters(request, shape)
        assert len(request["AlarmName"]) <= 255
        assert ("Statistic" in request) != ("ExtendedStatistic" in request)


@pytest.mark.parametrize(("rate", "period_s"), [("rate(1 minute)", 60), ("rate(59 minutes)", 3540)])
def test_the_schedule_gives_the_interval_of_the_drift_checks(rate: str, period_s: int) -> None:
    assert check_period_s(rate) == period_s


def test_an_unsupported_schedule_is_named_in_the_error() -> None:
    with pytest.raises(ValueError, match=r"cron\(0 \* \* \* \? \*\)"):
        check_period_s("cron(0 * * * ? *)")
