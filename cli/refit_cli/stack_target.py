"""Which stack the options of a command select."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_PORT = 4566
DEFAULT_STACK = "refit"


@dataclass(frozen=True)
class StackTarget:
    """Which stack the options of a command select.

    Attributes:
        port: port of the local stack; 0 selects AWS, None leaves the choice to REFIT_PORT.
        stack_name: name of the CloudFormation stack on AWS.
        aws: whether AWS is selected explicitly.
        missing_port: where the command has looked for a local stack, so that AWS is used.
    """

    port: int | None = None
    stack_name: str = DEFAULT_STACK
    aws: bool = False
    missing_port: int | None = None
