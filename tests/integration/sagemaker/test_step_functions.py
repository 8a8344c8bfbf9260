"""The optimized integrations have the outputs and failures of AWS."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from local_sagemaker import (
    IMAGE,
    REGION,
    ROLE,
    long_training,
    put_training_data,
    training_request,
    until,
)
from refit_local.sagemaker.step_functions import PREFIX, TaskFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from local_sagemaker import RunningSageMaker

EXECUTION = f"arn:aws:states:{REGION}:123456789012:execution:train:digits-1"
TRAIN = f"{PREFIX}createTrainingJob.sync"


@pytest.fixture(scope="module", autouse=True)
def _data(local: RunningSageMaker) -> None:
    put_training_data(local)


def test_the_output_of_sync_training_is_the_detail_of_the_event(local: RunningSageMaker) -> None:
    output = local.service.tasks.run(TRAIN, training_request("sync"), EXECUTION)
    assert output["TrainingJobStatus"] == "Completed"
    assert isinstance(output["TrainingEndTime"], int)
    assert output["TrainingEndTime"] > 1_600_000_000_000
    assert output["Tags"] == {
        "MANAGED_BY_AWS": "STARTED_BY_STEP_FUNCTIONS",
        "AWS_STEP_FUNCTIONS_EXECUTION_ARN": EXECUTION,
    }
    assert output["ModelArtifacts"]["S3ModelArtifacts"].endswith("/sync/output/model.tar.gz")
    json.dumps(output)


def test_a_failed_job_fails_the_state_with_its_description(local: RunningSageMaker) -> None:
    request = training_request("sync-failed", HyperParameters={"num_round": "0"})
    with pytest.raises(TaskFailure) as caught:
        local.service.tasks.run(TRAIN, request)
    assert caught.value.error == "States.TaskFailed"
    cause = json.loads(caught.value.cause)
    assert cause["TrainingJobStatus"] == "Failed"
    assert cause["FailureReason"].startswith("AlgorithmError: ")


def test_a_stopped_execution_stops_its_job(local: RunningSageMaker) -> None:
    stopped = threading.Event()
    outcome: list[TaskFailure] = []

    def execute() -> None:
        try:
            local.service.tasks.run(TRAIN, long_training("sync-stopped"), EXECUTION, stopped.is_set)
        except TaskFailure as failure:
            outcome.append(failure)

    execution = threading.Thread(target=execute)
    execution.start()
    until(lambda: _status(local, "sync-stopped") == "Training", "the training")
    stopped.set()
    execution.join(30)
    assert json.loads(outcome[0].cause)["TrainingJobStatus"] == "Stopped"


def test_a_task_can_be_stopped_by_its_arguments(local: RunningSageMaker) -> None:
    request = long_training("sync-ended")
    execution = threading.Thread(
        target=_ignoring_failure, args=(lambda: local.service.tasks.run(TRAIN, request),)
    )
    execution.start()
    until(lambda: _status(local, "sync-ended") == "Training", "the training")
    local.service.tasks.stop(TRAIN, request)
    execution.join(30)
    assert not execution.is_alive()
    assert local.trained("sync-ended")["TrainingJobStatus"] == "Stopped"


def _ignoring_failure(work: Callable[[], Any]) -> None:
    with pytest.raises(TaskFailure):
        work()


def _status(local: RunningSageMaker, name: str) -> str:
    listed = local.sagemaker.list_training_jobs(NameContains=name)["TrainingJobSummaries"]
    if not listed:
        return ""
    return str(local.sagemaker.describe_training_job(TrainingJobName=name)["SecondaryStatus"])


def test_without_sync_the_output_is_the_answer_of_the_api(local: RunningSageMaker) -> None:
    output = local.service.tasks.run(
        f"{PREFIX}createTrainingJob", training_request("request-response")
    )
    assert output == {
        "TrainingJobArn": f"arn:aws:sagemaker:{REGION}:123456789012:training-job/request-response"
    }


def test_models_and_configs_are_created_by_request_response(local: RunningSageMaker) -> None:
    local.put("states/model.tar.gz", b"an archive")
    run = local.service.tasks.run
    run(
        f"{PREFIX}createModel",
        {
            "ModelName": "from-states",
            "ExecutionRoleArn": ROLE,
            "PrimaryContainer": {
                "Image": IMAGE,
                "ModelDataUrl": "s3://refit-test/states/model.tar.gz",
            },
        },
    )
    output = run(
        f"{PREFIX}createEndpointConfig",
        {
            "EndpointConfigName": "from-states",
            "ProductionVariants": [
                {
                    "VariantName": "v1",
                    "ModelName": "from-states",
                    "InstanceType": "ml.m5.large",
                    "InitialInstanceCount": 1,
                }
            ],
        },
    )
    assert output["EndpointConfigArn"].endswith(":endpoint-config/from-states")


@pytest.mark.parametrize(
    ("operation", "arguments", "error", "part"),
    [
        (
            "createTrainingJob.sync",
            {"TrainingJobName": "x"},
            "SageMaker.AmazonSageMakerException",
            "Error Code: ValidationException",
        ),
        (
            "updateEndpoint",
            {"EndpointName": "no", "EndpointConfigName": "no"},
            "SageMaker.AmazonSageMakerException",
            "Could not find endpoint",
        ),
        ("createProcessingJob.sync", {}, "States.Runtime", "does not implement"),
        ("createEndpoint.sync", {}, "States.Runtime", "does not implement"),
    ],
)
def test_refusals_have_the_error_names_of_aws(
    local: RunningSageMaker, operation: str, arguments: dict[str, Any], error: str, part: str
) -> None:
    with pytest.raises(TaskFailure) as caught:
        local.service.tasks.run(f"{PREFIX}{operation}", arguments)
    assert caught.value.error == error
    assert part in caught.value.cause


def test_a_taken_name_has_its_own_error(local: RunningSageMaker) -> None:
    local.service.tasks.run(f"{PREFIX}createTrainingJob", training_request("taken"))
    with pytest.raises(TaskFailure) as caught:
        local.service.tasks.run(f"{PREFIX}createTrainingJob", training_request("taken"))
    assert caught.value.error == "SageMaker.ResourceInUseException"


FULL_JOB = {"EnableManagedSpotTraining": False, "EnableNetworkIsolation": True, "Environment": {}}


def test_a_job_may_have_the_fields_that_aws_has_published(local: RunningSageMaker) -> None:
    request = training_request("published-fields", **FULL_JOB)
    assert local.service.tasks.run(TRAIN, request)["TrainingJobStatus"] == "Completed"


@pytest.mark.parametrize(
    ("operation", "arguments", "field"),
    [
        ("createTrainingJob.sync", training_request("f", RetryStrategy={}), "RetryStrategy"),
        ("createTrainingJob.sync", training_request("f", Tags=[{"key": "a"}]), "key"),
        (
            "updateEndpoint",
            {"EndpointName": "e", "EndpointConfigName": "c", "DeploymentConfig": {}},
            "DeploymentConfig",
        ),
        (
            "createEndpointConfig",
            {"EndpointConfigName": "c", "ProductionVariants": [], "DataCaptureConfig": {}},
            "DataCaptureConfig",
        ),
    ],
)
def test_a_field_that_the_optimized_integration_does_not_take_is_a_runtime_error(
    local: RunningSageMaker, operation: str, arguments: dict[str, Any], field: str
) -> None:
    with pytest.raises(TaskFailure) as caught:
        local.service.tasks.run(f"{PREFIX}{operation}", arguments)
    assert caught.value.error == "States.Runtime"
    assert f'The field "{field}" is not supported by Step Functions' in caught.value.cause
