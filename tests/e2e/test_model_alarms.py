"""The deployed functions create and delete the alarms of a model with their own permissions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refit.domain.monitoring.alarms import AlarmKind

from tests.e2e.driver import User, wait_for

if TYPE_CHECKING:
    from tests.e2e.conftest import Digits

MODEL = "mayfly"
SETTINGS = "[monitoring]\nmax_latency_ms = 700\n[training.hyperparameters]\nnum_round = 3\n"


def alarms_by_kind(user: User) -> dict[str, dict[str, Any]]:
    prefix = f"refit-{MODEL}-"
    response = user.client("cloudwatch").describe_alarms(AlarmNamePrefix=prefix)
    alarms = response["MetricAlarms"]
    return {alarm["AlarmName"].removeprefix(prefix): alarm for alarm in alarms}


def test_the_alarms_of_a_model_are_created_with_its_promotion_and_deleted_with_its_endpoint(
    user: User, digits: Digits
) -> None:
    user.drop(MODEL, {"a.csv": digits.csv(slice(0, 300))}, SETTINGS)
    run = user.wait_for_end(MODEL)
    assert run["status"] == "DEPLOYED", run
    assert set(alarms_by_kind(user)) == set(AlarmKind)
    latency = alarms_by_kind(user)[AlarmKind.LATENCY]
    assert latency["Threshold"] == 700_000
    assert {"Name": "VariantName", "Value": "v1"} in latency["Dimensions"]
    user.client("sagemaker").delete_endpoint(EndpointName=f"refit-{MODEL}")
    wait_for(lambda: not alarms_by_kind(user) or None, "the deletion of the alarms")
