"""Tell failures of AWS's own, which pass, from failures of the version that is deployed.

Source  AWS re:Post Knowledge Center, page sagemaker-endpoint-creation-fail, and
        docs/aws-assumptions.md, "SageMaker jobs and deployments"
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from refit.domain.errors import EndpointNotProvisioned, ServiceThrottled

if TYPE_CHECKING:
    from refit.domain.pipeline.failure import Failure

# A FailureReason is a text of SageMaker. It does not quote the container, so no model can write it.
_REASONS_OF_AWS = re.compile(
    r"CapacityError|InsufficientInstanceCapacity|InternalServerError"
    r"|Unable to provision requested ML compute capacity"
    r"|Request to service failed\. If failure persists"
)
_TRANSIENT_CAUSE = re.compile(r"Rate exceeded|[Tt]hrottl|TooManyRequests|Status Code: (429|5\d\d)")
_ERRORS_OF_AWS = frozenset(
    {
        EndpointNotProvisioned.__name__,
        "Lambda.AWSLambdaException",
        "Lambda.ClientExecutionTimeoutException",
        "Lambda.SdkClientException",
        "Lambda.ServiceException",
        "Lambda.TooManyRequestsException",
        "SageMaker.ResourceLimitExceededException",
        "SageMaker.SdkClientException",
        "SageMaker.ThrottlingException",
        ServiceThrottled.__name__,
    }
)


def is_reason_of_aws(reason: str | None) -> bool:
    """Say whether an endpoint failed for a reason of AWS's own, so that it may be tried again.

    A failure without a reason counts as one: a rollback for lack of capacity may have none.

    Args:
        reason: the FailureReason of the endpoint.
    """
    return not reason or _REASONS_OF_AWS.search(reason) is not None


def is_failure_of_aws(failure: Failure) -> bool:
    """Say whether a deployment failed without any fault of its version.

    Such a deployment may be repeated, and its version keeps its approval.
    """
    if failure.name == "SageMaker.SageMakerException":
        return _TRANSIENT_CAUSE.search(failure.message) is not None
    return failure.name in _ERRORS_OF_AWS


def undeployed_message(model: str, run: str, failure: Failure) -> str:
    """Say why the deployment of a run's version failed and, if AWS did, what a person can do."""
    if not is_failure_of_aws(failure):
        return failure.message
    return (
        f"{failure.message.removesuffix('.')}. This is no fault of the version, which keeps its "
        f"approval. To deploy it again without another training: refit retry {model} --run {run}"
    )
