"""A test can order the failures that AWS causes itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from local_sagemaker import IMAGE, put_training_data, training_request, until

if TYPE_CHECKING:
    from pathlib import Path

    from local_sagemaker import RunningSageMaker, SageMakerLauncher

CAPACITY = "CapacityError: Unable to provision requested ML compute capacity."


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
