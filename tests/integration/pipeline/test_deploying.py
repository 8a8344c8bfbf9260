"""What a deployment plans, proves and undoes; SageMaker itself is tested on the local ground."""

from __future__ import annotations

from typing import Any

import pytest
from refit.domain.errors import DeploymentInProgress, DeploymentRejected, EndpointNotReady
from refit.domain.inferences.captured import VERIFICATION_ID
from refit.handlers import plan_deployment, promote, roll_back, verify_deployment
from refit.handlers.wiring import services
from refit.stores.endpoints import EndpointState
from refit.stores.registry import PackageVersion

from tests.integration.pipeline.test_planning_and_registering import (
    RUN,
    assert_sagemaker_takes,
    live_champion,
)
from tests.support.aws_stack import CONTEXT, Stack
from tests.support.events import sample
from tests.support.fake_sagemaker import FakeSageMaker
from tests.support.model_files import manifest

ROWS = "1,2\n3,4\n5,6\n"
BATCH = "[0.25, 0.75]\n[0.5, 0.5]\n[0.1, 0.9]\n"
LIVE = "0.25,0.75\n0.5,0.5\n0.1,0.9\n"


@pytest.fixture
def sagemaker(stack: Stack) -> FakeSageMaker:
    services().models.begin_run("digits", RUN, "drop", "2026-11-20T10:00:00+00:00")
    root = f"digits/runs/{RUN}"
    for run in (RUN, "aaaaaaaaaaaa"):  # of the candidate and of the champion
        stack.put(f"digits/runs/{run}/manifest.json", manifest(run))
    stack.put(f"{root}/evaluation/in/new.csv", ROWS)
    stack.put(f"{root}/evaluation/challenger/new.csv.out", BATCH)
    fake = FakeSageMaker()
    stack.replace_clients(sagemaker=fake, sagemaker_runtime=fake)
    return fake


def test_the_first_approved_version_creates_the_endpoint(sagemaker: FakeSageMaker) -> None:
    sagemaker.approved = PackageVersion(1, "arn:package/1", RUN)
    plan = plan_deployment.handler(sample("plan_deployment"), CONTEXT)
    assert plan["action"] == "create"
    assert_sagemaker_takes("CreateEndpoint", plan["requests"]["endpoint"])
    assert services().models.run("digits", RUN).status == "DEPLOYING"


def test_a_newer_version_updates_it_under_names_of_its_own(sagemaker: FakeSageMaker) -> None:
    live_champion()
    sagemaker.approved = PackageVersion(2, "arn:package/2", RUN)
    sagemaker.endpoint = EndpointState("InService", "refit-digits-v1-01234567", None)
    plan = plan_deployment.handler(sample("plan_deployment"), CONTEXT)
    assert (plan["action"], plan["variant"]) == ("update", "v2")
    assert_sagemaker_takes("CreateModel", plan["requests"]["model"])
    assert_sagemaker_takes("CreateEndpointConfig", plan["requests"]["config"])
    assert_sagemaker_takes("UpdateEndpoint", plan["requests"]["endpoint"])
    assert plan["name"].startswith("refit-digits-v2-")


def planned_config(stack: Stack, sagemaker: FakeSageMaker, monitoring: str) -> dict[str, Any]:
    stack.put(f"digits/runs/{RUN}/manifest.json", manifest(RUN, f"[monitoring]\n{monitoring}"))
    sagemaker.approved = PackageVersion(1, "arn:package/1", RUN)
    config = plan_deployment.handler(sample("plan_deployment"), CONTEXT)["requests"]["config"]
    assert_sagemaker_takes("CreateEndpointConfig", config)
    return dict(config)


def test_an_endpoint_that_is_to_capture_by_itself_is_told_where_and_how_much(
    stack: Stack, sagemaker: FakeSageMaker
) -> None:
    chosen = "capture = 'endpoint'\ncapture_percent = 25"
    assert planned_config(stack, sagemaker, chosen)["DataCaptureConfig"] == {
        "EnableCapture": True,
        "InitialSamplingPercentage": 25,
        "DestinationS3Uri": f"s3://{stack.bucket}/digits/capture",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {
            "CsvContentTypes": ["text/csv"],
            "JsonContentTypes": ["application/json"],
        },
    }


@pytest.mark.parametrize("capture", ["api", "off"])
def test_no_endpoint_captures_what_the_api_captures_or_nobody(
    stack: Stack, sagemaker: FakeSageMaker, capture: str
) -> None:
    config = planned_config(stack, sagemaker, f"capture = '{capture}'")
    assert "DataCaptureConfig" not in config


def test_an_event_for_the_live_version_does_nothing_and_holds_no_lock(
    sagemaker: FakeSageMaker,
) -> None:
    live_champion()
    sagemaker.approved = PackageVersion(1, "arn:package/1", "aaaaaaaaaaaa")
    sagemaker.endpoint = EndpointState("InService", "refit-digits-v1-01234567", None)
    assert plan_deployment.handler(sample("plan_deployment"), CONTEXT) == {"action": "none"}
    assert services().models.state("digits").deployment is None


def test_two_deployments_of_a_model_take_turns(sagemaker: FakeSageMaker) -> None:
    sagemaker.approved = PackageVersion(1, "arn:package/1", RUN)
    plan_deployment.handler(sample("plan_deployment"), CONTEXT)
    with pytest.raises(DeploymentInProgress):
        plan_deployment.handler(sample("plan_deployment") | {"execution": "another"}, CONTEXT)


def test_a_live_endpoint_that_answers_as_evaluated_is_verified(
    sagemaker: FakeSageMaker,
) -> None:
    sagemaker.endpoint = EndpointState("InService", "refit-digits-v2-9c1185a5", None)
    sagemaker.answer = (LIVE, "v2")
    assert verify_deployment.handler(sample("verify_deployment"), CONTEXT) == {"rows": 3}
    (request,) = sagemaker.invocations
    assert request["InferenceId"] == VERIFICATION_ID, "capture would take the rows for live ones"


@pytest.mark.parametrize(
    ("config", "body", "variant", "said"),
    [
        ("refit-digits-v1-01234567", LIVE, "v2", "rolled endpoint refit-digits back"),
        ("refit-digits-v2-9c1185a5", LIVE.replace("0.1,0.9", "0.9,0.1"), "v2", "row 2"),
        ("refit-digits-v2-9c1185a5", "0.25,0.75\n", "v2", "row 1"),
        ("refit-digits-v2-9c1185a5", LIVE, "v1", "variant v1"),
    ],
)
def test_a_live_endpoint_that_is_not_the_new_model_is_rejected(
    sagemaker: FakeSageMaker,
    config: str,
    body: str,
    variant: str,
    said: str,
) -> None:
    sagemaker.endpoint = EndpointState("InService", config, "alarm went off")
    sagemaker.answer = (body, variant)
    with pytest.raises(DeploymentRejected, match=said):
        verify_deployment.handler(sample("verify_deployment"), CONTEXT)


def test_a_promoted_version_is_the_champion_and_the_bus_hears_of_it(
    sagemaker: FakeSageMaker, stack: Stack
) -> None:
    live_champion()
    assert promote.handler(sample("promote"), CONTEXT) == {"version": 2, "replaced": 1}
    champion = services().models.champion("digits")
    assert champion is not None
    assert (champion.version, champion.variant, champion.run) == (2, "v2", RUN)
    assert stack.messages(stack.bus_queue)[0]["detail-type"] == "Model Promoted"


def undo() -> Any:
    return roll_back.handler(sample("roll_back"), CONTEXT)


def test_a_bad_new_version_is_taken_back_to_the_champion_step_by_step(
    sagemaker: FakeSageMaker,
) -> None:
    live_champion()
    sagemaker.endpoint = EndpointState("Updating", "refit-digits-v1-01234567", None)
    with pytest.raises(EndpointNotReady, match="is Updating"):
        undo()
    sagemaker.endpoint = EndpointState("InService", "refit-digits-v2-9c1185a5", None)
    with pytest.raises(EndpointNotReady, match="goes back"):
        undo()
    update = {"EndpointName": "refit-digits", "EndpointConfigName": "refit-digits-v1-01234567"}
    assert sagemaker.changes == [("update_endpoint", update)]
    sagemaker.endpoint = EndpointState("InService", "refit-digits-v1-01234567", None)
    assert undo() == {"live": "refit-digits-v1-01234567"}
    name = "refit-digits-v2-9c1185a5"
    assert sagemaker.changes[1:3] == [
        ("delete_endpoint_config", {"EndpointConfigName": name}),
        ("delete_model", {"ModelName": name}),
    ]
    operation, request = sagemaker.changes[3]
    assert (operation, request["ModelApprovalStatus"]) == ("update_model_package", "Rejected")
    assert "answers held-out row 3" in request["ApprovalDescription"]


def test_a_first_version_that_failed_leaves_no_endpoint(sagemaker: FakeSageMaker) -> None:
    sagemaker.endpoint = EndpointState("Failed", "refit-digits-v2-9c1185a5", "ping failed")
    with pytest.raises(EndpointNotReady, match="being deleted"):
        undo()
    assert sagemaker.changes == [("delete_endpoint", {"EndpointName": "refit-digits"})]
    sagemaker.endpoint = None
    assert undo() == {"live": None}
