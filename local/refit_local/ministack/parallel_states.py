"""Step Functions: run Parallel states as AWS does.

AWS        evaluates JSONata Arguments, Output and Assign of a Parallel; gives each branch its own
           context and variables; stops the other branches when one fails
MiniStack  evaluates none of them, shares one context among branches, and lets branches run on
Source     Amazon States Language, "Parallel State"
"""

from __future__ import annotations

import contextvars
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, Any

from refit_local.ministack.execution_scope import current_scope
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from refit_local.ministack.hooks import Document


def install() -> None:
    """Install this patch into MiniStack."""
    Hook.PARALLEL.put(_run_parallel)


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
        merged = Hook.RESULT_PATH.get()(state, data, selected)
        output = Hook.OUTPUT_PATH.get()(state, merged, context)
    return output, Hook.NEXT_OR_END.get()(state)


def _run_branches(
    branches: list[Document], effective: Any, execution: Document, context: Document
) -> list[Any]:
    def run(branch: Document) -> Any:
        own_context = {**context, "variables": dict(context.get("variables", {}))}
        return Hook.SUB_MACHINE.get()(
            branch["States"], branch["StartAt"], effective, execution, own_context
        )

    with current_scope().inner() as scope, ThreadPoolExecutor(max(1, len(branches))) as pool:
        runs = [pool.submit(contextvars.copy_context().run, run, branch) for branch in branches]
        first_failure = None
        for ended in as_completed(runs):
            first_failure = first_failure or ended.exception()
            if first_failure is not None:
                scope.stop()
    if first_failure is not None:
        raise first_failure
    return [ended.result() for ended in runs]
