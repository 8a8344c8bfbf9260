"""Executions of the TRAIN state machine."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from refit.stores.clients import error_code, translate_transient_errors


class Executions:
    """Starts each execution of the TRAIN state machine once."""

    def __init__(self, client: Any, state_machine_arn: str) -> None:
        self._client = client
        self._state_machine_arn = state_machine_arn

    def start_training(self, model: str, run: str) -> str:
        """Start the execution of a run, unless it was started before; return its ARN."""
        name = f"{model}-{run}"
        try:
            with translate_transient_errors():
                answer = self._client.start_execution(
                    stateMachineArn=self._state_machine_arn,
                    name=name,
                    input=json.dumps({"model": model, "run": run}),
                )
        except ClientError as error:
            if error_code(error) != "ExecutionAlreadyExists":
                raise
            return f"{self._state_machine_arn.replace(':stateMachine:', ':execution:')}:{name}"
        return str(answer["executionArn"])
