"""The requests that go to SageMaker are ones it takes, and a run becomes one version."""

from __future__ import annotations

from typing import Any

import boto3
import botocore.session
import pytest
from botocore.validate import ParamValidator
from refit.domain.errors import SettingsInvalid
from refit.handlers import plan_evaluation, plan_training, register
from refit.handlers.wiring import services

from tests.support.aws_stack import CONTEXT, REGION, Stack
from tests.support.events import sample
from tests.support.model_files import champion, manifest

RUN = "0f1e2d3c4b5a"
SAGEMAKER = botocore.session.get_session().get_service_model("sagemaker")


def assert_sagemaker_takes(operation: str, request: dict[str, Any]) -> None:
    shape = SAGEMAKER.operation_model(operation).input_shape
    assert shape is not None
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()


def write_manifest(stack: Stack, settings: str = "") -> None:
    stack.put(f"digits/runs/{RUN}/manifest.json", manifest(RUN, settings))


@pytest.fixture
def active(stack: Stack) -> Stack:
    services().models.begin_run("digits", RUN, "drop", "2026-11-20T10:00:00+00:00")
    write_manifest(stack)
    return stack


def live_champion() -> None:
    services().models.promote("digits", champion(1, "aaaaaaaaaaaa", suffix="01234567"))


def test_the_planned_training_job_is_one_that_sagemaker_takes(active: Stack) -> None:
    plan = plan_training.handler(sample("plan_training"), CONTEXT)
    request = plan["request"] | {"TrainingJobName": f"{plan['stem']}-0"}
    assert_sagemaker_takes("CreateTrainingJob", request)
    channels = [channel["ChannelName"] for channel in request["InputDataConfig"]]
    assert channels == ["train", "validation"]
    assert services().models.run("digits", RUN).status == "TRAINING"


def test_without_validation_rows_there_is_no_validation_channel(active: Stack) -> None:
    event = sample("plan_training") | {"has_validation": False}
    channels = plan_training.handler(event, CONTEXT)["request"]["InputDataConfig"]
    assert [channel["ChannelName"] for channel in channels] == ["train"]


def test_spot_waits_at_most_as_long_as_the_settings_allow(active: Stack) -> None:
    write_manifest(active, "[training]\nspot = true\nmax_runtime_s = 600")
    request = plan_training.handler(sample("plan_training"), CONTEXT)["request"]
    assert request["EnableManagedSpotTraining"]
    assert request["StoppingCondition"] == {
        "MaxRuntimeInSeconds": 600,
        "MaxWaitTimeInSeconds": 1200,
    }


def test_a_gate_metric_of_the_other_task_is_refused_before_the_training(active: Stack) -> None:
    write_manifest(active, '[gate]\nmetric = "rmse"')
    with pytest.raises(SettingsInvalid, match="allowed: auto, accuracy, log_loss"):
        plan_training.handler(sample("plan_training"), CONTEXT)


def test_challenger_and_champion_predict_the_same_rows(active: Stack) -> None:
    live_champion()
    plan = plan_evaluation.handler(sample("plan_evaluation"), CONTEXT)
    assert_sagemaker_takes("CreateModel", plan["model_request"])
    for side in ("challenger", "champion"):
        name = f"{plan[side]['stem']}-0"
        assert_sagemaker_takes(
            "CreateTransformJob", plan[side]["request"] | {"TransformJobName": name}
        )
    inputs = [plan[side]["request"]["TransformInput"] for side in ("challenger", "champion")]
    assert inputs[0] == inputs[1]
    assert plan["champion"]["request"]["ModelName"] == "refit-digits-v1-01234567"


@pytest.mark.parametrize("comparable", [True, False])
def test_the_champion_is_left_out_where_there_is_none_to_compare(
    active: Stack, comparable: bool
) -> None:
    if not comparable:
        live_champion()
    event = sample("plan_evaluation") | {"comparable": comparable}
    assert plan_evaluation.handler(event, CONTEXT)["champion"] is None


@pytest.mark.parametrize(
    ("passed", "settings", "approval", "status"),
    [
        (True, "", "Approved", "DEPLOYING"),
        (True, '[gate]\napproval = "manual"', "PendingManualApproval", "AWAITING_APPROVAL"),
        (False, "", "Rejected", "REFUSED"),
        (False, '[gate]\napproval = "manual"', "Rejected", "REFUSED"),
    ],
)
def test_the_gate_and_the_settings_decide_the_approval(
    active: Stack, passed: bool, settings: str, approval: str, status: str
) -> None:
    write_manifest(active, settings)
    event = sample("register")
    event["gate"]["passed"] = passed
    registered = register.handler(event, CONTEXT)
    assert registered["status"] == status
    package = boto3.client("sagemaker", REGION).describe_model_package(
        ModelPackageName=registered["package_arn"]
    )
    assert package["ModelApprovalStatus"] == approval
    assert package["CustomerMetadataProperties"]["refit:run"] == RUN
    assert services().models.run_of_version("digits", registered["version"]) == RUN
    assert services().models.run("digits", RUN).package_arn == registered["package_arn"]


def test_a_package_request_is_one_that_sagemaker_takes_and_carries_the_runs_id(
    active: Stack,
) -> None:
    recorder = Recorder(boto3.client("sagemaker", REGION))
    active.replace_clients(sagemaker=recorder)
    register.handler(sample("register"), CONTEXT)
    request = recorder.requests["create_model_package"]
    assert_sagemaker_takes("CreateModelPackage", request)
    assert request["ClientToken"] == RUN
    statistics = request["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    assert statistics.endswith(f"digits/runs/{RUN}/evaluation_statistics.json")


class Recorder:
    """A client that keeps the latest request of each operation."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.requests: dict[str, dict[str, Any]] = {}

    def __getattr__(self, operation: str) -> Any:
        def call(**request: Any) -> Any:
            self.requests[operation] = request
            return getattr(self._client, operation)(**request)

        return call
