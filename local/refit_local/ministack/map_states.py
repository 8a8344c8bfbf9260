"""Step Functions: run inline Map states as AWS does.

AWS        runs at most 40 iterations of an inline Map at a time; refuses Items that are neither an
           array nor an object; stops all iterations when one fails, and fails with its error
MiniStack  has no limit; makes an array of what is none; lets the other iterations run to their end,
           and begins those that wait
Source     Step Functions Developer Guide, "Using Map state in Inline mode"; Amazon States Language,
           "Map State"
"""

from __future__ import annotations

import contextvars
import copy
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, Any

from refit_local.ministack.execution_scope import current_scope, execution_error
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit_local.ministack.hooks import Document

MOST_AT_A_TIME = 40


def install() -> None:
    """Install this patch into MiniStack."""
    Hook.MAP.wrap(_run_map)


def _run_map(
    original: Callable[..., Any], state: Document, data: Any, execution: Document, context: Document
) -> Any:
    processor = state.get("ItemProcessor", {})
    is_inline = processor.get("ProcessorConfig", {}).get("Mode", "INLINE") == "INLINE"
    if not is_inline or Hook.QUERY_LANGUAGE.get()(state, context) != "JSONata":
        return original(state, data, execution, context)
    items = Hook.JSONATA_FIELD.get()(state, "Items", "array", data, context)
    if isinstance(items, dict):
        return original(state, data, execution, context)
    if not isinstance(items, list):
        raise execution_error(
            "States.QueryEvaluationError",
            f"Items must be an array or an object, and are {items!r:.200}",
        )
    at_a_time = MOST_AT_A_TIME
    if "MaxConcurrency" in state:
        wanted = int(Hook.JSONATA_FIELD.get()(state, "MaxConcurrency", "number", data, context))
        at_a_time = min(wanted or MOST_AT_A_TIME, MOST_AT_A_TIME)

    def run(index: int, item: Any) -> Any:
        own = {**copy.deepcopy(context), "Map": {"Item": {"Index": index, "Value": item}}}
        selector = state.get("ItemSelector")
        if selector is not None:
            item = Hook.JSONATA_TEMPLATE.get()(selector, data, own)
        return Hook.SUB_MACHINE.get()(
            processor["States"], processor["StartAt"], item, execution, own
        )

    results = _run_iterations(run, items, at_a_time)
    output = Hook.JSONATA_OUTPUT.get()(state, data, context, result=results, default=results)
    Hook.ASSIGN.get()(state, data, context, result=results)
    return output, Hook.NEXT_OR_END.get()(state)


def _run_iterations(run: Callable[[int, Any], Any], items: list[Any], at_a_time: int) -> list[Any]:
    first_failure = None
    with current_scope().inner() as scope, ThreadPoolExecutor(at_a_time) as pool:
        runs = [
            pool.submit(contextvars.copy_context().run, run, index, item)
            for index, item in enumerate(items)
        ]
        for ended in as_completed(runs):
            if first_failure is None and not ended.cancelled():
                first_failure = ended.exception()
                if first_failure is not None:
                    scope.stop()
                    for waiting in runs:
                        waiting.cancel()
    if first_failure is not None:
        raise first_failure
    return [ended.result() for ended in runs]
