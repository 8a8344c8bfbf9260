"""The alarms of a model: a promotion sets them, a rollback restores them, deletion removes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from refit.domain.errors import ServiceThrottled
from refit.domain.monitoring.alarms import AlarmKind
from refit.handlers import promote, remove_alarms, roll_back
from refit.handlers.wiring import services
from refit.stores.endpoints import EndpointState

from tests.support.aws_stack import CONTEXT, REGION, Stack, forget_services
from tests.support.events import sample
from tests.support.fake_sagemaker import FakeSageMaker
from tests.support.model_files import make_champion_live, manifest

if TYPE_CHECKING:
    from collections.abc import Callable

CANDIDATE, CHAMPION = "0f1e2d3c4b5a", "aaaaaaaaaaaa"


def alarms() -> dict[str, dict[str, Any]]:
    answer = boto3.client("cloudwatch", REGION).describe_alarms()
    return {alarm["AlarmName"]: alarm for alarm in answer["MetricAlarms"]}


def monitored_variant() -> str:
    dimensions = alarms()["refit-digits-latency"]["Dimensions"]
    return str({each["Name"]: each["Value"] for each in dimensions}["VariantName"])


@pytest.fixture
def configure(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Writes the settings of a run."""
    monkeypatch.setenv("CHECK_EVERY", "rate(2 minutes)")

    def write(run: str, settings: str) -> None:
        stack.put(f"digits/runs/{run}/manifest.json", manifest(run, settings))
        forget_services()

    write(CANDIDATE, "")
    write(CHAMPION, "")
    return write


@pytest.fixture
def sagemaker(configure: object, stack: Stack) -> FakeSageMaker:
    fake = FakeSageMaker()
    stack.replace_clients(sagemaker=fake)
    return fake


class ThrottledCloudWatch:
    """Accepts some alarms and throttles from then on."""

    def __init__(self, accepts: int) -> None:
        self._client = boto3.client("cloudwatch", REGION)
        self._accepts = accepts

    def put_metric_alarm(self, **request: Any) -> None:
        if not self._accepts:
            answer: Any = {"Error": {"Code": "Throttling", "Message": "Rate exceeded"}}
            raise ClientError(answer, "PutMetricAlarm")
        self._accepts -= 1
        self._client.put_metric_alarm(**request)


def test_a_promotion_puts_every_alarm_of_the_model(configure: object) -> None:
    promote.handler(sample("promote"), CONTEXT)
    assert set(alarms()) == {f"refit-digits-{kind}" for kind in AlarmKind}
    topic = f"arn:aws:sns:{REGION}:123456789012:notices"
    assert all(alarm["AlarmActions"] == [topic] for alarm in alarms().values())
    assert alarms()["refit-digits-quality-drift"]["Period"] == 120
    assert monitored_variant() == "v2"


def test_a_promotion_that_is_repeated_changes_nothing(configure: object) -> None:
    promote.handler(sample("promote"), CONTEXT)
    before = {name: alarm["MetricName"] for name, alarm in alarms().items()}
    promote.handler(sample("promote"), CONTEXT)
    assert {name: alarm["MetricName"] for name, alarm in alarms().items()} == before


def test_the_next_promotion_renews_the_alarms_with_its_variant_and_settings(
    configure: Callable[[str, str], None],
) -> None:
    promote.handler(sample("promote"), CONTEXT)
    configure("0f1e2d3c4b5b", "[monitoring]\nmax_latency_ms = 40\n")
    promote.handler(
        sample("promote") | {"run": "0f1e2d3c4b5b", "version": 3, "variant": "v3"}, CONTEXT
    )
    assert monitored_variant() == "v3"
    assert alarms()["refit-digits-latency"]["Threshold"] == 40_000


def test_a_version_that_is_no_longer_captured_loses_the_alarms_on_captures(
    configure: Callable[[str, str], None],
) -> None:
    promote.handler(sample("promote"), CONTEXT)
    configure(CANDIDATE, '[monitoring]\ncapture = "off"\n')
    promote.handler(sample("promote"), CONTEXT)
    assert "refit-digits-capture-silence" not in alarms()
    assert "refit-digits-endpoint-errors" in alarms()


def test_the_champion_stays_while_the_alarms_of_the_next_version_cannot_be_set(
    configure: object, stack: Stack
) -> None:
    make_champion_live()
    stack.replace_clients(cloudwatch=ThrottledCloudWatch(accepts=3))
    with pytest.raises(ServiceThrottled):
        promote.handler(sample("promote"), CONTEXT)
    assert len(alarms()) == 3
    champion = services().models.champion("digits")
    assert champion is not None
    assert champion.version == 1
    forget_services()
    promote.handler(sample("promote"), CONTEXT)
    assert len(alarms()) == len(AlarmKind)


def test_a_rollback_restores_the_alarms_of_the_champion(sagemaker: FakeSageMaker) -> None:
    promote.handler(sample("promote"), CONTEXT)
    assert monitored_variant() == "v2"
    make_champion_live()
    sagemaker.endpoint = EndpointState("InService", "refit-digits-v1-01234567", None)
    roll_back.handler(sample("roll_back"), CONTEXT)
    assert monitored_variant() == "v1"


def alarms_after_deletion_of(endpoint: str) -> set[str]:
    event = sample("remove_alarms")
    event["detail"]["EndpointName"] = endpoint
    remove_alarms.handler(event, CONTEXT)
    return set(alarms())


@pytest.mark.parametrize("endpoint", [None, EndpointState("Deleting", "config", None)])
def test_a_deleted_endpoint_takes_the_alarms_of_its_model_along_and_no_other(
    sagemaker: FakeSageMaker, endpoint: EndpointState | None
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
    sagemaker.endpoint = endpoint
    assert alarms_after_deletion_of("refit-digits") == {"refit-digits-two-latency"}
    assert alarms_after_deletion_of("refit-digits") == {"refit-digits-two-latency"}


def test_the_alarms_stay_when_the_endpoint_exists_again(sagemaker: FakeSageMaker) -> None:
    promote.handler(sample("promote"), CONTEXT)
    sagemaker.endpoint = EndpointState("InService", "refit-digits-v2-9c1185a5", None)
    assert len(alarms_after_deletion_of("refit-digits")) == len(AlarmKind)


def test_the_endpoint_of_another_stack_is_ignored(sagemaker: FakeSageMaker) -> None:
    promote.handler(sample("promote"), CONTEXT)
    assert len(alarms_after_deletion_of("other-digits")) == len(AlarmKind)
