"""Training jobs train a model and go through the states of AWS."""

from __future__ import annotations

import io
import tarfile
import threading
from typing import TYPE_CHECKING, Any

import pytest
from local_sagemaker import (
    ACCOUNT,
    BUCKET,
    REGION,
    long_training,
    put_training_data,
    training_request,
    until,
)
from refit_local.sagemaker.wire.errors import ResourceNotFound, ValidationException

if TYPE_CHECKING:
    from local_sagemaker import RunningSageMaker

NAME = "Digits-Run-1"
ARN = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/digits-run-1"
TAG = {"Key": "run", "Value": "r1"}
CHANGED = "SageMaker Training Job State Change"


@pytest.fixture(scope="module", autouse=True)
def _data(local: RunningSageMaker) -> None:
    put_training_data(local)


@pytest.fixture(scope="module")
def finished(local: RunningSageMaker) -> dict[str, Any]:
    """A training job that has completed."""
    local.sagemaker.create_training_job(**training_request(NAME, Tags=[TAG]))
    job = local.trained(NAME)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    return job


def secondary(local: RunningSageMaker, name: str) -> str:
    described = local.sagemaker.describe_training_job(TrainingJobName=name)
    return described["SecondaryStatus"]


def test_a_training_job_goes_through_the_states_of_aws(finished: dict[str, Any]) -> None:
    assert finished["TrainingJobArn"] == ARN
    assert [(t["Status"], t["StatusMessage"]) for t in finished["SecondaryStatusTransitions"]] == [
        ("Starting", "Preparing the instances for training"),
        ("Downloading", "Downloading input data"),
        ("Training", "Training image download completed. Training in progress."),
        ("Uploading", "Uploading generated training model"),
        ("Completed", "Training job completed"),
    ]
    assert all("EndTime" in transition for transition in finished["SecondaryStatusTransitions"])
    assert finished["CreationTime"] <= finished["TrainingStartTime"] <= finished["TrainingEndTime"]
    assert finished["TrainingTimeInSeconds"] >= 1


def test_a_training_job_uploads_its_model(
    local: RunningSageMaker, finished: dict[str, Any]
) -> None:
    key = f"out/{NAME}/output/model.tar.gz"
    assert finished["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{BUCKET}/{key}"
    with tarfile.open(fileobj=io.BytesIO(local.get(key))) as tar:
        assert tar.getnames() == ["xgboost-model"]


def test_the_last_value_of_each_metric_is_described(
    local: RunningSageMaker, finished: dict[str, Any]
) -> None:
    metrics = {metric["MetricName"]: metric["Value"] for metric in finished["FinalMetricDataList"]}
    assert set(metrics) == {"train:logloss", "validation:logloss"}
    stream = finished_stream(local)
    last = [line for line in stream if line.startswith("[4]#011")][-1]
    assert f"#011validation-logloss:{metrics['validation:logloss']:.5f}" in last
    definitions = finished["AlgorithmSpecification"]["MetricDefinitions"]
    assert {
        "Name": "validation:logloss",
        "Regex": r".*\[[0-9]+\].*#011validation-logloss:(\S+)",
    } in definitions


def finished_stream(local: RunningSageMaker) -> list[str]:
    group = "/aws/sagemaker/TrainingJobs"
    return next(
        lines
        for (in_group, stream), lines in local.published.logs.items()
        if in_group == group and stream.startswith(f"{NAME}/algo-1-")
    )


def test_every_state_change_publishes_an_event(
    local: RunningSageMaker, finished: dict[str, Any]
) -> None:
    def details_of_job() -> list[dict[str, Any]]:
        return [d for d in local.published.of(CHANGED) if d["TrainingJobName"] == NAME]

    until(lambda: details_of_job()[-1]["TrainingJobStatus"] == "Completed", "the last event")
    details = details_of_job()
    assert [detail["SecondaryStatus"] for detail in details] == [
        "Starting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]
    last = details[-1]
    assert last["Tags"] == {"run": "r1"}
    assert last["TrainingEndTime"] == round(finished["TrainingEndTime"].timestamp() * 1000)
    assert last["HyperParameters"]["num_round"] == "5"
    event = next(e for e in local.published.events if e["detail"] == last)
    assert (event["source"], event["resources"]) == ("aws.sagemaker", [ARN])


def test_a_name_cannot_be_used_twice(local: RunningSageMaker, finished: dict[str, Any]) -> None:
    with pytest.raises(local.sagemaker.exceptions.ResourceInUse) as caught:
        local.sagemaker.create_training_job(**training_request(NAME))
    assert (
        "Training job names must be unique within an AWS account and region, and a training job "
        f"with this name already exists ({finished['TrainingJobArn']})"
    ) in str(caught.value)


def test_a_hyperparameter_out_of_range_fails_with_the_message_of_the_container(
    local: RunningSageMaker,
) -> None:
    hyperparameters = {"num_round": "5", "objective": "binary:logistic", "eta": "1.5"}
    local.sagemaker.create_training_job(
        **training_request("bad-eta", HyperParameters=hyperparameters)
    )
    job = local.trained("bad-eta")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == (
        "AlgorithmError: UserError: Hyperparameter eta: 1.5 is not in [0, 1], exit code: 1"
    )
    assert job["SecondaryStatusTransitions"][-1]["Status"] == "Failed"


def test_missing_data_is_a_client_error(local: RunningSageMaker) -> None:
    request = training_request("no-data")
    source = request["InputDataConfig"][0]["DataSource"]["S3DataSource"]
    source["S3Uri"] = f"s3://{BUCKET}/nothing/here/"
    local.sagemaker.create_training_job(**request)
    reason = local.trained("no-data")["FailureReason"]
    assert reason.startswith("ClientError: Data download failed")
    assert f'No S3 objects found under S3 URL "s3://{BUCKET}/nothing/here/"' in reason


def test_a_missing_bucket_is_a_client_error(local: RunningSageMaker) -> None:
    request = training_request("no-bucket")
    source = request["InputDataConfig"][0]["DataSource"]["S3DataSource"]
    source["S3Uri"] = "s3://not-a-bucket-of-ours/train/"
    local.sagemaker.create_training_job(**request)
    reason = local.trained("no-bucket")["FailureReason"]
    assert reason.startswith("ClientError: Data download failed: NoSuchBucket (404)")


def test_a_manifest_names_the_files_of_a_channel(local: RunningSageMaker) -> None:
    local.put("lists/train.manifest", f'[{{"prefix": "s3://{BUCKET}/data/train/"}}, "a.csv"]')
    request = training_request("manifest")
    request["InputDataConfig"][0]["DataSource"]["S3DataSource"] |= {
        "S3DataType": "ManifestFile",
        "S3Uri": f"s3://{BUCKET}/lists/train.manifest",
    }
    local.sagemaker.create_training_job(**request)
    assert local.trained("manifest")["TrainingJobStatus"] == "Completed"


def test_a_stopped_job_goes_through_stopping(local: RunningSageMaker) -> None:
    local.sagemaker.create_training_job(**long_training("stopped"))
    until(lambda: secondary(local, "stopped") == "Training", "the training")
    local.sagemaker.stop_training_job(TrainingJobName="stopped")
    local.sagemaker.stop_training_job(TrainingJobName="stopped")
    job = local.trained("stopped")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    statuses = [t["Status"] for t in job["SecondaryStatusTransitions"]]
    assert statuses[2:] == ["Training", "Stopping", "Stopped"]
    assert "FailureReason" not in job
    with pytest.raises(local.sagemaker.exceptions.ClientError, match="in status Stopped"):
        local.sagemaker.stop_training_job(TrainingJobName="stopped")


def test_a_job_can_be_stopped_as_soon_as_it_can_be_described(local: RunningSageMaker) -> None:
    request = long_training("seen")
    create = threading.Thread(target=local.service.call, args=("CreateTrainingJob", request))
    create.start()

    def stopped() -> bool:
        try:
            local.service.call("StopTrainingJob", {"TrainingJobName": "seen"})
        except (ResourceNotFound, ValidationException):
            return False
        return True

    while not stopped():  # without a pause, to find a moment with a record and no run
        pass
    create.join()
    assert local.trained("seen")["TrainingJobStatus"] == "Stopped"


def test_a_job_that_exceeds_its_runtime_keeps_its_saved_model(local: RunningSageMaker) -> None:
    request = long_training("too-long", StoppingCondition={"MaxRuntimeInSeconds": 8})
    request["HyperParameters"]["save_model_on_termination"] = "true"
    local.sagemaker.create_training_job(**request)
    job = local.trained("too-long")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    with tarfile.open(fileobj=io.BytesIO(local.get("out/too-long/output/model.tar.gz"))) as tar:
        assert tar.getnames() == ["xgboost-model"]


def test_a_spot_job_describes_its_billable_time(local: RunningSageMaker) -> None:
    condition = {"MaxRuntimeInSeconds": 300, "MaxWaitTimeInSeconds": 600}
    local.sagemaker.create_training_job(
        **training_request("spot", EnableManagedSpotTraining=True, StoppingCondition=condition)
    )
    job = local.trained("spot")
    assert job["EnableManagedSpotTraining"]
    assert job["StoppingCondition"] == condition
    assert 1 <= job["BillableTimeInSeconds"] <= job["TrainingTimeInSeconds"]


def test_jobs_are_listed_by_status_in_pages(
    local: RunningSageMaker, finished: dict[str, Any]
) -> None:
    for number in range(3):
        request = training_request(f"listed-{number}")
        request["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"] = f"s3://{BUCKET}/no/"
        local.sagemaker.create_training_job(**request)
        local.trained(f"listed-{number}")
    pages = local.sagemaker.get_paginator("list_training_jobs").paginate(
        NameContains="listed-",
        StatusEquals="Failed",
        SortBy="Name",
        SortOrder="Descending",
        PaginationConfig={"PageSize": 2},
    )
    names = [[job["TrainingJobName"] for job in page["TrainingJobSummaries"]] for page in pages]
    assert names == [["listed-2", "listed-1"], ["listed-0"]]
    completed = local.sagemaker.list_training_jobs(StatusEquals="Completed", NameContains=NAME)
    assert [job["TrainingJobArn"] for job in completed["TrainingJobSummaries"]] == [ARN]


def test_k_fold_predictions_go_to_the_output_archive(local: RunningSageMaker) -> None:
    hyperparameters = {"num_round": "2", "objective": "binary:logistic", "_kfold": "2"}
    local.sagemaker.create_training_job(**training_request("k", HyperParameters=hyperparameters))
    assert local.trained("k").get("FailureReason") is None
    with tarfile.open(fileobj=io.BytesIO(local.get("out/k/output/output.tar.gz"))) as tar:
        assert tar.getnames() == ["predictions.csv"]
    with tarfile.open(fileobj=io.BytesIO(local.get("out/k/output/model.tar.gz"))) as tar:
        assert tar.getnames() == ["xgboost-model-0", "xgboost-model-1"]


def test_without_compression_the_model_is_uploaded_as_files(local: RunningSageMaker) -> None:
    output = {"S3OutputPath": f"s3://{BUCKET}/out/", "CompressionType": "NONE"}
    local.sagemaker.create_training_job(**training_request("plain", OutputDataConfig=output))
    job = local.trained("plain")
    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri == f"s3://{BUCKET}/out/plain/output/model/"
    assert local.keys("out/plain/output/") == ["out/plain/output/model/xgboost-model"]


def test_checkpoints_are_uploaded(local: RunningSageMaker) -> None:
    checkpoints = {"S3Uri": f"s3://{BUCKET}/checkpoints/job/"}
    local.sagemaker.create_training_job(
        **training_request("with-checkpoints", CheckpointConfig=checkpoints)
    )
    assert local.trained("with-checkpoints")["CheckpointConfig"] == checkpoints
    assert local.keys("checkpoints/job/")
