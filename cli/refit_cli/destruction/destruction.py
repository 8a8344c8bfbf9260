"""Destroy a stack: stop what starts work, remove what the models made, then the stack, then data.

The order matters. A model's endpoint costs as long as it exists, and nothing of the stack deletes
it: so it goes first, and what was on its way when the stack was deleted is swept after it. Each
step does nothing where nothing is left, so the same command continues after an interruption.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refit_cli import terminal
from refit_cli.destruction.listings import LISTINGS, StackResources
from refit_cli.destruction.of_models import JOB_LOGS, Executions, model_kinds
from refit_cli.destruction.of_stack import LogGroups, Stack, data_kinds, stop_events
from refit_cli.removal.kinds import Waiter
from refit_cli.removal.removal import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit_cli.connection import StackConnection
    from refit_cli.destruction.deployed import DeployedStack
    from refit_cli.removal.kinds import Kind
    from refit_cli.removal.removal import Found

_LOG_GROUP = "AWS::Logs::LogGroup"

OF_THE_ACCOUNT = {
    "rules StepFunctionsGetEventsForSageMaker…": "Step Functions shares them among all state "
    "machines of the account; they are free of charge",
    f"log groups {', '.join(JOB_LOGS)}": "SageMaker shares them among all jobs of the account; the "
    "streams of this stack's jobs are deleted",
    "records of ended SageMaker jobs": "SageMaker deletes none; they are free of charge",
    "metrics": "CloudWatch deletes none; they cost nothing once nobody publishes them, and expire "
    "after 15 months",
    "bucket of the stack aws-sam-cli-managed-default": "SAM shares it among all stacks; it holds "
    "what `sam deploy` uploaded",
}
"""What stays because it belongs to the whole account, and why."""

BACKUPS = (
    "system backups of the tables",
    "DynamoDB keeps them for 35 days free of charge, because point-in-time recovery was on",
)


class Destruction:
    """The destruction of one stack.

    Args:
        connection: where the stack is.
        stack: the stack.
        delete_data: whether the bucket and the tables are deleted too.
        timeout_s: of all waits together; None for no limit.
    """

    def __init__(
        self,
        connection: StackConnection,
        stack: DeployedStack,
        *,
        delete_data: bool,
        timeout_s: float | None,
    ) -> None:
        client, waiter = connection.client, Waiter(connection.poll_s, timeout_s)
        self._client, self._waiter = client, waiter
        self._stack = stack
        self._delete_data = delete_data
        machines = stack.of_type("AWS::StepFunctions::StateMachine")
        executions = Executions(client("stepfunctions"), machines, waiter)
        self._models: list[Kind] = [executions, *model_kinds(stack.prefix, client, waiter)]
        self._of_stack: list[Kind] = [
            StackResources(stack, kind, listing, client)
            for kind, listing in LISTINGS.items()
            if kind != _LOG_GROUP
        ]
        self._logs = LogGroups(stack, _LOG_GROUP, LISTINGS[_LOG_GROUP], client)
        self._stack_kind = Stack(stack, client("cloudformation"), executions, waiter)
        self._data = data_kinds(stack, client, waiter)

    def found(self) -> list[Found]:
        """List what exists now of what is to be destroyed."""
        data = self._data if self._delete_data else []
        return _existing([*self._models, self._stack_kind, *self._of_stack, self._logs, *data])

    def kept(self) -> list[Found]:
        """List the data that stays."""
        return [] if self._delete_data else _existing(self._data)

    def stays(self) -> dict[str, str]:
        """Return what stays by design, with the reason."""
        return OF_THE_ACCOUNT | (dict([BACKUPS]) if self._delete_data else {})

    def run(self) -> None:
        """Destroy the stack. It can be called again after an interruption at any point.

        Raises:
            RunFailed: when CloudFormation or S3 refuses a deletion.
            TimedOut: when AWS did not finish a deletion in time.
        """
        _say("stopping the rules, schedules and event sources")
        stop_events(self._stack, self._client, self._waiter)
        _remove(self._models)
        if any(self._stack_kind.resources()):
            _say(f"deleting the stack {self._stack.name}, which takes minutes on AWS")
        self._stack_kind.remove()
        _remove([*self._models, self._logs])
        if self._delete_data:
            _remove(self._data)


def _existing(kinds: Sequence[Kind]) -> list[Found]:
    return [found for found in map(counted, kinds) if found.count]


def _remove(kinds: Sequence[Kind]) -> None:
    for kind in kinds:
        if (found := counted(kind)).count:
            _say(f"removing {kind.counted(found.count)}")
            kind.remove()


def _say(what: str) -> None:
    terminal.inform(f"[dim]{what} …[/]")


def summary(found: Sequence[Found]) -> dict[str, Any]:
    """Return counts and the first names of resources by kind, for JSON."""
    return {each.kind.key: {"count": each.count, "names": list(each.names)} for each in found}
