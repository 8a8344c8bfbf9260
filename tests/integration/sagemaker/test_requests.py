"""Requests are checked as on AWS, and unsupported requests are refused."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from local_sagemaker import RunningSageMaker

TRAINING_JOB: dict[str, Any] = {
    "TrainingJobName": "a-job",
    "RoleArn": "arn:aws:iam::123456789012:role/refit",
    "AlgorithmSpecification": {
        "TrainingImage": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5",
        "TrainingInputMode": "File",
    },
    "OutputDataConfig": {"S3OutputPath": "s3://refit-test/out"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
}


def ask(local: RunningSageMaker, target: str, payload: Any) -> tuple[int, dict[str, Any]]:
    """Send a request without the checks of an SDK."""
    address = urlsplit(local.endpoint_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    try:
        headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
        connection.request("POST", "/", json.dumps(payload), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"RoleArn": None},
            "1 validation error detected: Value null at 'roleArn' failed to satisfy constraint: "
            "Member must not be null",
        ),
        (
            {"HyperParametres": {}},
            "1 validation error detected: Value at 'hyperParametres' failed to satisfy "
            "constraint: CreateTrainingJobRequest has no member HyperParametres; did you mean "
            "HyperParameters?",
        ),
        (
            {"TrainingJobName": "under_score"},
            "1 validation error detected: Value 'under_score' at 'trainingJobName' failed to "
            "satisfy constraint: Member must satisfy regular expression pattern: "
            "[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}",
        ),
        (
            {"StoppingCondition": {"MaxRuntimeInSeconds": 0}},
            "1 validation error detected: Value '0' at 'stoppingCondition.maxRuntimeInSeconds' "
            "failed to satisfy constraint: Member must have value greater than or equal to 1",
        ),
        (
            {"InputDataConfig": [{"ChannelName": "train"}]},
            "1 validation error detected: Value null at 'inputDataConfig.1.member.dataSource' "
            "failed to satisfy constraint: Member must not be null",
        ),
        (
            {"OutputDataConfig": {"S3OutputPath": "s3://b/o", "CompressionType": "ZIP"}},
            "1 validation error detected: Value 'ZIP' at 'outputDataConfig.compressionType' "
            "failed to satisfy constraint: Member must satisfy enum value set: [GZIP, NONE]",
        ),
    ],
)
def test_an_invalid_request_gets_the_validation_exception_of_aws(
    local: RunningSageMaker, change: dict[str, Any], message: str
) -> None:
    status, error = ask(local, "SageMaker.CreateTrainingJob", {**TRAINING_JOB, **change})
    assert status == 400
    assert error["__type"] == "ValidationException"
    assert error["message"] == message


def test_all_violations_of_a_request_are_named_at_once(local: RunningSageMaker) -> None:
    _, error = ask(local, "SageMaker.CreateTransformJob", {"TransformJobName": "-"})
    assert error["message"].startswith("5 validation errors detected: ")
    assert "Value null at 'modelName'" in error["message"]


def test_a_number_in_place_of_a_string_is_a_serialization_exception(
    local: RunningSageMaker,
) -> None:
    request = {**TRAINING_JOB, "HyperParameters": {"num_round": 10}}
    status, error = ask(local, "SageMaker.CreateTrainingJob", request)
    assert (status, error["__type"]) == (400, "SerializationException")
    assert error["message"] == "NUMBER_VALUE can not be converted to a String"


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"ResourceConfig": {"InstanceType": "ml.p3.2xlarge"}}, "no instance type ml.p3.2xlarge"),
        (
            {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2}},
            "does not implement a training job on several instances",
        ),
        (
            {"AlgorithmSpecification": {"TrainingImage": "me/linear", "TrainingInputMode": "File"}},
            "does not implement the image me/linear",
        ),
        ({"EnableManagedSpotTraining": True}, "Invalid MaxWaitTimeInSeconds"),
        ({"OutputDataConfig": {"S3OutputPath": "https://b/o"}}, "s3://bucket/key"),
    ],
)
def test_what_the_local_sagemaker_does_not_support_is_refused_by_name(
    local: RunningSageMaker, change: dict[str, Any], part: str
) -> None:
    _, error = ask(local, "SageMaker.CreateTrainingJob", {**TRAINING_JOB, **change})
    assert error["__type"] == "ValidationException"
    assert part in error["message"]


def test_an_operation_that_is_not_implemented_is_named(local: RunningSageMaker) -> None:
    with pytest.raises(ClientError) as caught:
        local.sagemaker.list_pipelines()
    assert "The local SageMaker does not implement ListPipelines." in str(caught.value)


def test_an_unknown_operation_is_refused(local: RunningSageMaker) -> None:
    status, error = ask(local, "SageMaker.CreateUnicorn", {})
    assert (status, error["__type"]) == (400, "ValidationException")
    assert "CreateUnicorn" in error["message"]


def test_a_body_that_is_not_json_is_refused(local: RunningSageMaker) -> None:
    status, error = ask(local, "SageMaker.ListModels", ["not", "a", "structure"])
    assert (status, error["__type"]) == (400, "SerializationException")


@pytest.mark.parametrize(
    ("call", "arguments", "code"),
    [
        ("describe_training_job", {"TrainingJobName": "none"}, "ResourceNotFound"),
        ("describe_transform_job", {"TransformJobName": "none"}, "ResourceNotFound"),
        ("stop_training_job", {"TrainingJobName": "none"}, "ResourceNotFound"),
        ("describe_model", {"ModelName": "none"}, "ValidationException"),
        ("delete_model", {"ModelName": "none"}, "ValidationException"),
        ("describe_endpoint", {"EndpointName": "none"}, "ValidationException"),
        ("delete_endpoint", {"EndpointName": "none"}, "ValidationException"),
        ("describe_endpoint_config", {"EndpointConfigName": "none"}, "ValidationException"),
        ("describe_model_package", {"ModelPackageName": "none"}, "ValidationException"),
        (
            "create_endpoint",
            {"EndpointName": "e", "EndpointConfigName": "none"},
            "ValidationException",
        ),
    ],
)
def test_a_missing_resource_is_an_error_with_the_code_of_aws(
    local: RunningSageMaker, call: str, arguments: dict[str, str], code: str
) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(local.sagemaker, call)(**arguments)
    assert caught.value.response["Error"]["Code"] == code
