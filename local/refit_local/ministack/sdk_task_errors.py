"""Step Functions: name the errors of `aws-sdk:` tasks as AWS does.

AWS        names an error that the API's model has after it, with the suffix Exception:
           `SageMaker.ResourceLimitExceededException`. All others, as a ValidationException, a
           throttling, an AccessDeniedException and an internal failure, have the name of the
           service: `SageMaker.SageMakerException`. Only the cause tells them apart
MiniStack  appends every error code to the service
Source     Step Functions Developer Guide, "Learning to use AWS service SDK integrations"; the cause
           is AwsServiceException.getMessage of aws-sdk-java-v2. That errors without a model get the
           service's name follows from that SDK, which Step Functions uses (not documented)
"""

from __future__ import annotations

import uuid
from functools import cache
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.model import StructureShape

from refit_local.ministack.execution_scope import execution_error
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable

_RESOURCE = "arn:aws:states:::aws-sdk:sagemaker:"
_SERVICE = "SageMaker"
_SERVER_FAULTS = {"InternalFailure": 500, "ServiceUnavailable": 503}


def install() -> None:
    """Install this patch into MiniStack."""
    Hook.INVOKE_RESOURCE.wrap(_invoke_resource)


def sdk_error(code: str, message: str) -> Exception:
    """Return the exception that fails an `aws-sdk:` task of SageMaker.

    Args:
        code: the error code of the API, such as `ValidationException`.
        message: the message of the API.
    """
    status = _SERVER_FAULTS.get(code, 400)
    return execution_error(
        f"{_SERVICE}.{_error_name(code)}",
        f"{message} (Service: {_SERVICE}, Status Code: {status}, Request ID: {uuid.uuid4()})",
    )


def _error_name(code: str) -> str:
    if code not in _modelled_errors():
        return f"{_SERVICE}Exception"
    return code if code.endswith("Exception") else f"{code}Exception"


@cache
def _modelled_errors() -> frozenset[str]:
    model = botocore.session.get_session().get_service_model("sagemaker")
    shapes = (shape for shape in model.error_shapes if isinstance(shape, StructureShape))
    return frozenset(shape.error_code for shape in shapes)


def _invoke_resource(original: Callable[..., Any], resource: str, arguments: Any) -> Any:
    try:
        return original(resource, arguments)
    except Hook.EXECUTION_ERROR.get() as failure:
        service, _, code = failure.error.partition(".")
        if not resource.startswith(_RESOURCE) or service != _SERVICE:
            raise
        raise sdk_error(code, failure.cause) from failure
