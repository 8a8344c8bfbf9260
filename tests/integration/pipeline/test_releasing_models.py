"""A person frees a model at once, and reads what was done."""

from __future__ import annotations

import boto3
import pytest
from refit.domain.vocabulary import RunStatus
from refit.handlers.wiring import services
from refit.stores.endpoints import EndpointState
from refit.stores.registry import PackageVersion
from refit.usecases.release_model import release_model
from refit.usecases.start_run import start_run

from tests.support.aws_stack import REGION, Stack
from tests.support.fake_sagemaker import FakeSageMaker
from tests.support.flower_batches import drop
from tests.support.model_files import make_champion_live

RUN = "0f1e2d3c4b5a"


@pytest.fixture
def sagemaker(stack: Stack) -> FakeSageMaker:
    fake = FakeSageMaker()
    stack.replace_clients(sagemaker=fake)
    return fake


def stop(execution: str | None) -> None:
    boto3.client("stepfunctions", REGION).stop_execution(executionArn=execution or "")


def test_a_model_that_nothing_holds_is_left_alone(sagemaker: FakeSageMaker) -> None:
    services().models.begin_run("digits", RUN, "drop", None)
    start_run(services(), "digits", RUN)
    assert release_model(services(), "digits") == [], "its execution runs"


def test_a_run_whose_execution_was_stopped_is_ended_and_the_lock_released(
    sagemaker: FakeSageMaker, stack: Stack
) -> None:
    services().models.begin_run("digits", RUN, "drop", None)
    services().models.mark_pending("digits")
    start_run(services(), "digits", RUN)
    run = services().models.run("digits", RUN)
    stop(run.train_execution_arn if run else None)
    ended, released = release_model(services(), "digits")
    assert ended.startswith(f"Run {RUN} ended FAILED: the execution was stopped: arn:")
    assert released == f"Run {RUN} does not hold the model any more."
    assert services().models.state("digits").active_run is None
    assert stack.messages(stack.ingest_queue) == [{"model": "digits"}]


def test_a_batch_whose_execution_was_stopped_is_ended(
    sagemaker: FakeSageMaker, stack: Stack
) -> None:
    batch = drop(stack)
    stop(stack.services.batch_executions.arn("flowers", batch))
    assert release_model(services(), "flowers") == [
        f"Batch {batch} ended FAILED: its execution had ended."
    ]


@pytest.mark.parametrize(
    ("endpoint", "fault"),
    [
        (None, "does not exist"),
        (EndpointState("Failed", "refit-digits-v1-01234567", "no memory"), "is Failed"),
        (EndpointState("InService", "refit-digits-v2-89abcdef", None), "has the config"),
    ],
)
def test_the_newest_approved_version_is_deployed_again_if_the_endpoint_does_not_serve_it(
    sagemaker: FakeSageMaker, stack: Stack, endpoint: EndpointState | None, fault: str
) -> None:
    make_champion_live()
    sagemaker.approved = PackageVersion(1, "arn:package/1", "aaaaaaaaaaaa")
    sagemaker.endpoint = endpoint
    (done,) = release_model(services(), "digits")
    assert done.startswith("Version 1 is deployed again, because endpoint refit-digits")
    assert fault in done
    (given,) = stack.deployments()
    assert given["detail"] == {
        "ModelPackageGroupName": "refit-digits",
        "ModelPackageVersion": 1,
        "ModelPackageArn": "arn:package/1",
        "ModelApprovalStatus": "Approved",
    }


def test_an_endpoint_that_serves_the_live_version_is_left_alone(
    sagemaker: FakeSageMaker, stack: Stack
) -> None:
    make_champion_live()
    state = services().models.state("digits")
    config = state.champion.endpoint_config if state.champion else ""
    sagemaker.endpoint = EndpointState("InService", config, None)
    assert release_model(services(), "digits") == []
    assert stack.deployments() == []


def test_a_run_that_waits_for_a_deployment_whose_execution_is_gone_is_freed(
    sagemaker: FakeSageMaker, stack: Stack
) -> None:
    services().models.begin_run("digits", RUN, "drop", None)
    start_run(services(), "digits", RUN)
    services().models.record_version("digits", 2, RUN, "arn:package/2")
    services().models.update_run("digits", RUN, status=RunStatus.DEPLOYING)
    sagemaker.approved = PackageVersion(2, "arn:package/2", RUN)
    services().models.begin_deployment("digits", "d1", "arn:aws:states:us-east-1:1:execution:x:y")
    texts = " ".join(release_model(services(), "digits"))
    assert "The deployment does not hold the model any more." in texts
    assert f"Run {RUN} ended FAILED" in texts
    state = services().models.state("digits")
    assert (state.active_run, state.deployment) == (None, None)
