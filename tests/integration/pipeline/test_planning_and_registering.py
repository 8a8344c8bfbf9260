"""The planned requests to SageMaker are valid, and a run registers one version."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from refit.domain.errors import ModelNotSaved, SettingsInvalid, VersionNumberUsed
from refit.handlers import plan_evaluation, plan_training, register
from refit.handlers.wiring import services
from refit_local.sagemaker.integration_fields import unsupported_fields

from tests.support.aws_clients import RecordingClient
from tests.support.aws_stack import CONTEXT, REGION, Stack
from tests.support.events import sample
from tests.support.model_files import archive_of, make_champion_live, manifest, trained_model
from tests.support.sagemaker_requests import assert_valid_request

RUN = "0f1e2d3c4b5a"


def write_manifest(stack: Stack, settings: str = "") -> None:
    stack.put(f"digits/runs/{RUN}/manifest.json", manifest(RUN, settings))


@pytest.fixture
def active(stack: Stack) -> Stack:
    services().models.begin_run("digits", RUN, "drop", None)
    write_manifest(stack)
    stack.put(*trained_model(RUN))
    classes = list(map(str, range(10)))
    schema = {"task": "classification", "label": "digit", "features": [], "classes": classes}
    stack.put(f"digits/runs/{RUN}/schema.json", schema)
    counts = {"label": {"classes": dict.fromkeys(classes, 144)}}
    stack.put(f"digits/runs/{RUN}/profile.json", counts)
    return stack


def test_the_planned_training_job_is_a_valid_request(active: Stack) -> None:
    plan = plan_training.handler(sample("plan_training"), CONTEXT)
    request = plan["request"] | {"TrainingJobName": f"{plan['stem']}-0"}
    assert_valid_request("CreateTrainingJob", request)
    channels = [channel["ChannelName"] for channel in request["InputDataConfig"]]
    assert channels == ["train", "validation"]
    assert not unsupported_fields("createTrainingJob", request)
    assert "EnableManagedSpotTraining" not in request, "not every document says that .sync takes it"
    assert services().models.run("digits", RUN).status == "TRAINING"


def test_without_tuning_no_tuning_job_is_planned(active: Stack) -> None:
    assert "tuning" not in plan_training.handler(sample("plan_training"), CONTEXT)


def test_the_planned_tuning_job_trains_as_the_planned_training_job_does(active: Stack) -> None:
    write_manifest(active, "[tuning]\nmax_jobs = 12\n[training]\nspot = true")
    plan = plan_training.handler(sample("plan_training"), CONTEXT)
    name = f"{plan['tuning']['stem']}-0"
    request = plan["tuning"]["request"] | {"HyperParameterTuningJobName": name}
    assert_valid_request("CreateHyperParameterTuningJob", request)
    assert not unsupported_fields("createHyperParameterTuningJob", request)
    assert len("refit-prefix" + name.removeprefix("refit")) <= 32, "with the longest prefix"
    definition = request["TrainingJobDefinition"]
    for part in ("InputDataConfig", "ResourceConfig", "StoppingCondition", "RoleArn"):
        assert definition[part] == plan["request"][part]
    assert definition["EnableManagedSpotTraining"]
    assert request["Tags"] == plan["request"]["Tags"]


def test_without_validation_rows_there_is_no_validation_channel(active: Stack) -> None:
    event = sample("plan_training") | {"has_validation": False}
    channels = plan_training.handler(event, CONTEXT)["request"]["InputDataConfig"]
    assert [channel["ChannelName"] for channel in channels] == ["train"]


def test_a_spot_training_job_has_limits_for_running_and_waiting(active: Stack) -> None:
    write_manifest(active, "[training]\nspot = true\nmax_runtime_s = 600")
    request = plan_training.handler(sample("plan_training"), CONTEXT)["request"]
    assert request["EnableManagedSpotTraining"]
    assert not unsupported_fields("createTrainingJob", request)
    assert request["StoppingCondition"] == {
        "MaxRuntimeInSeconds": 600,
        "MaxWaitTimeInSeconds": 1200,
    }


def test_a_gate_metric_of_the_other_task_is_refused_before_the_training(active: Stack) -> None:
    write_manifest(active, '[gate]\nmetric = "rmse"')
    with pytest.raises(
        SettingsInvalid, match="allowed: auto, accuracy, balanced_accuracy, log_loss"
    ):
        plan_training.handler(sample("plan_training"), CONTEXT)


def test_challenger_and_champion_predict_the_same_rows(active: Stack) -> None:
    make_champion_live()
    active.put("digits/runs/aaaaaaaaaaaa/manifest.json", manifest("aaaaaaaaaaaa"))
    plan = plan_evaluation.handler(sample("plan_evaluation"), CONTEXT)
    assert_valid_request("CreateModel", plan["model_request"])
    for side in ("challenger", "champion"):
        name = f"{plan[side]['stem']}-0"
        assert_valid_request(
            "CreateTransformJob", plan[side]["request"] | {"TransformJobName": name}
        )
    inputs = [plan[side]["request"]["TransformInput"] for side in ("challenger", "champion")]
    assert inputs[0] == inputs[1]
    assert plan["champion"]["request"]["ModelName"] == "refit-digits-v1-01234567"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (archive_of({}), "ended without an error and saved no model"),
        (archive_of({"xgboost-model": b"x"})[:30], "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_a_training_job_that_saved_no_model_fails_the_run_before_it_is_served(
    active: Stack, content: bytes | None, reason: str
) -> None:
    event = sample("plan_evaluation")
    if content is None:
        event["training"]["artifacts"] += ".gone"
    else:
        active.put(trained_model(RUN)[0], content)
    with pytest.raises(ModelNotSaved, match=reason):
        plan_evaluation.handler(event, CONTEXT)


@pytest.mark.parametrize("comparable", [True, False])
def test_only_the_challenger_predicts_when_no_champion_is_comparable(
    active: Stack, comparable: bool
) -> None:
    if not comparable:
        make_champion_live()
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


class AnewGroup(RecordingClient):
    """The registry after a person deleted the package group, which numbers from 1 again.

    Attributes:
        statuses: approval status of each package that was created.
        deleted: the packages that were deleted.
    """

    def __init__(self) -> None:
        super().__init__(boto3.client("sagemaker", REGION))
        self.statuses: list[str] = []
        self.deleted: list[str] = []

    def create_model_package(self, **request: Any) -> dict[str, Any]:
        assert_valid_request("CreateModelPackage", request)
        self.statuses.append(request["ModelApprovalStatus"])
        answer: dict[str, Any] = boto3.client("sagemaker", REGION).create_model_package(**request)
        return answer

    def delete_model_package(self, ModelPackageName: str) -> None:
        self.deleted.append(ModelPackageName)


def test_a_deleted_package_group_gives_no_version_number_a_second_time(active: Stack) -> None:
    for version in (1, 2):
        services().models.record_version("digits", version, f"run{version}", f"arn:{version}")
    registry = AnewGroup()
    active.replace_clients(sagemaker=registry)
    registered = register.handler(sample("register"), CONTEXT)
    assert registered["version"] == 3
    recorded = [services().models.run_of_version("digits", version) for version in (1, 2, 3)]
    assert recorded == ["run1", "run2", RUN]
    assert registry.statuses == ["Rejected", "Rejected", "Approved"], "no placeholder is deployed"
    assert [arn.rpartition("/")[2] for arn in registry.deleted] == ["1", "2"]


def test_a_version_number_of_another_run_fails_the_run_and_is_not_overwritten(
    active: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    services().models.record_version("digits", 1, "run1", "arn:1")
    monkeypatch.setattr(services().models, "packages_after", lambda *_: [])
    registry = AnewGroup()
    active.replace_clients(sagemaker=registry)
    with pytest.raises(VersionNumberUsed, match="version number 1, which another run of digits"):
        register.handler(sample("register"), CONTEXT)
    assert services().models.run_of_version("digits", 1) == "run1"
    assert len(registry.deleted) == 1, "an approved package would be deployed"


def test_the_model_package_is_a_valid_request_with_the_run_as_its_client_token(
    active: Stack,
) -> None:
    recorder = RecordingClient(boto3.client("sagemaker", REGION))
    active.replace_clients(sagemaker=recorder)
    register.handler(sample("register"), CONTEXT)
    request = recorder.requests["create_model_package"]
    assert_valid_request("CreateModelPackage", request)
    assert request["ClientToken"] == RUN
    statistics = request["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    assert statistics.endswith(f"digits/runs/{RUN}/evaluation_statistics.json")
