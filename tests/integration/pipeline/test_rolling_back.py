"""How a failed deployment is rolled back or repeated, with a fake SageMaker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from refit.domain.errors import (
    DeploymentRejected,
    EndpointDidNotStart,
    EndpointNotProvisioned,
    EndpointNotReady,
)
from refit.handlers import finish_run, promote, roll_back, verify_deployment
from refit.stores.endpoints import EndpointState
from refit.stores.registry import PackageVersion

from tests.support.aws_stack import CONTEXT, Stack
from tests.support.deployable_version import (
    CHAMPION_CONFIG,
    NEW_CONFIG,
    NO_PING,
    RUN,
    deploying_run,
    planned,
    recorded,
)
from tests.support.events import sample
from tests.support.model_files import make_champion_live
from tests.support.sagemaker_requests import assert_valid_request

if TYPE_CHECKING:
    from tests.support.fake_sagemaker import FakeSageMaker

NO_CAPACITY = (
    "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error."
)


def roll_back_deployment() -> Any:
    return roll_back.handler(sample("roll_back"), CONTEXT)


def test_a_rejected_version_is_rolled_back_to_the_champion(
    sagemaker: FakeSageMaker,
) -> None:
    make_champion_live()
    sagemaker.endpoint = EndpointState("Updating", "refit-digits-v1-01234567", None)
    with pytest.raises(EndpointNotReady, match="is Updating"):
        roll_back_deployment()
    sagemaker.endpoint = EndpointState("InService", "refit-digits-v2-9c1185a5", None)
    with pytest.raises(EndpointNotReady, match="is updating to"):
        roll_back_deployment()
    update = {"EndpointName": "refit-digits", "EndpointConfigName": "refit-digits-v1-01234567"}
    assert sagemaker.changes == [("update_endpoint", update)]
    sagemaker.endpoint = EndpointState("InService", "refit-digits-v1-01234567", None)
    assert roll_back_deployment() == {
        "live": "refit-digits-v1-01234567",
        "repeat": False,
        "promoted": False,
    }
    name = "refit-digits-v2-9c1185a5"
    assert sagemaker.changes[1:3] == [
        ("delete_endpoint_config", {"EndpointConfigName": name}),
        ("delete_model", {"ModelName": name}),
    ]
    operation, request = sagemaker.changes[3]
    assert (operation, request["ModelApprovalStatus"]) == ("update_model_package", "Rejected")
    assert "answers held-out row 3" in request["ApprovalDescription"]


@pytest.mark.parametrize("cause", ["Runtime.ExitError", "ServiceThrottled"])
def test_a_version_that_was_promoted_before_the_failure_stays_live_and_approved(
    sagemaker: FakeSageMaker, cause: str
) -> None:
    make_champion_live()
    promote.handler(sample("promote"), CONTEXT)
    sagemaker.endpoint = EndpointState("InService", NEW_CONFIG, None)
    event = sample("roll_back") | {"error": {"Error": cause, "Cause": "it died"}}
    assert roll_back.handler(event, CONTEXT) == {
        "live": NEW_CONFIG,
        "repeat": False,
        "promoted": True,
    }
    assert sagemaker.changes == [], "the live version keeps its config, its model and its approval"


def test_a_live_version_whose_redeployment_fails_loses_what_the_redeployment_made(
    sagemaker: FakeSageMaker,
) -> None:
    promote.handler(sample("promote") | {"name": CHAMPION_CONFIG}, CONTEXT)
    sagemaker.endpoint = EndpointState("InService", CHAMPION_CONFIG, None)
    assert roll_back_deployment()["promoted"] is False
    assert sagemaker.changes[0] == ("delete_endpoint_config", {"EndpointConfigName": NEW_CONFIG})


def test_the_endpoint_of_a_failed_first_version_is_deleted(sagemaker: FakeSageMaker) -> None:
    sagemaker.endpoint = EndpointState("Failed", "refit-digits-v2-9c1185a5", "ping failed")
    with pytest.raises(EndpointNotReady, match="being deleted"):
        roll_back_deployment()
    assert sagemaker.changes == [("delete_endpoint", {"EndpointName": "refit-digits"})]
    sagemaker.endpoint = None
    assert roll_back_deployment() == {"live": None, "repeat": False, "promoted": False}


@pytest.mark.parametrize(
    ("status", "config", "reason", "error"),
    [
        ("Failed", NEW_CONFIG, NO_CAPACITY, EndpointNotProvisioned),
        ("InService", CHAMPION_CONFIG, NO_CAPACITY, EndpointNotProvisioned),
        ("InService", CHAMPION_CONFIG, None, EndpointNotProvisioned),
        ("Failed", NEW_CONFIG, NO_PING, EndpointDidNotStart),
        ("UpdateRollbackFailed", CHAMPION_CONFIG, NO_PING, EndpointDidNotStart),
        ("InService", CHAMPION_CONFIG, NO_PING, DeploymentRejected),
    ],
)
def test_the_reason_of_a_failed_endpoint_tells_aws_from_the_model(
    sagemaker: FakeSageMaker, status: str, config: str, reason: str | None, error: type[Exception]
) -> None:
    sagemaker.endpoint = EndpointState(status, config, reason)
    with pytest.raises(error, match=(reason or "no reason was given")[:30]):
        verify_deployment.handler(sample("verify_deployment"), CONTEXT)


def no_capacity(**plan: str) -> dict[str, Any]:
    """Return the event of a rollback because AWS has no capacity."""
    cause = f'{{"errorMessage": "{NO_CAPACITY}", "errorType": "EndpointNotProvisioned"}}'
    error = {"Error": "EndpointNotProvisioned", "Cause": cause}
    return {**sample("roll_back"), "error": error, **plan}


def test_a_version_that_aws_had_no_capacity_for_keeps_its_approval(
    sagemaker: FakeSageMaker,
) -> None:
    make_champion_live()
    sagemaker.endpoint = EndpointState("InService", CHAMPION_CONFIG, NO_CAPACITY)
    assert roll_back.handler(no_capacity(), CONTEXT) == {
        "live": CHAMPION_CONFIG,
        "repeat": True,
        "promoted": False,
    }
    operations = [operation for operation, _ in sagemaker.changes]
    assert operations == ["delete_endpoint_config", "delete_model"], "so both can be created again"


def test_a_new_endpoint_that_aws_had_no_capacity_for_is_deleted_before_the_next_attempt(
    sagemaker: FakeSageMaker,
) -> None:
    sagemaker.endpoint = EndpointState("Failed", NEW_CONFIG, NO_CAPACITY)
    with pytest.raises(EndpointNotReady, match="being deleted"):
        roll_back.handler(no_capacity(action="create"), CONTEXT)
    sagemaker.endpoint = None
    assert roll_back.handler(no_capacity(action="create"), CONTEXT) == {
        "live": None,
        "repeat": True,
        "promoted": False,
    }


def test_an_endpoint_that_an_update_left_failed_is_created_again_with_the_champion(
    sagemaker: FakeSageMaker,
) -> None:
    make_champion_live()
    sagemaker.endpoint = EndpointState("Failed", CHAMPION_CONFIG, NO_CAPACITY)
    with pytest.raises(EndpointNotReady, match="being deleted"):
        roll_back.handler(no_capacity(), CONTEXT)
    sagemaker.endpoint = None
    with pytest.raises(EndpointNotReady, match="is created with refit-digits-v1"):
        roll_back.handler(no_capacity(), CONTEXT)
    (_, created) = sagemaker.changes[1]
    assert_valid_request("CreateEndpoint", created)
    assert created["EndpointConfigName"] == CHAMPION_CONFIG
    assert {"Key": "refit:model", "Value": "digits"} in created["Tags"]
    sagemaker.endpoint = EndpointState("InService", CHAMPION_CONFIG, None)
    assert roll_back.handler(no_capacity(), CONTEXT)["live"] == CHAMPION_CONFIG


def test_a_deployment_that_is_planned_again_keeps_its_lock_and_its_names(
    sagemaker: FakeSageMaker,
) -> None:
    sagemaker.approved = PackageVersion(1, "arn:package/1", RUN)
    assert planned(1) == planned(1)


def test_a_deployment_that_aws_failed_for_good_says_how_to_start_it_again(
    sagemaker: FakeSageMaker, stack: Stack
) -> None:
    deploying_run()
    event = {
        "model": "digits",
        "run": RUN,
        "deployment": "9c1185a5",
        "status": "FAILED",
        "error": no_capacity()["error"],
    }
    finish_run.handler(event, CONTEXT)
    (notice,) = stack.messages(stack.notices_queue)
    assert NO_CAPACITY.removesuffix(".") in notice["Message"]
    assert f"refit retry digits --run {RUN}" in notice["Message"]
    assert (recorded().status, recorded().error) == ("FAILED", "EndpointNotProvisioned")
