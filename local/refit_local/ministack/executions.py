"""Step Functions: stop an execution with all its tasks, on StopExecution and on a timeout.

AWS        a stopped execution stops its jobs, stays ABORTED, and neither retries nor catches;
           TimeoutSeconds of the machine ends an execution as TIMED_OUT; TimeoutSeconds of a task
           stops the task
MiniStack  lets tasks and waits run on, overwrites ABORTED with FAILED, and has no execution timeout
Source     Step Functions API Reference, StopExecution; Amazon States Language, "Top-level fields"
           and "Task State"
"""

from __future__ import annotations

import contextvars
import json
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from refit_local.ministack.execution_scope import (
    Scope,
    current_scope,
    enter_execution,
    stopped_error,
)
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit_local.ministack.hooks import Document

_scopes: dict[str, Scope] = {}


def install() -> None:
    """Install these patches into MiniStack."""
    Hook.RUN_EXECUTION.wrap(_run_execution)
    Hook.STOP_EXECUTION.wrap(_stop_execution)
    Hook.FAIL_EXECUTION.wrap(_fail_execution)
    Hook.INVOKE_RESOURCE.wrap(_invoke_resource)
    Hook.INVOKE_WITH_TIMEOUT.wrap(_invoke_with_timeout)
    Hook.FIND_CATCHER.wrap(_find_catcher)
    Hook.SLEEP.put(sleep)


def sleep(seconds: float) -> None:
    """Wait in a state; raise as soon as the execution is stopped."""
    if seconds > 0 and current_scope().wait(seconds):
        raise stopped_error()


def _run_execution(original: Callable[[str], None], arn: str) -> None:
    execution = Hook.EXECUTIONS.get().get(arn)
    if execution is None:
        return
    scope = _scopes[arn] = enter_execution(execution)
    limit_s = _execution_limit_s(execution)
    timer = None
    if limit_s is not None:
        in_context = contextvars.copy_context().run
        timer = threading.Timer(limit_s, in_context, (_time_out, execution, scope))
        timer.daemon = True
        timer.start()
    try:
        original(arn)
    finally:
        if timer is not None:
            timer.cancel()
        _scopes.pop(arn, None)


def _execution_limit_s(execution: Document) -> float | None:
    machine = Hook.STATE_MACHINES.get().get(execution["stateMachineArn"])
    if machine is None:
        return None
    try:
        definition = json.loads(machine["definition"])
    except ValueError:
        return None
    limit = definition.get("TimeoutSeconds")
    return float(limit) if limit is not None else None


def _time_out(execution: Document, scope: Scope) -> None:
    if execution["status"] != "RUNNING":
        return
    execution["status"] = "TIMED_OUT"
    execution["stopDate"] = datetime.now(UTC).isoformat(timespec="milliseconds")
    execution["error"] = "States.Timeout"
    Hook.ADD_HISTORY.get()(
        execution,
        "ExecutionTimedOut",
        {"executionTimedOutEventDetails": {"error": "States.Timeout"}},
    )
    Hook.EMIT_STATUS.get()(execution)
    scope.stop()


def _stop_execution(original: Callable[[Document], Any], request: Document) -> Any:
    arn = request.get("executionArn", "")
    response = original(request)
    execution = Hook.EXECUTIONS.get().get(arn)
    scope = _scopes.get(arn)
    if scope is not None and execution is not None and execution["status"] == "ABORTED":
        # This runs on the event loop, and stopping a job sends a request to it: use a thread.
        in_context = contextvars.copy_context().run
        threading.Thread(target=in_context, args=(scope.stop,), daemon=True).start()
    return response


def _fail_execution(
    original: Callable[..., None], execution: Document, error: str, cause: str
) -> None:
    if execution["status"] == "RUNNING":
        original(execution, error, cause)


def _invoke_resource(original: Callable[..., Any], resource: str, arguments: Any) -> Any:
    if current_scope().stopped:
        raise stopped_error()
    return original(resource, arguments)


def _invoke_with_timeout(
    original: Callable[..., Any], resource: str, arguments: Any, limit_s: float
) -> Any:
    with current_scope().inner() as scope:
        try:
            return original(resource, arguments, limit_s)
        except Hook.EXECUTION_ERROR.get() as failure:
            if failure.error == "States.Timeout":
                scope.stop()
            raise


def _find_catcher(
    original: Callable[..., Document | None], catchers: list[Document], error: str
) -> Document | None:
    if current_scope().stopped:
        return None
    return original(catchers, error)
