"""Jobs and endpoints beyond the account's quotas are refused, and nothing is created."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from local_sagemaker import (
    BUCKET,
    feature_rows,
    long_training,
    make_model,
    put_training_data,
    training_request,
)
from refit_local.sagemaker.step_functions import PREFIX, TaskFailure
from served_models import config, updated, variant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from local_sagemaker import RunningSageMaker, SageMakerLauncher

    Account = Callable[[dict[str, int]], RunningSageMaker]

TRAINING = "ml.m5.large for training job usage"
TRANSFORM = "ml.m5.large for transform job usage"
ENDPOINT = "ml.m5.large for endpoint usage"


@pytest.fixture
def account(launcher: SageMakerLauncher, tmp_path: Path) -> Iterator[Account]:
    """Return a function that starts the SageMaker of an account with some quotas."""

    def start(quotas: dict[str, int]) -> RunningSageMaker:
        local = launcher.start(tmp_path / "state", quotas=quotas)
        put_training_data(local)
        return local

    yield start
    launcher.end()


def refusal(call: Callable[..., Any], **request: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**request)
    assert refused.value.response["Error"]["Code"] == "ResourceLimitExceeded"
    return str(refused.value.response["Error"]["Message"])


def limit(quota: str, value: int, used: int, delta: int = 1) -> str:
    return (
        f"The account-level service limit '{quota}' is {value} Instances, with current utilization "
        f"of {used} Instances and a request delta of {delta} Instances. Please use AWS Service "
        "Quotas to request an increase for this quota."
    )


def stopped(local: RunningSageMaker, name: str) -> None:
    local.sagemaker.stop_training_job(TrainingJobName=name)
    local.trained(name)


def test_a_training_job_beyond_the_quota_is_refused_until_another_has_ended(
    account: Account,
) -> None:
    local = account({TRAINING: 1})
    create = local.sagemaker.create_training_job
    create(**long_training("first"))
    text = refusal(create, **long_training("second"))
    assert text.startswith(limit(TRAINING, 1, 1))
    assert len(local.sagemaker.list_training_jobs()["TrainingJobSummaries"]) == 1
    stopped(local, "first")
    create(**long_training("second"))
    stopped(local, "second")


def test_a_spot_job_is_counted_by_a_quota_of_its_own_and_by_that_of_all_jobs(
    account: Account,
) -> None:
    total = "Number of instances across all training jobs"
    local = account({TRAINING: 0, total: 1})
    spot = {
        "EnableManagedSpotTraining": True,
        "StoppingCondition": {"MaxRuntimeInSeconds": 300, "MaxWaitTimeInSeconds": 300},
    }
    create = local.sagemaker.create_training_job
    create(**long_training("spot", **spot))
    assert limit(total, 1, 1) in refusal(create, **long_training("more", **spot))
    assert limit(TRAINING, 0, 0) in refusal(create, **training_request("on-demand"))
    stopped(local, "spot")


def test_a_name_in_use_is_refused_before_a_quota_is(account: Account) -> None:
    local = account({TRAINING: 1})
    local.sagemaker.create_training_job(**long_training("same"))
    with pytest.raises(ClientError, match="ResourceInUse"):
        local.sagemaker.create_training_job(**long_training("same"))
    stopped(local, "same")


def test_a_task_of_a_state_machine_fails_with_the_name_of_the_error(account: Account) -> None:
    local = account({TRAINING: 0})
    with pytest.raises(TaskFailure) as refused:
        local.service.tasks.run(f"{PREFIX}createTrainingJob.sync", training_request("task"))
    assert refused.value.error == "SageMaker.ResourceLimitExceededException"
    assert limit(TRAINING, 0, 0) in refused.value.cause


def test_a_transform_job_beyond_the_quota_is_refused(account: Account) -> None:
    local = account({TRANSFORM: 0})
    make_model(local, "model", local.put("m/model.tar.gz", b"not read"))
    source = {"S3DataType": "S3Prefix", "S3Uri": local.put("in/a.csv", feature_rows(1))}
    text = refusal(
        local.sagemaker.create_transform_job,
        TransformJobName="job",
        ModelName="model",
        TransformInput={"DataSource": {"S3DataSource": source}, "ContentType": "text/csv"},
        TransformOutput={"S3OutputPath": f"s3://{BUCKET}/out/"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
    )
    assert text.startswith(limit(TRANSFORM, 0, 0))


def test_an_update_has_the_old_and_the_new_instances_at_the_same_time(account: Account) -> None:
    local = account({ENDPOINT: 2})
    local.sagemaker.create_training_job(**training_request("for-model"))
    job = local.trained("for-model")
    make_model(local, "model", job["ModelArtifacts"]["S3ModelArtifacts"])
    for name, count in (("a", 1), ("b", 1), ("c", 2)):
        config(local, name, variant("model", InitialInstanceCount=count))
    create, update = local.sagemaker.create_endpoint, local.sagemaker.update_endpoint
    create(EndpointName="first", EndpointConfigName="a")
    assert local.settled("first")["EndpointStatus"] == "InService"
    text = refusal(update, EndpointName="first", EndpointConfigName="c")
    assert text.startswith(limit(ENDPOINT, 2, 1, 2))
    assert local.settled("first")["EndpointStatus"] == "InService"
    assert updated(local, "first", "b")["EndpointConfigName"] == "b"
    create(EndpointName="second", EndpointConfigName="a")
    assert limit(ENDPOINT, 2, 2) in refusal(update, EndpointName="first", EndpointConfigName="a")
    assert limit(ENDPOINT, 2, 2) in refusal(create, EndpointName="third", EndpointConfigName="a")
    assert local.settled("second")["EndpointStatus"] == "InService"


def test_an_endpoint_that_has_failed_uses_no_instances(account: Account) -> None:
    local = account({ENDPOINT: 1})
    make_model(local, "broken", local.put("broken/model.tar.gz", b"this is no archive"))
    config(local, "config", variant("broken"))
    for name in ("first", "second"):
        local.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName="config")
        assert local.settled(name)["EndpointStatus"] == "Failed"
