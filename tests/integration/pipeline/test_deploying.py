"""How a deployment is planned, verified and promoted, with a fake SageMaker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from refit.domain.errors import (
    DeploymentInProgress,
    DeploymentRejected,
    EndpointNotReady,
    RegistryLags,
)
from refit.domain.inferences.capture_reader import VERIFICATION_ID
from refit.domain.vocabulary import RunStatus
from refit.handlers import plan_deployment, promote, verify_deployment
from refit.handlers.wiring import services
from refit.stores.endpoints import EndpointState
from refit.stores.registry import PackageVersion

from tests.support.aws_stack import CONTEXT, Stack
from tests.support.deployable_version import (
    CHAMPION_CONFIG,
    LIVE,
    NEW_CONFIG,
    NO_PING,
    RUN,
    deploying_run,
    planned,
    recorded,
)
from tests.support.events import sample
from tests.support.learned import LEARNED
from tests.support.model_files import make_champion_live, manifest
from tests.support.sagemaker_requests import assert_valid_request

if TYPE_CHECKING:
    from tests.support.fake_sagemaker import FakeSageMaker


def test_the_first_approved_version_creates_the_endpoint(sagemaker: FakeSageMaker) -> None:
    sagemaker.approved = PackageVersion(1, "arn:package/1", RUN)
    plan = planned(1)
    assert plan["action"] == "create"
    assert_valid_request("CreateEndpoint", plan["requests"]["endpoint"])
    assert services().models.run("digits", RUN).status == "DEPLOYING"


def test_a_newer_version_updates_the_endpoint_with_a_new_model_and_config(
    sagemaker: FakeSageMaker,
) -> None:
    make_champion_live()
    sagemaker.approved = PackageVersion(2, "arn:package/2", RUN)
    sagemaker.endpoint = EndpointState("InService", "refit-digits-v1-01234567", None)
    plan = plan_deployment.handler(sample("plan_deployment"), CONTEXT)
    assert (plan["action"], plan["variant"]) == ("update", "v2")
    assert_valid_request("CreateModel", plan["requests"]["model"])
    assert_valid_request("CreateEndpointConfig", plan["requests"]["config"])
    assert_valid_request("UpdateEndpoint", plan["requests"]["endpoint"])
    assert "DeploymentConfig" not in plan["requests"]["endpoint"], "it demands equal variant names"
    assert plan["name"].startswith("refit-digits-v2-")


def test_a_version_whose_run_died_before_it_recorded_the_version_is_recorded(
    sagemaker: FakeSageMaker,
) -> None:
    # Otherwise the captures of the live version would be those of an unknown one.
    services().models.update_run("digits", RUN, status=RunStatus.FAILED)
    sagemaker.approved = PackageVersion(1, "arn:package/1", RUN)
    assert planned(1)["version"] == 1
    assert services().artifacts.run_of("digits", 1) == RUN
    assert (recorded().version, recorded().package_arn) == (1, "arn:package/1")


def test_a_version_whose_number_belongs_to_another_run_is_not_deployed(
    sagemaker: FakeSageMaker,
) -> None:
    services().models.record_version("digits", 1, "aaaaaaaaaaaa", "arn:package/older")
    sagemaker.approved = PackageVersion(1, "arn:package/1", RUN)
    assert planned(1) == {"action": "none"}
    assert services().artifacts.run_of("digits", 1) == "aaaaaaaaaaaa"


def planned_config(stack: Stack, sagemaker: FakeSageMaker, monitoring: str) -> dict[str, Any]:
    stack.put(f"digits/runs/{RUN}/manifest.json", manifest(RUN, f"[monitoring]\n{monitoring}"))
    sagemaker.approved = PackageVersion(1, "arn:package/1", RUN)
    config = planned(1)["requests"]["config"]
    assert_valid_request("CreateEndpointConfig", config)
    return dict(config)


def test_endpoint_capture_is_configured_with_destination_and_sampling_percentage(
    stack: Stack, sagemaker: FakeSageMaker
) -> None:
    monitoring = "capture = 'endpoint'\ncapture_percent = 25"
    assert planned_config(stack, sagemaker, monitoring)["DataCaptureConfig"] == {
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
def test_endpoint_capture_is_off_when_the_api_captures_or_capture_is_off(
    stack: Stack, sagemaker: FakeSageMaker, capture: str
) -> None:
    config = planned_config(stack, sagemaker, f"capture = '{capture}'")
    assert "DataCaptureConfig" not in config


def test_an_event_for_the_live_version_changes_nothing_and_takes_no_lock(
    sagemaker: FakeSageMaker,
) -> None:
    make_champion_live()
    sagemaker.approved = PackageVersion(1, "arn:package/1", "aaaaaaaaaaaa")
    sagemaker.endpoint = EndpointState("InService", "refit-digits-v1-01234567", None)
    assert planned(1) == {"action": "none"}
    assert services().models.state("digits").deployment is None
    assert recorded().status == "STARTED"


@pytest.mark.parametrize("status", ["Updating", "Creating", "Deleting"])
def test_an_endpoint_that_an_interrupted_deployment_left_changing_is_waited_for(
    sagemaker: FakeSageMaker, status: str
) -> None:
    make_champion_live()
    sagemaker.approved = PackageVersion(2, "arn:package/2", RUN)
    sagemaker.endpoint = EndpointState(status, CHAMPION_CONFIG, None)
    with pytest.raises(EndpointNotReady, match=f"is {status}"):
        planned()
    assert services().models.state("digits").deployment is not None, "it waits with the lock"


def test_a_failed_endpoint_is_deleted_before_a_version_is_deployed(
    sagemaker: FakeSageMaker,
) -> None:
    sagemaker.approved = PackageVersion(2, "arn:package/2", RUN)
    sagemaker.endpoint = EndpointState("Failed", "refit-digits-v1-01234567", NO_PING)
    with pytest.raises(EndpointNotReady, match="is being deleted"):
        planned()
    assert sagemaker.changes == [("delete_endpoint", {"EndpointName": "refit-digits"})]
    sagemaker.endpoint = None
    assert planned()["action"] == "create"


def test_an_endpoint_that_a_stopped_deployment_left_with_its_config_gets_the_champion_back(
    sagemaker: FakeSageMaker,
) -> None:
    make_champion_live()
    sagemaker.approved = PackageVersion(1, "arn:package/1", "aaaaaaaaaaaa")
    sagemaker.endpoint = EndpointState("InService", NEW_CONFIG, None)
    plan = planned(1)
    assert (plan["action"], plan["version"]) == ("update", 1)


def test_a_version_that_the_list_does_not_show_yet_is_waited_for(
    sagemaker: FakeSageMaker,
) -> None:
    make_champion_live()
    deploying_run()
    sagemaker.approved = PackageVersion(1, "arn:package/1", "aaaaaaaaaaaa")
    sagemaker.packages["arn:package/2"] = PackageVersion(2, "arn:package/2", RUN)
    with pytest.raises(RegistryLags, match="version 2 of refit-digits was approved, and the list"):
        planned(2)
    assert recorded().status == "DEPLOYING"
    sagemaker.approved = PackageVersion(2, "arn:package/2", RUN)
    assert planned(2)["version"] == 2, "the retry of the same execution continues"


@pytest.mark.parametrize("approval", ["PendingManualApproval", None])
def test_a_version_whose_approval_the_registry_does_not_know_yet_is_waited_for(
    sagemaker: FakeSageMaker, approval: str | None
) -> None:
    if approval:
        package = PackageVersion(2, "arn:package/2", RUN, approval)
        sagemaker.packages["arn:package/2"] = package
    with pytest.raises(RegistryLags):
        planned(2)


def test_a_version_that_a_newer_one_overtook_is_superseded(
    sagemaker: FakeSageMaker, stack: Stack
) -> None:
    deploying_run(2)
    sagemaker.packages["arn:package/2"] = PackageVersion(2, "arn:package/2", RUN)
    sagemaker.approved = PackageVersion(3, "arn:package/3", "aaaaaaaaaaaa")
    execution = stack.start_deployment("refit-digits", 2)
    assert planned(2, execution=execution)["version"] == 3
    assert (recorded().status, recorded().error) == ("SUPERSEDED", None)
    assert "version 3 is newer than version 2" in (recorded().message or "")
    state = services().models.state("digits")
    assert state.active_run is None
    assert state.deployment_run == "aaaaaaaaaaaa", "version 3 is being deployed"


def test_a_version_that_was_rejected_before_its_deployment_ends_its_run(
    sagemaker: FakeSageMaker, stack: Stack
) -> None:
    make_champion_live()
    deploying_run(2)
    services().models.mark_pending("digits")
    sagemaker.endpoint = EndpointState("InService", "refit-digits-v1-01234567", None)
    sagemaker.approved = PackageVersion(1, "arn:package/1", "aaaaaaaaaaaa")
    sagemaker.packages["arn:package/2"] = PackageVersion(2, "arn:package/2", RUN, "Rejected")
    for _ in range(2):  # the event of the approval, and that of the rejection
        assert planned(2, "Rejected") == {"action": "none"}
    assert (recorded().status, recorded().error) == ("FAILED", "VersionRejected")
    state = services().models.state("digits")
    assert (state.active_run, state.deployment) == (None, None)
    assert stack.messages(stack.ingest_queue)[0] == {"model": "digits"}


def test_a_list_that_still_shows_a_rejected_version_does_not_keep_it_live(
    sagemaker: FakeSageMaker,
) -> None:
    make_champion_live()
    sagemaker.endpoint = EndpointState("InService", "refit-digits-v1-01234567", None)
    sagemaker.approved = PackageVersion(2, "arn:package/2", RUN)
    sagemaker.packages["arn:package/2"] = PackageVersion(2, "arn:package/2", RUN, "Rejected")
    assert planned(2, "Rejected") == {"action": "none"}


def test_a_version_that_somebody_else_registered_is_not_deployed_and_takes_no_lock(
    sagemaker: FakeSageMaker,
) -> None:
    sagemaker.approved = PackageVersion(7, "arn:package/7", None)
    assert planned(7) == {"action": "none"}
    assert services().models.state("digits").deployment is None


def test_a_run_whose_version_went_live_unseen_ends_as_deployed(sagemaker: FakeSageMaker) -> None:
    promote.handler(sample("promote"), CONTEXT)
    deploying_run(2)
    sagemaker.endpoint = EndpointState("InService", "refit-digits-v2-9c1185a5", None)
    sagemaker.approved = PackageVersion(2, "arn:package/2", RUN)
    assert planned(2) == {"action": "none"}
    assert recorded().status == "DEPLOYED"
    assert services().models.state("digits").active_run is None


def test_a_second_deployment_is_refused_while_the_first_is_in_progress(
    sagemaker: FakeSageMaker,
) -> None:
    sagemaker.approved = PackageVersion(1, "arn:package/1", RUN)
    planned(1)
    with pytest.raises(DeploymentInProgress):
        planned(1, execution="another")


def test_an_endpoint_that_predicts_as_in_the_evaluation_is_verified(
    sagemaker: FakeSageMaker,
) -> None:
    sagemaker.endpoint = EndpointState("InService", "refit-digits-v2-9c1185a5", None)
    sagemaker.answer = (LIVE, "v2")
    assert verify_deployment.handler(sample("verify_deployment"), CONTEXT) == {"rows": 3}
    (request,) = sagemaker.invocations
    assert request["InferenceId"] == VERIFICATION_ID, (
        "otherwise the rows would be captured as live traffic"
    )


@pytest.mark.parametrize(
    ("config", "body", "variant", "message"),
    [
        ("refit-digits-v1-01234567", LIVE, "v2", "rolled endpoint refit-digits back"),
        ("refit-digits-v2-9c1185a5", LIVE.replace("0.1,0.9", "0.9,0.1"), "v2", "row 2"),
        ("refit-digits-v2-9c1185a5", "0.25,0.75\n", "v2", "row 1"),
        ("refit-digits-v2-9c1185a5", LIVE, "v1", "variant v1"),
    ],
)
def test_an_endpoint_that_does_not_serve_the_new_model_is_rejected(
    sagemaker: FakeSageMaker,
    config: str,
    body: str,
    variant: str,
    message: str,
) -> None:
    sagemaker.endpoint = EndpointState("InService", config, "alarm went off")
    sagemaker.answer = (body, variant)
    with pytest.raises(DeploymentRejected, match=message):
        verify_deployment.handler(sample("verify_deployment"), CONTEXT)


def test_a_promoted_version_becomes_the_champion_and_an_event_is_published(
    sagemaker: FakeSageMaker, stack: Stack
) -> None:
    make_champion_live()
    assert promote.handler(sample("promote"), CONTEXT) == {"version": 2, "replaced": 1}
    champion = services().models.champion("digits")
    assert champion is not None
    assert (champion.version, champion.variant, champion.run) == (2, "v2", RUN)
    assert stack.messages(stack.bus_queue)[0]["detail-type"] == "Model Promoted"


def test_the_first_promoted_version_is_notified_with_what_it_learned(
    sagemaker: FakeSageMaker, stack: Stack
) -> None:
    learned = LEARNED.model_dump(mode="json")
    services().models.begin_run("digits", RUN, "drop", None)
    services().models.update_run("digits", RUN, learned=learned)
    promote.handler(sample("promote"), CONTEXT)
    (notice,) = stack.messages(stack.notices_queue)
    assert notice["Subject"] == "Refit: digits is live for the first time"
    assert LEARNED.sentence in notice["Message"]
    assert "doubt: column 'code' alone gives the label" in notice["Message"]
    promote.handler(sample("promote"), CONTEXT)  # a state machine may repeat the step
    assert stack.messages(stack.notices_queue) == []


def test_a_version_that_replaces_another_is_not_notified(
    sagemaker: FakeSageMaker, stack: Stack
) -> None:
    make_champion_live()
    promote.handler(sample("promote"), CONTEXT)
    assert stack.messages(stack.notices_queue) == []
