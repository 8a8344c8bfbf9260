"""Give MiniStack's Step Functions what AWS's have and Refit's state machines rest on.

- the state machine's role is asked before every task (MiniStack asks no role at all)
- a stopped execution stops its running tasks, stays ABORTED, retries and catches nothing
- TimeoutSeconds of an execution ends it as TIMED_OUT; a task whose time is up is stopped
- Parallel: JSONata arguments, output and assign; each branch has its own context; when one branch
  fails the others are stopped
- Retry honours MaxDelaySeconds and JitterStrategy
- Succeed honours a JSONata Output
"""

from __future__ import annotations

import contextvars
import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from refit_local.ministack.hooks import (
    TaskFailed,
    account,
    denial_message,
    role_may,
)
from refit_local.ministack.names import Hook
from refit_local.ministack.permissions import task_permissions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Document = dict[str, Any]


class Scope:
    """What is stopped together: an execution, the branches of a Parallel, a task with a timeout."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._stops: dict[int, Callable[[], None]] = {}

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep; return whether the scope was stopped meanwhile."""
        return self._stopped.wait(seconds)

    def stop(self) -> None:
        """Stop all tasks in here, and let no new one start."""
        with self._lock:
            self._stopped.set()
            stops, self._stops = list(self._stops.values()), {}
        for stop in stops:
            stop()

    @contextmanager
    def running(self, stop: Callable[[], None]) -> Iterator[None]:
        """Have `stop` called when the scope is stopped before the block ends."""
        key = id(stop)
        with self._lock:
            if self._stopped.is_set():
                raise _stopped_error()
            self._stops[key] = stop
        try:
            yield
        finally:
            with self._lock:
                self._stops.pop(key, None)

    @contextmanager
    def inner(self) -> Iterator[Scope]:
        """Have a scope within this one: it can be stopped alone, and is stopped with this one."""
        scope = Scope()
        stop = scope.stop
        with self.running(stop):
            token = _scope.set(scope)
            try:
                yield scope
            finally:
                _scope.reset(token)


_scope: contextvars.ContextVar[Scope | None] = contextvars.ContextVar("scope", default=None)
_execution: contextvars.ContextVar[Document | None] = contextvars.ContextVar(
    "execution", default=None
)
_scopes: dict[str, Scope] = {}


def _current_scope() -> Scope:
    return _scope.get() or Scope()


def stop_signal() -> Callable[[], bool]:
    """Return what says whether the task running in this thread has been stopped."""
    scope = _current_scope()
    return lambda: scope.stopped


def install() -> None:
    """Hang all of it into MiniStack. Called once, before the first request."""
    Hook.RUN_EXECUTION.wrap(_run_execution)
    Hook.STOP_EXECUTION.wrap(_stop_execution)
    Hook.FAIL_EXECUTION.wrap(_fail_execution)
    Hook.EXECUTE_TASK.wrap(_execute_task)
    Hook.INVOKE_RESOURCE.wrap(_invoke_resource)
    Hook.INVOKE_WITH_TIMEOUT.wrap(_invoke_with_timeout)
    Hook.FIND_RETRIER.wrap(_find_retrier)
    Hook.FIND_CATCHER.wrap(_find_catcher)
    Hook.SLEEP.put(_sleep)
    Hook.PARALLEL.put(_run_parallel)
    Hook.OUTPUT_PATH.wrap(_output_path)


def register_task(
    resource: str,
    start: Callable[[str, Document, str], Any],
    stop: Callable[[str, Document], None],
) -> None:
    """Serve an optimized Step Functions integration.

    Args:
        resource: e.g. `arn:aws:states:::sagemaker:createTrainingJob`; serves `.sync` as well.
        start: called with the state's whole Resource, its arguments and the execution's ARN, in a
            thread of the execution; returns the result when the task has ended, or raises
            TaskFailed.
        stop: called with Resource and arguments from another thread when the execution is stopped,
            the task's time is up, or another branch of its Parallel has failed. It does not wait.
    """
    Hook.SERVICE_TASKS.get()[resource] = partial(_run_stoppable, start, stop)


def _run_stoppable(
    start: Callable[[str, Document, str], Any],
    stop: Callable[[str, Document], None],
    resource: str,
    arguments: Document,
) -> Any:
    """Run a registered task so that stopping the execution stops it."""
    execution = _execution.get() or {}
    with _current_scope().running(partial(stop, resource, arguments)):
        try:
            return start(resource, arguments, execution.get("executionArn", ""))
        except TaskFailed as failure:
            raise _error(failure.error, failure.cause) from failure


def _error(error: str, cause: str) -> Exception:
    raised: Exception = Hook.EXECUTION_ERROR.get()(error, cause)
    return raised


def _stopped_error() -> Exception:
    return _error("States.Runtime", "the execution was stopped")


def _run_execution(original: Callable[[str], None], arn: str) -> None:
    execution = Hook.EXECUTIONS.get().get(arn)
    if execution is None:
        return
    scope = _scopes[arn] = Scope()
    _scope.set(scope)
    _execution.set(execution)
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
        # This is the event loop, and stopping a job asks it back.
        in_context = contextvars.copy_context().run
        threading.Thread(target=in_context, args=(scope.stop,), daemon=True).start()
    return response


def _fail_execution(
    original: Callable[..., None], execution: Document, error: str, cause: str
) -> None:
    if execution["status"] == "RUNNING":
        original(execution, error, cause)


def _execute_task(
    original: Callable[..., Any], state: Document, data: Any, execution: Document, context: Document
) -> Any:
    limit = state.get("TimeoutSeconds")
    if isinstance(limit, str):
        seconds = Hook.JSONATA_FIELD.get()(state, "TimeoutSeconds", "number", data, context)
        state = {**state, "TimeoutSeconds": seconds}
    return original(state, data, execution, context)


def _invoke_resource(original: Callable[..., Any], resource: str, arguments: Any) -> Any:
    execution = _execution.get()
    if _current_scope().stopped:
        raise _stopped_error()
    if execution is not None:
        _check_role(execution, resource, arguments)
    return original(resource, arguments)


_DENIED = {
    "lambda": "Lambda.AWSLambdaException",
    "sagemaker": "SageMaker.AmazonSageMakerException",
    "sns": "SNS.AuthorizationErrorException",
    "sqs": "SQS.AmazonSQSException",
    "dynamodb": "DynamoDB.AmazonDynamoDBException",
    "events": "EventBridge.AccessDeniedException",
    "states": "StepFunctions.AccessDeniedException",
    "iam": "SageMaker.AmazonSageMakerException",
}


def _check_role(execution: Document, resource: str, arguments: Any) -> None:
    machine = Hook.STATE_MACHINES.get().get(execution["stateMachineArn"])
    if machine is None:
        return
    role = machine["roleArn"]
    for permission in task_permissions(resource, arguments):
        if not role_may(role, permission):
            name = role.rsplit("/", 1)[-1]
            principal = f"arn:aws:sts::{account()}:assumed-role/{name}/{execution['name']}"
            error = _DENIED[permission.action.split(":")[0]]
            raise _error(error, denial_message(principal, permission))


def _invoke_with_timeout(
    original: Callable[..., Any], resource: str, arguments: Any, limit_s: float
) -> Any:
    with _current_scope().inner() as scope:
        try:
            return original(resource, arguments, limit_s)
        except Hook.EXECUTION_ERROR.get() as failure:
            if failure.error == "States.Timeout":
                scope.stop()
            raise


def _find_retrier(
    original: Callable[..., tuple[Document | None, int]],
    retriers: list[Document],
    error: str,
    counts: dict[int, int],
) -> tuple[Document | None, int]:
    """Choose the retrier and do its waiting, which MiniStack caps at a minute without jitter."""
    if _current_scope().stopped:
        return None, -1
    retrier, index = original(retriers, error, counts)
    if retrier is None:
        return None, -1
    delay_s = retrier.get("IntervalSeconds", 1) * (
        retrier.get("BackoffRate", 2.0) ** counts.get(index, 0)
    )
    delay_s = min(delay_s, retrier.get("MaxDelaySeconds", delay_s))
    if retrier.get("JitterStrategy") == "FULL":
        delay_s = random.uniform(0, delay_s)
    _sleep(delay_s)
    return {**retrier, "IntervalSeconds": 0}, index


def _find_catcher(
    original: Callable[..., Document | None], catchers: list[Document], error: str
) -> Document | None:
    if _current_scope().stopped:
        return None
    return original(catchers, error)


def _sleep(seconds: float) -> None:
    scope = _current_scope()
    if seconds > 0 and scope.wait(seconds):
        raise _stopped_error()


def _run_parallel(state: Document, data: Any, execution: Document, context: Document) -> Any:
    jsonata = Hook.QUERY_LANGUAGE.get()(state, context) == "JSONata"
    if jsonata:
        effective = Hook.JSONATA_ARGUMENTS.get()(state, data, context)
    else:
        selected = Hook.INPUT_PATH.get()(state, data, context)
        effective = Hook.PARAMETERS.get()(state, selected, context)
    results = _run_branches(state.get("Branches", []), effective, execution, context)
    if jsonata:
        output = Hook.JSONATA_OUTPUT.get()(state, data, context, result=results, default=results)
        Hook.ASSIGN.get()(state, data, context, result=results)
    else:
        selected = Hook.RESULT_SELECTOR.get()(state, results)
        placed = Hook.RESULT_PATH.get()(state, data, selected)
        output = Hook.OUTPUT_PATH.get()(state, placed, context)
    return output, Hook.NEXT_OR_END.get()(state)


def _run_branches(
    branches: list[Document], effective: Any, execution: Document, context: Document
) -> list[Any]:
    def run(branch: Document) -> Any:
        # A branch has its own State and variables; MiniStack lets them share one.
        own = {**context, "variables": dict(context.get("variables", {}))}
        return Hook.SUB_MACHINE.get()(
            branch["States"], branch["StartAt"], effective, execution, own
        )

    with _current_scope().inner() as scope, ThreadPoolExecutor(max(1, len(branches))) as pool:
        runs = [pool.submit(contextvars.copy_context().run, run, branch) for branch in branches]
        first_failure = None
        for ended in as_completed(runs):
            first_failure = first_failure or ended.exception()
            if first_failure is not None:
                scope.stop()
    if first_failure is not None:
        raise first_failure
    return [ended.result() for ended in runs]


def _output_path(
    original: Callable[..., Any], state: Document, data: Any, context: Document | None = None
) -> Any:
    if state.get("Type") == "Succeed" and Hook.QUERY_LANGUAGE.get()(state, context) == "JSONata":
        return Hook.JSONATA_OUTPUT.get()(state, data, context, default=data)
    return original(state, data, context)
