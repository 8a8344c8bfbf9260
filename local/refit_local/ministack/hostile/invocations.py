"""Tasks of state machines and functions that are throttled, or whose result is lost.

AWS        throttles invocations; may lose the result of a function that has run, so that the task
           fails with Lambda.SdkClientException and its Retry runs the function again; throttles the
           calls of a task to SageMaker; keeps messages and events whose function is throttled
MiniStack  invokes each function at once
Source     Step Functions Developer Guide, "Best practices for Step Functions", "Handle transient
           Lambda service exceptions"; Lambda Developer Guide, "Understanding Lambda function
           scaling"; Step Functions Developer Guide, "Handling errors in Step Functions workflows"
"""

from __future__ import annotations

import uuid
from functools import partial
from typing import TYPE_CHECKING, Any

from refit_local.ministack.execution_scope import execution_error
from refit_local.ministack.hostile.faults import Faults, Kind
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from refit_local.ministack.hooks import Response

_SAGEMAKER_TASK = "arn:aws:states:::sagemaker:"


def install(faults: Faults) -> None:
    """Install these patches into MiniStack."""
    Hook.TASK_OF_FUNCTION.wrap(partial(_call_function, faults))
    Hook.INVOKE_RESOURCE.wrap(partial(_run_task, faults))
    Hook.GATEWAY_PROXY.wrap(partial(_call_from_gateway, faults))


def _call_function(faults: Faults, original: Callable[..., Any], *call: Any) -> Any:
    if faults.strikes(Kind.THROTTLED_TASK):
        raise execution_error("Lambda.TooManyRequestsException", "Rate Exceeded.")
    result = original(*call)
    if faults.strikes(Kind.LOST_TASK):
        raise execution_error("Lambda.SdkClientException", "Unable to execute HTTP request")
    return result


def _run_task(faults: Faults, original: Callable[..., Any], resource: str, *arguments: Any) -> Any:
    if resource.startswith(_SAGEMAKER_TASK) and faults.strikes(Kind.THROTTLED_TASK):
        raise execution_error(
            "SageMaker.AmazonSageMakerException",
            "Rate exceeded (Service: AmazonSageMaker; Status Code: 400; Error Code: "
            f"ThrottlingException; Request ID: {uuid.uuid4()}; Proxy: null)",
        )
    return original(resource, *arguments)


async def _call_from_gateway(
    faults: Faults, original: Callable[..., Awaitable[Response]], *call: Any, **options: Any
) -> Response:
    if faults.strikes(Kind.THROTTLED_FUNCTION):
        refusal: Response = Hook.GATEWAY_ERROR.get()("INTEGRATION_FAILURE", "Internal server error")
        return refusal
    return await original(*call, **options)
