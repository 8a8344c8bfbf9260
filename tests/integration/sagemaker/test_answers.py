"""Every answer fits botocore's own model of SageMaker."""

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
)
from refit_local.sagemaker.wire.requests import answer_violations

if TYPE_CHECKING:
    from local_sagemaker import Local

# AWS's model asks for it and AWS's answers for versioned packages do not have it.
NOT_ON_AWS_EITHER = "Value null at 'modelPackageName' failed to satisfy constraint"


class Checked:
    """Calls operations in the process and holds each answer to its shape."""

    def __init__(self, local: Local) -> None:
        self._local = local
        self.operations: set[str] = set()

    def __call__(self, operation: str, **payload: Any) -> dict[str, Any]:
        answer = self._local.service.call(operation, payload)
        violations = answer_violations(operation, answer)
        assert [v for v in violations if not v.startswith(NOT_ON_AWS_EITHER)] == [], operation
        self.operations.add(operation)
        return answer


@pytest.fixture(scope="module")
def call(local: Local) -> Checked:
    put_training_data(local)
    return Checked(local)


def test_every_answer_fits_its_shape(local: Local, call: Checked) -> None:
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
    call("DeleteEndpointConfig", EndpointConfigName="shapes-1")
    call("DeleteModel", ModelName="shapes")
    call("DeleteModelPackage", ModelPackageName=package)
    call("DeleteModelPackageGroup", ModelPackageGroupName="shapes")
    # Stopping is asked of running jobs only and answers nothing.
    assert len(call.operations) == 31
