"""Step Functions: evaluate JSONata where MiniStack does not.

AWS        evaluates Output of a Succeed state and TimeoutSeconds of a Task
MiniStack  returns the input of a Succeed state, and takes TimeoutSeconds as it stands
Source     Amazon States Language, "Succeed State" and "Task State"
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit_local.ministack.hooks import Document


def install() -> None:
    """Install these patches into MiniStack."""
    Hook.EXECUTE_TASK.wrap(_execute_task)
    Hook.OUTPUT_PATH.wrap(_output_path)


def _execute_task(
    original: Callable[..., Any], state: Document, data: Any, execution: Document, context: Document
) -> Any:
    if isinstance(state.get("TimeoutSeconds"), str):
        seconds = Hook.JSONATA_FIELD.get()(state, "TimeoutSeconds", "number", data, context)
        state = {**state, "TimeoutSeconds": seconds}
    return original(state, data, execution, context)


def _output_path(
    original: Callable[..., Any], state: Document, data: Any, context: Document | None = None
) -> Any:
    if state.get("Type") == "Succeed" and Hook.QUERY_LANGUAGE.get()(state, context) == "JSONata":
        return Hook.JSONATA_OUTPUT.get()(state, data, context, default=data)
    return original(state, data, context)
