"""Every answer fits botocore's service model of SageMaker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from local_sagemaker import (
    BUCKET,
    IMAGE,
    ROLE,
    feature_rows,
    put_training_data,
    training_request,
    tuning_request,
)
from refit_local.sagemaker.wire.requests import service_model
from refit_local.sagemaker.wire.shapes import ShapeValidator

if TYPE_CHECKING:
    from local_sagemaker import RunningSageMaker

# The model requires it, but AWS's answers for versioned packages do not have it.
NOT_ON_AWS_EITHER = "Value null at 'modelPackageName' failed to satisfy constraint"


class CheckedCalls:
    """Calls operations and compares each answer with its shape."""

    def __init__(self, local: RunningSageMaker) -> None:
        self._local = local
        self.operations: set[str] = set()

    def __call__(self, operation: str, **payload: Any) -> dict[str, Any]:
        answer = self._local.service.call(operation, payload)
        violations = violations_of(operation, answer)
        assert [v for v in violations if not v.startswith(NOT_ON_AWS_EITHER)] == [], operation
        self.operations.add(operation)
        return answer


def violations_of(operation: str, answer: dict[str, Any]) -> list[str]:
    shape = service_model().operation_model(operation).output_shape
    if shape is None:
        return [f"unexpected member {name}" for name in answer]
    validator = ShapeValidator()
    validator.value(shape, answer)
    return validator.violations


@pytest.fixture(scope="module")
def call(local: RunningSageMaker) -> CheckedCalls:
    put_training_data(local)
    return CheckedCalls(local)


def test_every_answer_fits_its_shape(local: RunningSageMaker, call: CheckedCalls) -> None:
    call("CreateTrainingJob", **training_request("shapes"))
    call("DescribeTrainingJob", TrainingJobName="shapes")
    assert local.trained("shapes").get("FailureReason") is None
    job = call("DescribeTrainingJob", TrainingJobName="shapes")
    call("ListTrainingJobs")
    model_data = job["ModelArtifacts"]["S3ModelArtifacts"]

    containers = [{"Image": IMAGE, "ModelDataUrl": model_data}]
    call("CreateModelPackageGroup", ModelPackageGroupName="shapes")
    call("DescribeModelPackageGroup", ModelPackageGroupName="shapes")
    call("ListModelPackageGroups")
    package = call(
        "CreateModelPackage",
        ModelPackageGroupName="shapes",
        InferenceSpecification={"Containers": containers},
        ModelApprovalStatus="Approved",
    )["ModelPackageArn"]
    call("UpdateModelPackage", ModelPackageArn=package, ApprovalDescription="good")
    call("DescribeModelPackage", ModelPackageName=package)
    call("ListModelPackages", ModelPackageGroupName="shapes")

    call(
        "CreateModel",
        ModelName="shapes",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"ModelPackageName": package},
    )
    call("DescribeModel", ModelName="shapes")
    call("ListModels")
    arn = call("DescribeModel", ModelName="shapes")["ModelArn"]
    call("AddTags", ResourceArn=arn, Tags=[{"Key": "k", "Value": "v"}])
    call("ListTags", ResourceArn=arn)
    call("DeleteTags", ResourceArn=arn, TagKeys=["k"])

    local.put("shapes/in/rows.csv", feature_rows(3))
    call(
        "CreateTransformJob",
        TransformJobName="shapes",
        ModelName="shapes",
        TransformInput={
            "DataSource": {
                "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/shapes/in/"}
            },
            "ContentType": "text/csv",
        },
        TransformOutput={"S3OutputPath": f"s3://{BUCKET}/shapes/out/"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
    )
    local.transformed("shapes")
    call("DescribeTransformJob", TransformJobName="shapes")
    call("ListTransformJobs")

    variant = {
        "VariantName": "v1",
        "ModelName": "shapes",
        "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5},
    }
    for name in ("shapes-1", "shapes-2"):
        call("CreateEndpointConfig", EndpointConfigName=name, ProductionVariants=[variant])
    call("DescribeEndpointConfig", EndpointConfigName="shapes-1")
    call("ListEndpointConfigs")
    call("CreateEndpoint", EndpointName="shapes", EndpointConfigName="shapes-1")
    call("DescribeEndpoint", EndpointName="shapes")
    local.settled("shapes")
    call("DescribeEndpoint", EndpointName="shapes")
    call("UpdateEndpoint", EndpointName="shapes", EndpointConfigName="shapes-2")
    call("DescribeEndpoint", EndpointName="shapes")
    local.settled("shapes")
    call("ListEndpoints")

    call("DeleteEndpoint", EndpointName="shapes")
    deleted = local.sagemaker.get_waiter("endpoint_deleted")
    deleted.wait(EndpointName="shapes", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    call("DeleteEndpointConfig", EndpointConfigName="shapes-1")
    call("DeleteModel", ModelName="shapes")
    call("DeleteModelPackage", ModelPackageName=package)
    call("DeleteModelPackageGroup", ModelPackageGroupName="shapes")
    # Not called here: StopTrainingJob and StopTransformJob, whose answers are empty.
    assert len(call.operations) == 31


def test_every_answer_about_a_tuning_job_fits_its_shape(
    local: RunningSageMaker, call: CheckedCalls
) -> None:
    name = {"HyperParameterTuningJobName": "shapes"}
    call("CreateHyperParameterTuningJob", **tuning_request("shapes", jobs=2))
    call("DescribeHyperParameterTuningJob", **name)
    call("ListTrainingJobsForHyperParameterTuningJob", **name)
    local.tuned("shapes")
    call("DescribeHyperParameterTuningJob", **name)
    trials = call("ListTrainingJobsForHyperParameterTuningJob", **name)["TrainingJobSummaries"]
    call("DescribeTrainingJob", TrainingJobName=trials[0]["TrainingJobName"])
    call("ListHyperParameterTuningJobs")
    call("DeleteHyperParameterTuningJob", **name)
