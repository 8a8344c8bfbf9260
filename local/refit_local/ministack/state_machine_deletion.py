"""CloudFormation: a stack waits for the executions of its state machines before it deletes them.

AWS        deletes a state machine when its executions have ended, and the stack stays in
           DELETE_IN_PROGRESS until then; a task that waits for hours keeps it for hours
MiniStack  deletes the state machine at once, and its executions go on
Source     Step Functions API Reference, DeleteStateMachine; AWS re:Post, "My AWS Step Functions
           state machine is stuck in the DELETING status"

An execution that comes to its next state is ended by AWS, and goes on here until it is stopped or
has ended.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_POLL_S = 0.1


def install() -> None:
    """Install this patch into MiniStack."""
    Hook.DELETE_STACK.wrap(_delete)


async def _delete(
    original: Callable[..., Awaitable[None]], name: str, *arguments: Any, **options: Any
) -> None:
    stack = Hook.STACKS.get().get(name)
    if stack is not None:
        machines = {
            resource["PhysicalResourceId"]
            for resource in stack.get("_resources", {}).values()
            if resource.get("ResourceType") == "AWS::StepFunctions::StateMachine"
        }
        if _is_running(machines):
            stack["StackStatus"] = "DELETE_IN_PROGRESS"
        while _is_running(machines):
            await asyncio.sleep(_POLL_S)
    await original(name, *arguments, **options)


def _is_running(machines: set[str]) -> bool:
    executions = list(Hook.EXECUTIONS.get().values())
    return any(
        execution.get("status") == "RUNNING" and execution.get("stateMachineArn") in machines
        for execution in executions
    )
