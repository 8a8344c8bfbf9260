"""A model's alarms, put and removed by the deployed functions with the rights they have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refit.domain.monitoring.alarms import AlarmKind

from tests.e2e.driver import User, wait_for

if TYPE_CHECKING:
    from tests.e2e.conftest import Digits

MODEL = "mayfly"
SETTINGS = "[monitoring]\nmax_latency_ms = 700\n[training.hyperparameters]\nnum_round = 3\n"


def alarms(user: User) -> dict[str, dict[str, Any]]:
    prefix = f"refit-{MODEL}-"
    found = user.client("cloudwatch").describe_alarms(AlarmNamePrefix=prefix)["MetricAlarms"]
    return {alarm["AlarmName"].removeprefix(prefix): alarm for alarm in found}


def test_a_models_alarms_come_with_its_promotion_and_go_with_its_endpoint(
    user: User, digits: Digits
) -> None:
    user.drop(MODEL, {"a.csv": digits.csv(slice(0, 300))}, SETTINGS)
    run = user.ended_run(MODEL)
    assert run["status"] == "DEPLOYED", run
    assert set(alarms(user)) == set(AlarmKind)
    latency = alarms(user)[AlarmKind.LATENCY]
    assert latency["Threshold"] == 700_000
    assert {"Name": "VariantName", "Value": "v1"} in latency["Dimensions"]
    user.client("sagemaker").delete_endpoint(EndpointName=f"refit-{MODEL}")
    wait_for(lambda: not alarms(user) or None, "the alarms to be gone", 60)
