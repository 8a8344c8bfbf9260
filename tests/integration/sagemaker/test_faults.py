"""A test can order the failures that AWS causes itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError
from local_sagemaker import IMAGE, put_training_data, training_request, until
from served_models import config, invoke, make_models, settled, updated, variant

if TYPE_CHECKING:
    from pathlib import Path

    from local_sagemaker import RunningSageMaker, SageMakerLauncher

CAPACITY = "CapacityError: Unable to provision requested ML compute capacity."
NO_INSTANCE = (
    "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error."
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def faulty(launcher: SageMakerLauncher, folder: Path) -> RunningSageMaker:
    """A local SageMaker of its own, because its faults would meet the jobs of other tests."""
    folder.mkdir()
    local = launcher.start(folder)
    put_training_data(local)
    return local


def test_a_job_fails_with_the_ordered_reason_and_the_next_one_does_not(
    faulty: RunningSageMaker, folder: Path
) -> None:
    (folder / "faults.json").write_text(json.dumps({"TrainingJob": [CAPACITY]}))
    for name in ("first", "second"):
        faulty.sagemaker.create_training_job(**training_request(name))
    ends = [faulty.trained(name) for name in ("first", "second")]
    assert sorted(end["TrainingJobStatus"] for end in ends) == ["Completed", "Failed"]
    (failed,) = (end for end in ends if end["TrainingJobStatus"] == "Failed")
    assert failed["FailureReason"] == CAPACITY
    assert "TrainingEndTime" in failed


def test_orders_for_a_name_meet_only_jobs_whose_names_begin_so(
    faulty: RunningSageMaker, folder: Path
) -> None:
    (folder / "faults").mkdir()
    (folder / "faults" / "refit-unlucky-.json").write_text(json.dumps({"TrainingJob": [CAPACITY]}))
    names = ("refit-lucky-1", "refit-unlucky-1", "refit-unlucky-2")
    ends = []
    for name in names:
        faulty.sagemaker.create_training_job(**training_request(name))
        ends.append(faulty.trained(name)["TrainingJobStatus"])
    assert ends == ["Completed", "Failed", "Completed"]


SPOT = {"EnableManagedSpotTraining": True}


def test_a_spot_job_whose_instance_is_taken_away_begins_again(
    faulty: RunningSageMaker, folder: Path
) -> None:
    (folder / "faults.json").write_text(json.dumps({"SpotInterruption": [0, 0]}))
    limits = {"StoppingCondition": {"MaxRuntimeInSeconds": 300, "MaxWaitTimeInSeconds": 600}}
    faulty.sagemaker.create_training_job(**training_request("on-demand"))
    assert faulty.trained("on-demand")["TrainingJobStatus"] == "Completed"
    faulty.sagemaker.create_training_job(**training_request("spot", **SPOT, **limits))
    job = faulty.trained("spot")
    assert job["TrainingJobStatus"] == "Completed"
    on_instance = ["Starting", "Downloading", "Training"]
    assert [step["Status"] for step in job["SecondaryStatusTransitions"]] == [
        *on_instance,
        "Interrupted",
        *on_instance,
        "Interrupted",
        *on_instance,
        "Uploading",
        "Completed",
    ]
    assert faulty.get("out/spot/output/model.tar.gz")


def test_the_log_of_a_job_can_arrive_after_the_job_has_ended(
    faulty: RunningSageMaker, folder: Path
) -> None:
    (folder / "faults.json").write_text(json.dumps({"LogLagSeconds": 600}))
    faulty.sagemaker.create_training_job(**training_request("late-log"))
    assert faulty.trained("late-log")["TrainingJobStatus"] == "Completed"
    assert not faulty.published.logs
    (folder / "faults.json").write_text(json.dumps({"LogLagSeconds": 0}))
    (lines,) = until(lambda: list(faulty.published.logs.values()), "the log")
    rounds = [line for line in lines if line.startswith("[")]
    assert any("#011validation-" in line or "#011train-" in line for line in rounds)


def test_a_list_can_show_a_new_version_late(faulty: RunningSageMaker, folder: Path) -> None:
    (folder / "faults.json").write_text(json.dumps({"ListLagSeconds": 1}))
    faulty.sagemaker.create_model_package_group(ModelPackageGroupName="late")
    container = {"Image": IMAGE, "ModelDataUrl": "s3://refit-test/m/model.tar.gz"}
    specification = {
        "Containers": [container],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }
    arn = faulty.sagemaker.create_model_package(
        ModelPackageGroupName="late", InferenceSpecification=specification
    )["ModelPackageArn"]

    def listed() -> list[str]:
        answer = faulty.sagemaker.list_model_packages(ModelPackageGroupName="late")
        return [entry["ModelPackageArn"] for entry in answer["ModelPackageSummaryList"]]

    assert faulty.sagemaker.describe_model_package(ModelPackageName=arn)["ModelPackageVersion"] == 1
    assert listed() == []
    assert until(listed, "the version in the list") == [arn]


def test_endpoints_fail_with_ordered_reasons_in_the_states_of_aws(
    faulty: RunningSageMaker, folder: Path
) -> None:
    make_models(faulty)
    for name in ("first", "second"):
        config(faulty, name, variant("many", name.title()))
    (folder / "faults.json").write_text(json.dumps({"Endpoint": [NO_INSTANCE]}))
    endpoint = {"EndpointName": "scarce"}
    faulty.sagemaker.create_endpoint(**endpoint, EndpointConfigName="first")
    failed = faulty.settled("scarce")
    assert (failed["EndpointStatus"], failed["FailureReason"]) == ("Failed", NO_INSTANCE)
    with pytest.raises(ClientError, match="Cannot update endpoint"):
        faulty.sagemaker.update_endpoint(**endpoint, EndpointConfigName="second")
    faulty.sagemaker.delete_endpoint(**endpoint)
    until(lambda: not faulty.sagemaker.list_endpoints()["Endpoints"], "the end of the endpoint")

    (folder / "faults.json").write_text("{}")
    faulty.sagemaker.create_endpoint(**endpoint, EndpointConfigName="first")
    assert faulty.settled("scarce")["EndpointStatus"] == "InService"
    (folder / "faults.json").write_text(json.dumps({"Endpoint": [NO_INSTANCE, ""]}))
    for reason in (NO_INSTANCE, None):
        back = updated(faulty, "scarce", "second")
        assert (back["EndpointStatus"], back["EndpointConfigName"]) == ("InService", "first")
        assert (reason is None) == ("FailureReason" not in back)
        assert reason is None or back["FailureReason"].endswith(reason)
        assert invoke(faulty, "scarce")["InvokedProductionVariant"] == "First"

    (folder / "faults.json").write_text(json.dumps({"LostEndpoint": [NO_INSTANCE]}))
    faulty.sagemaker.update_endpoint(**endpoint, EndpointConfigName="second")
    lost = settled(faulty, "scarce")
    assert (lost["EndpointStatus"], lost["FailureReason"]) == ("Failed", NO_INSTANCE)
    with pytest.raises(ClientError):
        invoke(faulty, "scarce")
