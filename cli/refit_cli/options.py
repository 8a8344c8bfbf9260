"""The options that several commands share, so that each means the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

DEFAULT_PORT = 4566
DEFAULT_STACK = "refit"

GROUND_PANEL = "Which ground"

Port = Annotated[
    int | None,
    typer.Option(
        "--port",
        min=0,
        max=65535,
        metavar="N",
        show_default=False,
        rich_help_panel=GROUND_PANEL,
        help=f"Port of the local ground that must be there; 0 is AWS. Default: the ground on "
        f"REFIT_PORT ({DEFAULT_PORT} without it), or AWS when there is none.",
    ),
]
StackName = Annotated[
    str,
    typer.Option(
        "--stack-name",
        envvar="REFIT_STACK",
        metavar="NAME",
        rich_help_panel=GROUND_PANEL,
        help="Name of the CloudFormation stack on AWS.",
    ),
]
Aws = Annotated[
    bool,
    typer.Option(
        "--aws",
        rich_help_panel=GROUND_PANEL,
        help="Speak to AWS even when a local ground is running.",
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Write JSON to stdout, for scripts.", show_default=False)
]


@dataclass(frozen=True)
class Target:
    """Which ground a command was asked to speak to.

    Attributes:
        port: of the ground that must be there, 0 for AWS; None leaves it to REFIT_PORT.
        stack_name: of the stack on AWS.
        aws: AWS was asked for by name.
    """

    port: int | None = None
    stack_name: str = DEFAULT_STACK
    aws: bool = False
