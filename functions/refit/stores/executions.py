"""Executions of the state machines TRAIN, DEPLOY and BATCH."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from refit.domain.naming import deployment_id
from refit.stores.clients import error_code, translate_transient_errors

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Execution:
    """An execution, as DescribeExecution returns it.

    Attributes:
        input: its input as JSON.
    """

    arn: str
    status: str
    input: str
    error: str | None = None
    cause: str | None = None


class Executions:
    """Starts each execution of the TRAIN state machine once."""

    def __init__(self, client: Any, state_machine_arn: str) -> None:
        self._client = client
        self._state_machine_arn = state_machine_arn

    def start_training(self, model: str, run: str) -> str:
        """Start the execution of a run, unless it was started before; return its ARN."""
        given = {"model": model, "run": run}
        return _start_once(self._client, self._state_machine_arn, f"{model}-{run}", given)


class BatchExecutions:
    """Starts each execution of the BATCH state machine once."""

    def __init__(self, client: Any, state_machine_arn: str) -> None:
        self._client = client
        self._state_machine_arn = state_machine_arn

    def start(self, model: str, batch: str) -> str:
        """Start the execution of a batch, unless it was started before; return its ARN."""
        given = {"model": model, "batch": batch}
        return _start_once(self._client, self._state_machine_arn, f"{model}-{batch}", given)

    def arn(self, model: str, batch: str) -> str:
        """Return the ARN of the execution of a batch, whether or not it exists."""
        return _execution_arn(self._state_machine_arn, f"{model}-{batch}")


def _execution_arn(state_machine_arn: str, name: str) -> str:
    return f"{state_machine_arn.replace(':stateMachine:', ':execution:')}:{name}"


def _start_once(client: Any, state_machine_arn: str, name: str, given: dict[str, str]) -> str:
    try:
        with translate_transient_errors():
            answer = client.start_execution(
                stateMachineArn=state_machine_arn, name=name, input=json.dumps(given)
            )
    except ClientError as error:
        if error_code(error) != "ExecutionAlreadyExists":
            raise
        return _execution_arn(state_machine_arn, name)
    return str(answer["executionArn"])


class Deployments:
    """Starts executions of the DEPLOY state machine that no event of SageMaker starts."""

    def __init__(self, client: Any, state_machine_arn: str) -> None:
        self._client = client
        self._state_machine_arn = state_machine_arn

    def start(self, group: str, version: int, package_arn: str) -> None:
        """Deploy an approved version. If it is live and served, the execution changes nothing."""
        with translate_transient_errors():
            self._client.start_execution(
                stateMachineArn=self._state_machine_arn,
                input=_deployment_input(group, version, package_arn),
            )

    def repeat(self, group: str, version: int, package_arn: str, failed_arn: str) -> None:
        """Deploy an approved version again, once after each execution that failed."""
        try:
            with translate_transient_errors():
                self._client.start_execution(
                    stateMachineArn=self._state_machine_arn,
                    name=f"{group}-v{version}-after-{deployment_id(failed_arn)}",
                    input=_deployment_input(group, version, package_arn),
                )
        except ClientError as error:
            if error_code(error) != "ExecutionAlreadyExists":
                raise


def _deployment_input(group: str, version: int, package_arn: str) -> str:
    """Return the input that the event of an approval gives an execution."""
    detail = {
        "ModelPackageGroupName": group,
        "ModelPackageVersion": version,
        "ModelPackageArn": package_arn,
        "ModelApprovalStatus": "Approved",
    }
    return json.dumps({"detail": detail})


class ExecutionHistory:
    """Reads what executions have done."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def describe(self, arn: str) -> Execution | None:
        """Return an execution, or None when it does not exist (any more)."""
        try:
            with translate_transient_errors():
                answer = self._client.describe_execution(executionArn=arn)
        except ClientError as error:
            # An ARN that is none can only be an item of the table that was changed by hand.
            if error_code(error) not in {"ExecutionDoesNotExist", "InvalidArn"}:
                raise
            return None
        return Execution(
            arn, answer["status"], answer["input"], answer.get("error"), answer.get("cause")
        )

    def running(self, state_machine_arn: str) -> Iterator[Execution]:
        """Yield the running executions of a state machine. The list may be some seconds old."""
        with translate_transient_errors():
            pages = self._client.get_paginator("list_executions")
            arns = [
                entry["executionArn"]
                for page in pages.paginate(
                    stateMachineArn=state_machine_arn, statusFilter="RUNNING"
                )
                for entry in page["executions"]
            ]
        for arn in arns:
            execution = self.describe(arn)
            if execution is not None and execution.status == "RUNNING":
                yield execution
