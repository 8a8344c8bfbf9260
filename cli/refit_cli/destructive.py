"""Select the stack of a command that destroys data, and confirm it.

Other commands use AWS when no local stack is running. A command that destroys never does: if the
local stack is down, the user meant the local stack. AWS is named by `--aws`, the name of the stack
and the id of the account.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit_cli import terminal
from refit_cli.connection import port_of_environment
from refit_cli.errors import BadInput, NotReachable
from refit_cli.options import DEFAULT_PORT, StackTarget

if TYPE_CHECKING:
    from refit_cli.connection import StackConnection
    from refit_cli.runtime import CommandRuntime


@dataclass(frozen=True)
class DestructiveTarget:
    """What the options of a destructive command select.

    Attributes:
        command: the command without its options, for messages.
        account: id of the AWS account; None when it must be typed.
    """

    command: str
    port: int | None
    aws: bool
    stack_name: str | None
    account: str | None

    def resolved(self, runtime: CommandRuntime) -> StackTarget:
        """Return the stack, which is either a local stack that runs or a named stack on AWS.

        Raises:
            BadInput: when options contradict each other, or AWS is not fully named.
            NotReachable: when the local stack is not running.
        """
        return self._on_aws(runtime) if self.aws else self._local(runtime)

    def confirm_account(self, connection: StackConnection) -> None:
        """Compare the account that the user names with that of the credentials.

        Raises:
            BadInput: when they differ.
        """
        if connection.local is not None:
            return
        actual = str(connection.client("sts").get_caller_identity()["Account"])
        named = self.account or terminal.ask(
            f"This is AWS: {connection.location}, stack {connection.stack_name}. "
            "Type the id of the AWS account to go on: "
        )
        if named.replace("-", "").strip() != actual:
            raise BadInput(
                f"the credentials are of the AWS account {actual}, not of {named.strip() or 'none'}"
                "; nothing was deleted",
                "select other credentials with AWS_PROFILE, or name the account that you mean",
            )

    def _on_aws(self, runtime: CommandRuntime) -> StackTarget:
        if self.port:
            raise BadInput(
                f"--aws and --port {self.port} name two stacks", "give only one of the two"
            )
        if self.stack_name is None:
            raise BadInput("on AWS, this command requires the name of the stack", self._aws_usage)
        if self.account is None and not runtime.can_ask():
            raise BadInput(
                "on AWS, this command requires the id of the account, also with --yes",
                self._aws_usage,
            )
        return StackTarget(aws=True, stack_name=self.stack_name)

    def _local(self, runtime: CommandRuntime) -> StackTarget:
        if self.stack_name is not None or self.account is not None:
            given = "--stack-name" if self.stack_name is not None else "--account"
            raise BadInput(f"{given} names a stack on AWS, and --aws is missing", self._aws_usage)
        port = port_of_environment() if self.port is None else self.port
        if port == 0:
            given = "--port" if self.port == 0 else "REFIT_PORT"
            raise BadInput(
                f"{given} is 0, which selects AWS for other commands; this one requires --aws",
                self._aws_usage,
            )
        port = port or DEFAULT_PORT
        if runtime.local_stacks.info(port) is None:
            raise NotReachable(
                f"no local stack is running on port {port}, and `{self.command}` never uses AWS "
                "instead",
                f"start it with `refit up --port {port}`; for AWS: {self._aws_usage}",
            )
        return StackTarget(port=port)

    @property
    def usage(self) -> str:
        """The command with the options that select this target."""
        if self.aws:
            return self._aws_usage
        return self.command if self.port is None else f"{self.command} --port {self.port}"

    @property
    def _aws_usage(self) -> str:
        name = self.stack_name or "NAME"
        account = self.account or "ID"
        return f"{self.command} --aws --stack-name {name} --account {account}"
