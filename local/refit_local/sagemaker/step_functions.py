"""The optimized Step Functions integrations of SageMaker, with their outputs and failures (B8)."""

from __future__ import annotations

import json
import threading
import uuid
from typing import TYPE_CHECKING, Any

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
_JOBS = {"createTrainingJob": "TrainingJob", "createTransformJob": "TransformJob"}
_CALLS = ("createModel", "createEndpointConfig", "createEndpoint", "updateEndpoint")
OPERATIONS = (*_JOBS, *_CALLS)
_NAMED_ERRORS: dict[type[ApiError], str] = {
    ResourceInUse: "ResourceInUseException",
    ResourceLimitExceeded: "ResourceLimitExceededException",
    ResourceNotFound: "ResourceNotFoundException",
    ConflictException: "ConflictException",
}


class TaskFailure(Exception):
    """When a task's state fails: an error name to match on, and a cause."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause


class SageMakerTasks:
    """Runs `arn:aws:states:::sagemaker:<operation>` and `….sync` tasks.

    Args:
        call: carries out an operation of the control plane.
        ended: whether the local SageMaker is shutting down.
        describe_as_event: returns a job's event detail, given (`TrainingJob`, name).
    """

    def __init__(
        self,
        call: Callable[[str, dict[str, Any]], dict[str, Any]],
        ended: Callable[[], bool],
        describe_as_event: Callable[[str, str], dict[str, Any]],
    ) -> None:
        self._call = call
        self._ended = ended
        self._describe_as_event = describe_as_event

    def run(
        self,
        resource: str,
        arguments: dict[str, Any],
        execution_arn: str = "",
        stopped: Callable[[], bool] = lambda: False,
    ) -> dict[str, Any]:
        """Do a task and return its output.

        Args:
            resource: the Resource of the state, with `.sync` or without.
            arguments: its Parameters or Arguments.
            execution_arn: goes into the tags of a job, as on AWS.
            stopped: whether the execution was stopped; the job is stopped then.

        Raises:
            TaskFailure: when the API refuses, or a `.sync` job does not complete.
        """
        operation, _, pattern = resource.removeprefix(PREFIX).partition(".")
        patterns = ("", "sync") if operation in _JOBS else ("",)
        if operation not in OPERATIONS or pattern not in patterns:
            raise TaskFailure(
                "States.Runtime",
                f"The local SageMaker does not implement {resource} for Step Functions.",
            )
        if operation in _JOBS:
            arguments = {**arguments, "Tags": [*arguments.get("Tags", []), *_tags(execution_arn)]}
        answer = self._called(operation[0].upper() + operation[1:], arguments)
        if pattern != "sync":
            return answer
        kind = _JOBS[operation]
        return self._awaited(kind, arguments[f"{kind}Name"], stopped)

    def stop(self, resource: str, arguments: dict[str, Any]) -> None:
        """Stop the job of a `.sync` task from another thread; it does not wait for the end."""
        operation, _, pattern = resource.removeprefix(PREFIX).partition(".")
        name = arguments.get(f"{_JOBS.get(operation, '')}Name")
        if pattern == "sync" and isinstance(name, str):
            self._stop_job(_JOBS[operation], name)

    def _awaited(self, kind: str, name: str, stopped: Callable[[], bool]) -> dict[str, Any]:
        pause = threading.Event()
        asked_to_stop = False
        while True:
            detail = self._describe_as_event(kind, name)
            status = detail.get(f"{kind}Status", "Failed")
            if status == "Completed":
                return detail
            if status in ("Failed", "Stopped") or self._ended():
                raise TaskFailure("States.TaskFailed", json.dumps(detail))
            if stopped() and not asked_to_stop:
                asked_to_stop = True
                self._stop_job(kind, name)
            pause.wait(_POLL_S)

    def _stop_job(self, kind: str, name: str) -> None:
        try:
            self._call(f"Stop{kind}", {f"{kind}Name": name})
        except (ResourceNotFound, ValidationException):
            # It has ended by itself, or was never created.
            return

    def _called(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._call(operation, arguments)
        except ApiError as error:
            name = _NAMED_ERRORS.get(type(error), "AmazonSageMakerException")
            cause = (
                f"{error.message} (Service: AmazonSageMaker; Status Code: {error.status}; "
                f"Error Code: {error.code}; Request ID: {uuid.uuid4()}; Proxy: null)"
            )
            raise TaskFailure(f"SageMaker.{name}", cause) from error


def _tags(execution_arn: str) -> list[dict[str, str]]:
    managed = [{"Key": "MANAGED_BY_AWS", "Value": "STARTED_BY_STEP_FUNCTIONS"}]
    if execution_arn:
        managed.append({"Key": "AWS_STEP_FUNCTIONS_EXECUTION_ARN", "Value": execution_arn})
    return managed
