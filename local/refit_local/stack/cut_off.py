"""Say what the end of a local stack cuts off: the executions of its state machines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from refit_local.ministack.durability.execution_records import CAUSE
from refit_local.stack.deploy import client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from refit_local.stack.record import StackInfo


def running(info: StackInfo) -> list[str]:
    """Return what is running, as a sentence would name it; nothing if the stack does not say."""
    try:
        return [_name(execution) for execution in _executions(info, "RUNNING")]
    except (BotoCoreError, ClientError):
        return []


def ended_since(info: StackInfo, moment: datetime) -> list[str]:
    """Return what the end of an earlier process has cut off, and this one has ended.

    Args:
        info: the running stack.
        moment: when its process started; aware time.
    """
    # Those that the new process is about to end are still running.
    ends = [e for e in _executions(info, "RUNNING") if e["startDate"] < moment]
    ended = [
        execution
        for execution in _executions(info, "FAILED")
        if execution["stopDate"] >= moment and execution.get("cause") == CAUSE
    ]
    return list({e["executionArn"]: _name(e) for e in (*ends, *ended)}.values())


def _executions(info: StackInfo, status: str) -> Iterator[Any]:
    states = client(info, "stepfunctions")
    for machine in states.list_state_machines()["stateMachines"]:
        listed = states.list_executions(
            stateMachineArn=machine["stateMachineArn"], statusFilter=status
        )
        for execution in listed["executions"]:
            yield states.describe_execution(executionArn=execution["executionArn"])


def _name(execution: Any) -> str:
    given = json.loads(execution.get("input") or "{}")
    detail = given.get("detail", {})
    if "run" in given and "model" in given:
        return f"run {given['run']} of {given['model']}"
    if "batch" in given and "model" in given:
        return f"batch {given['batch']} of {given['model']}"
    if "ModelPackageGroupName" in detail:
        version = detail.get("ModelPackageVersion")
        return f"the deployment of version {version} of {detail['ModelPackageGroupName']}"
    machine = execution["stateMachineArn"].rsplit(":", 1)[-1]
    return f"execution {execution['name']} of {machine}"
