"""Which failures of a deployment are AWS's own, so that they are repeated and reject no version."""

from __future__ import annotations

import pytest
from refit.domain.pipeline.failure import Failure
from refit.domain.pipeline.failures_of_aws import (
    is_failure_of_aws,
    is_reason_of_aws,
    undeployed_message,
)


@pytest.mark.parametrize(
    "reason",
    [
        "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity "
        "error. Please retry using a different ML instance type.",
        "CapacityError: Unable to provision requested ML compute capacity. Please retry.",
        "Request to service failed. If failure persists after retry, contact customer support.",
        "InternalServerError: We encountered an internal error. Please try again.",
        "Update to endpoint config refit-a-v2 failed and was rolled back: CapacityError: none",
        "",
        None,
    ],
)
def test_lack_of_capacity_and_faults_of_sagemaker_are_reasons_of_aws(reason: str | None) -> None:
    assert is_reason_of_aws(reason)


@pytest.mark.parametrize(
    "reason",
    [
        "The primary container for production variant v2 did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint.",
        'Failed to extract model data archive from URL "s3://b/m.tar.gz" for container "c".',
        "Please make sure all images included in the model for the production variant v2 exist, "
        "and that the execution role used to create the model has permissions to access them.",
        "ClientError: the container ended with exit code 137 (out of memory).",
    ],
)
def test_what_the_model_or_its_container_causes_is_no_reason_of_aws(reason: str) -> None:
    assert not is_reason_of_aws(reason)


@pytest.mark.parametrize(
    "failure",
    [
        Failure("EndpointNotProvisioned", "endpoint e is Failed: CapacityError: no instance."),
        Failure("SageMaker.ResourceLimitExceededException", "The account-level service limit …"),
        Failure("SageMaker.SageMakerException", "Rate exceeded (Service: SageMaker, …)"),
        Failure("SageMaker.SageMakerException", "internal (Service: S, Status Code: 500, …)"),
        Failure("ServiceThrottled", "DynamoDB asked to slow down"),
        Failure("Lambda.ServiceException", "internal"),
    ],
)
def test_a_deployment_that_aws_failed_is_no_fault_of_its_version(failure: Failure) -> None:
    assert is_failure_of_aws(failure)
    message = undeployed_message("digits", "r1", failure)
    assert message.startswith(f"{failure.message.removesuffix('.')}. This is no fault")
    assert message.endswith("refit retry digits --run r1")


@pytest.mark.parametrize(
    "failure",
    [
        Failure("DeploymentRejected", "row 3 differs"),
        Failure("EndpointDidNotStart", "no ping"),
        Failure("SageMaker.SageMakerException", "1 validation error (Status Code: 400, …)"),
        Failure("KeyError", "x"),
    ],
)
def test_what_speaks_against_the_version_rejects_it(failure: Failure) -> None:
    assert not is_failure_of_aws(failure)
    assert undeployed_message("digits", "r1", failure) == failure.message
