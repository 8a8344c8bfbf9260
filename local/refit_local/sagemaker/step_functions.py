"""The optimized Step Functions integrations of SageMaker, with their outputs and failures.

Source  docs/sagemaker-contract.md, "Events" and "Step Functions"
"""

from __future__ import annotations

import json
import threading
import uuid
from typing import TYPE_CHECKING, Any

from refit_local.sagemaker.integration_fields import OPERATIONS, unsupported_fields
from refit_local.sagemaker.records.job_kinds import TRAINING, TRANSFORM, TUNING, JobKind
from refit_local.sagemaker.wire.errors import (
    ApiError,
    ConflictException,
    ResourceInUse,
    ResourceLimitExceeded,
    ResourceNotFound,
    ValidationException,
)

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX = "arn:aws:states:::sagemaker:"
_POLL_S = 0.2
_JOBS = {f"create{kind.prefix}": kind for kind in (TRAINING, TRANSFORM, TUNING)}
_NAMED_ERRORS: dict[type[ApiError], str] = {
    ResourceInUse: "ResourceInUseException",
    ResourceLimitExceeded: "ResourceLimitExceededException",
    ResourceNotFound: "ResourceNotFoundException",
    ConflictException: "ConflictException",
}


class TaskFailure(Exception):
    """When a task fails.

    Attributes:
        error: the error name that Retry and Catch match.
        cause: the text or JSON of the cause.
    """

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause


class SageMakerTasks:
    """Runs tasks with the resource `arn:aws:states:::sagemaker:<operation>` or `….sync`.

    Args:
        call: carries out an operation of the control plane.
        service_ended: whether the local SageMaker is shutting down.
        job_detail: returns the event detail of a job, given its kind and name.
    """

    def __init__(
        self,
        call: Callable[[str, dict[str, Any]], dict[str, Any]],
        service_ended: Callable[[], bool],
        job_detail: Callable[[JobKind, str], dict[str, Any]],
    ) -> None:
        self._call = call
        self._service_ended = service_ended
        self._job_detail = job_detail

    def run(
        self,
        resource: str,
        arguments: dict[str, Any],
        execution_arn: str = "",
        stopped: Callable[[], bool] = lambda: False,
    ) -> dict[str, Any]:
        """Run a task and return its output.

        Args:
            resource: the Resource of the state.
            arguments: the Parameters or Arguments of the state.
            execution_arn: the execution, for a tag of the job.
            stopped: whether the execution was stopped; a `.sync` job is then stopped.

        Raises:
            TaskFailure: when the integration does not take a field, the API answers an error, or a
                `.sync` job does not complete.
        """
        operation, _, pattern = resource.removeprefix(PREFIX).partition(".")
        patterns = ("", "sync") if operation in _JOBS else ("",)
        if operation not in OPERATIONS or pattern not in patterns:
            raise TaskFailure(
                "States.Runtime",
                f"The local SageMaker does not implement {resource} for Step Functions.",
            )
        unsupported = unsupported_fields(operation, arguments)
        if unsupported:
            raise TaskFailure("States.Runtime", _refusal(arguments, unsupported))
        if operation in _JOBS:
            arguments = {**arguments, "Tags": [*arguments.get("Tags", []), *_tags(execution_arn)]}
        answer = self._call_api(operation[0].upper() + operation[1:], arguments)
        if pattern != "sync":
            return answer
        kind = _JOBS[operation]
        return self._wait_for_job(kind, arguments[kind.name_member], stopped)

    def stop(self, resource: str, arguments: dict[str, Any]) -> None:
        """Stop the job of a `.sync` task from another thread, without waiting for its end."""
        operation, _, pattern = resource.removeprefix(PREFIX).partition(".")
        kind = _JOBS.get(operation)
        if kind is None or pattern != "sync":
            return
        name = arguments.get(kind.name_member)
        if isinstance(name, str):
            self._stop_job(kind, name)

    def _wait_for_job(
        self, kind: JobKind, name: str, stopped: Callable[[], bool]
    ) -> dict[str, Any]:
        pause = threading.Event()
        stop_requested = False
        while True:
            detail = self._job_detail(kind, name)
            status = detail.get(kind.status_member, "Failed")
            if status == "Completed":
                return detail
            if status in ("Failed", "Stopped") or self._service_ended():
                raise TaskFailure("States.TaskFailed", json.dumps(detail))
            if stopped() and not stop_requested:
                stop_requested = True
                self._stop_job(kind, name)
            pause.wait(_POLL_S)

    def _stop_job(self, kind: JobKind, name: str) -> None:
        try:
            self._call(f"Stop{kind.prefix}", {kind.name_member: name})
        except (ResourceNotFound, ValidationException):
            # The job has ended, or it was never created.
            return

    def _call_api(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._call(operation, arguments)
        except ApiError as error:
            name = _NAMED_ERRORS.get(type(error), "AmazonSageMakerException")
            cause = (
                f"{error.message} (Service: AmazonSageMaker; Status Code: {error.status}; "
                f"Error Code: {error.code}; Request ID: {uuid.uuid4()}; Proxy: null)"
            )
            raise TaskFailure(f"SageMaker.{name}", cause) from error


def _refusal(arguments: dict[str, Any], unsupported: list[str]) -> str:
    # The form of the cause: aws/aws-step-functions-data-science-sdk-python, issue 15.
    fields = ", ".join(
        f'The field "{name}" is not supported by Step Functions' for name in unsupported
    )
    return (
        f"The Parameters '{json.dumps(arguments)}' could not be used to start the Task: [{fields}]"
    )


def _tags(execution_arn: str) -> list[dict[str, str]]:
    managed = [{"Key": "MANAGED_BY_AWS", "Value": "STARTED_BY_STEP_FUNCTIONS"}]
    if execution_arn:
        managed.append({"Key": "AWS_STEP_FUNCTIONS_EXECUTION_ARN", "Value": execution_arn})
    return managed
