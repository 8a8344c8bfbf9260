"""A promotion puts the model's alarms, a roll-back gives the champion its own, an end takes all."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from refit.domain.errors import ServiceThrottled
from refit.domain.model_settings import parse_settings
from refit.domain.monitoring.alarms import AlarmKind
from refit.handlers import promote, remove_alarms, roll_back
from refit.stores import alarms, registry, store
from refit.stores.registry import EndpointState

from tests.integration.pipeline.test_planning_and_registering import live_champion
from tests.support.aws_stack import CONTEXT, REGION, Stack
from tests.support.events import sample

if TYPE_CHECKING:
    from collections.abc import Callable

CANDIDATE, CHAMPION = "0f1e2d3c4b5a", "aaaaaaaaaaaa"


def there() -> dict[str, dict[str, Any]]:
    found = boto3.client("cloudwatch", REGION).describe_alarms()["MetricAlarms"]
    return {alarm["AlarmName"]: alarm for alarm in found}


def variant_watched() -> str:
    dimensions = there()["refit-digits-latency"]["Dimensions"]
    return str({it["Name"]: it["Value"] for it in dimensions}["VariantName"])


@pytest.fixture
def settle(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    monkeypatch.setenv("CHECK_EVERY", "rate(2 minutes)")

    def write(run: str, settings: str) -> None:
        manifest = {"settings": parse_settings(settings).model_dump(mode="json")}
        stack.put(f"digits/runs/{run}/manifest.json", manifest)

    write(CANDIDATE, "")
    write(CHAMPION, "")
    return write


def throttle(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Let CloudWatch take so many alarms and then no more."""
    real = alarms.client
    taken: list[str] = []

    def put(**request: Any) -> None:
        if len(taken) == after:
            answer: Any = {"Error": {"Code": "Throttling", "Message": "Rate exceeded"}}
            raise ClientError(answer, "PutMetricAlarm")
        taken.append(request["AlarmName"])
        real("cloudwatch").put_metric_alarm(**request)

    monkeypatch.setattr(alarms, "client", lambda _: SimpleNamespace(put_metric_alarm=put))


def test_a_promotion_puts_every_alarm_of_the_model(settle: object) -> None:
    promote.handler(sample("promote"), CONTEXT)
    assert set(there()) == {f"refit-digits-{kind}" for kind in AlarmKind}
    topic = f"arn:aws:sns:{REGION}:123456789012:notices"
    assert all(alarm["AlarmActions"] == [topic] for alarm in there().values())
    assert there()["refit-digits-quality-drift"]["Period"] == 120
    assert variant_watched() == "v2"


def test_a_promotion_that_is_repeated_changes_nothing(settle: object) -> None:
    promote.handler(sample("promote"), CONTEXT)
    before = {name: alarm["MetricName"] for name, alarm in there().items()}
    promote.handler(sample("promote"), CONTEXT)
    assert {name: alarm["MetricName"] for name, alarm in there().items()} == before


def test_the_next_promotion_renews_the_alarms_with_its_variant_and_settings(
    settle: Callable[[str, str], None],
) -> None:
    promote.handler(sample("promote"), CONTEXT)
    settle("0f1e2d3c4b5b", "[monitoring]\nmax_latency_ms = 40\n")
    promote.handler(
        sample("promote") | {"run": "0f1e2d3c4b5b", "version": 3, "variant": "v3"}, CONTEXT
    )
    assert variant_watched() == "v3"
    assert there()["refit-digits-latency"]["Threshold"] == 40_000


def test_a_version_that_is_no_longer_captured_loses_the_alarms_on_captures(
    settle: Callable[[str, str], None],
) -> None:
    promote.handler(sample("promote"), CONTEXT)
    settle(CANDIDATE, '[monitoring]\ncapture = "off"\n')
    promote.handler(sample("promote"), CONTEXT)
    assert "refit-digits-capture-silence" not in there()
    assert "refit-digits-endpoint-errors" in there()


def test_the_champion_stays_while_the_alarms_of_the_next_cannot_be_put(
    settle: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_champion()
    with monkeypatch.context() as patched:
        throttle(patched, after=3)
        with pytest.raises(ServiceThrottled):
            promote.handler(sample("promote"), CONTEXT)
    champion = store.load_champion("digits")
    assert champion is not None
    assert champion.version == 1
    promote.handler(sample("promote"), CONTEXT)
    assert len(there()) == len(AlarmKind)


def test_a_roll_back_gives_the_champion_its_alarms_back(
    settle: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote.handler(sample("promote"), CONTEXT)
    assert variant_watched() == "v2"
    live_champion()
    state = EndpointState("InService", "refit-digits-v1-01234567", None)
    monkeypatch.setattr(registry, "describe_endpoint", lambda _: state)
    monkeypatch.setattr(registry, "delete_deployment", lambda _: None)
    monkeypatch.setattr(registry, "reject_package", lambda *_: None)
    roll_back.handler(sample("roll_back"), CONTEXT)
    assert variant_watched() == "v1"


def after_the_event(
    monkeypatch: pytest.MonkeyPatch, endpoint: EndpointState | None, name: str = "refit-digits"
) -> set[str]:
    monkeypatch.setattr(registry, "describe_endpoint", lambda _: endpoint)
    event = sample("remove_alarms")
    event["detail"]["EndpointName"] = name
    remove_alarms.handler(event, CONTEXT)
    return set(there())


@pytest.mark.parametrize("endpoint", [None, EndpointState("Deleting", "config", None)])
def test_a_deleted_endpoint_takes_its_models_alarms_along_and_no_other(
    settle: object, monkeypatch: pytest.MonkeyPatch, endpoint: EndpointState | None
) -> None:
    promote.handler(sample("promote"), CONTEXT)
    boto3.client("cloudwatch", REGION).put_metric_alarm(
        AlarmName="refit-digits-two-latency",
        Namespace="AWS/SageMaker",
        MetricName="ModelLatency",
        ExtendedStatistic="p99",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    assert after_the_event(monkeypatch, endpoint) == {"refit-digits-two-latency"}
    assert after_the_event(monkeypatch, endpoint) == {"refit-digits-two-latency"}


def test_the_alarms_stay_when_the_endpoint_is_there_again(
    settle: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote.handler(sample("promote"), CONTEXT)
    again = EndpointState("InService", "refit-digits-v2-9c1185a5", None)
    assert len(after_the_event(monkeypatch, again)) == len(AlarmKind)


def test_an_endpoint_of_another_stack_is_none_of_ours(
    settle: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote.handler(sample("promote"), CONTEXT)
    assert len(after_the_event(monkeypatch, None, "other-digits")) == len(AlarmKind)
