"""Step Functions: run optimized integrations (`.sync`) of a service of Refit's own.

AWS        StopExecution, a timeout and a failed branch of a Parallel stop the job of a `.sync` task
MiniStack  has no SageMaker integration
Source     Step Functions Developer Guide, "Run a Job (.sync)"
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from refit_local.ministack.execution_scope import (
    current_execution,
    current_scope,
    execution_error,
)
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit_local.ministack.hooks import Document


class TaskFailed(Exception):
    """Raised by a task to fail its state with this error name and cause."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause


def register_task(
    resource: str,
    start: Callable[[str, Document, str], Any],
    stop: Callable[[str, Document], None],
) -> None:
    """Serve an optimized Step Functions integration.

    Args:
        resource: e.g. `arn:aws:states:::sagemaker:createTrainingJob`; serves `.sync` as well.
        start: called with the state's Resource, its arguments and the execution's ARN, in a thread
            of the execution. It returns the result when the task has ended, or raises TaskFailed.
        stop: called with Resource and arguments from another thread when the execution is stopped,
            the task times out, or another branch of its Parallel has failed. It does not wait.
    """
    Hook.SERVICE_TASKS.get()[resource] = partial(_run_stoppable, start, stop)


def _run_stoppable(
    start: Callable[[str, Document, str], Any],
    stop: Callable[[str, Document], None],
    resource: str,
    arguments: Document,
) -> Any:
    execution = current_execution() or {}
    with current_scope().running(partial(stop, resource, arguments)):
        try:
            return start(resource, arguments, execution.get("executionArn", ""))
        except TaskFailed as failure:
            raise execution_error(failure.error, failure.cause) from failure
