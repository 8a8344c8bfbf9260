"""Step Functions: executions that are started once."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from refit.environment import environment
from refit.stores.clients import client, error_code, passing_troubles_named


def start_training(model: str, run: str) -> str:
    """Start the TRAIN execution of a run, or find the one that was started before.

    Returns:
        The execution's ARN.
    """
    machine = environment().train_state_machine_arn
    name = f"{model}-{run}"
    payload: dict[str, Any] = {"model": model, "run": run}
    try:
        with passing_troubles_named():
            answer = client("stepfunctions").start_execution(
                stateMachineArn=machine, name=name, input=json.dumps(payload)
            )
    except ClientError as error:
        if error_code(error) != "ExecutionAlreadyExists":
            raise
        return f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
    return str(answer["executionArn"])
