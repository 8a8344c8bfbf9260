"""Step Functions: start an execution once, end a long history, and limit the output of every state.

AWS        answers StartExecution with the name and the input of a running execution as it did
           before; ends an execution with its 25,000th event; takes 256 KiB as the output of a state
           of any type, and as the input of a task after its arguments are evaluated; writes
           TaskStarted, and TaskSubmitted of a `.sync` task, into the history
MiniStack  refuses every name that was used; has no limit of the history and of outputs; leaves both
           events out. It writes no events of the states inside a Parallel, which AWS counts
Source     botocore's model of StartExecution; floci-io/floci, issue 2734 (event 25,000 is the
           failure), and loads/ardere, issue 86 (its error and cause); Step Functions Developer
           Guide, "Handling errors in Step Functions workflows", States.DataLimitExceeded, and
           "Quotas related to task executions"; API Reference, HistoryEvent. The cause of an input
           that is too large is not documented
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from refit_local.ministack.execution_scope import execution_error
from refit_local.ministack.hooks import account, region
from refit_local.ministack.names import Hook
from refit_local.ministack.payload_limits import STATE_BYTES, json_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit_local.ministack.hooks import Document, Response

HISTORY_EVENTS = 25_000


def install() -> None:
    """Install these patches into MiniStack."""
    Hook.START_EXECUTION.wrap(_start_execution)
    Hook.ADD_HISTORY.wrap(_add_event)
    for hook in (
        Hook.EXECUTE_PASS,
        Hook.EXECUTE_CHOICE,
        Hook.EXECUTE_WAIT,
        Hook.EXECUTE_TASK,
        Hook.PARALLEL,
        Hook.MAP,
    ):
        hook.wrap(_execute)
    Hook.INVOKE_RESOURCE.wrap(_invoke_resource)


def _start_execution(original: Callable[[Document], Response], request: Document) -> Response:
    running = _running(request)
    if running is None or running["input"] != request.get("input", "{}"):
        return original(request)
    answer = {"executionArn": running["executionArn"], "startDate": running["startDate"]}
    response: Response = Hook.STATES_RESPONSE.get()(answer)
    return response


def _running(request: Document) -> Document | None:
    """Return the running execution of the standard machine and the name of a request, if any."""
    arn = Hook.RESOLVE_MACHINE.get()(request.get("stateMachineArn", ""))
    machine = Hook.STATE_MACHINES.get().get(arn)
    if machine is None or machine.get("type") == "EXPRESS":
        return None
    name = f"execution:{machine['name']}:{request.get('name')}"
    arn = f"arn:aws:states:{region()}:{account()}:{name}"
    execution: Document | None = Hook.EXECUTIONS.get().get(arn)
    return execution if execution and execution["status"] == "RUNNING" else None


def _add_event(
    original: Callable[..., Document], execution: Document, kind: str, details: Any = None
) -> Document:
    if not kind.startswith("Execution") and len(execution["events"]) >= HISTORY_EVENTS - 1:
        raise execution_error(
            "States.Runtime",
            f"The execution reached the maximum number of history events ({HISTORY_EVENTS}).",
        )
    event = original(execution, kind, details)
    if kind == "SucceedStateExited":
        exited = event["stateExitedEventDetails"]
        _check_output(json.loads(exited["output"]), exited["name"])
    if kind == "TaskScheduled":
        resource = event["taskScheduledEventDetails"]["resource"]
        _add_event(original, execution, "TaskStarted", {"taskStartedEventDetails": {}})
        if resource.endswith(".sync"):
            _add_event(original, execution, "TaskSubmitted", {"taskSubmittedEventDetails": {}})
    return event


def _execute(original: Callable[..., Any], state: Document, *arguments: Any) -> Any:
    output, following = original(state, *arguments)
    context = arguments[-1] or {}
    _check_output(output, context.get("State", {}).get("Name", state["Type"]))
    return output, following


def _check_output(output: Any, name: str) -> None:
    if json_bytes(output) > STATE_BYTES:
        raise execution_error(
            "States.DataLimitExceeded",
            f"The state/task '{name}' returned a result with a size exceeding the maximum number "
            "of bytes service limit.",
        )


def _invoke_resource(original: Callable[..., Any], resource: str, arguments: Any) -> Any:
    if json_bytes(arguments) > STATE_BYTES:
        raise execution_error(
            "States.DataLimitExceeded",
            f"The input of the state/task '{resource}' has a size exceeding the maximum number of "
            "bytes service limit.",
        )
    return original(resource, arguments)
