"""Arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from refit_cli import stack_target
from refit_cli.completion import model_names

DEFAULT_PORT = stack_target.DEFAULT_PORT
DEFAULT_STACK = stack_target.DEFAULT_STACK
StackTarget = stack_target.StackTarget

STACK_PANEL = "Which stack"

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="Name of the model: a-z, 0-9 and hyphens.",
        autocompletion=model_names,
    ),
]
Port = Annotated[
    int | None,
    typer.Option(
        "--port",
        min=0,
        max=65535,
        metavar="N",
        show_default=False,
        rich_help_panel=STACK_PANEL,
        help="Use the local stack on port N, and fail if it is not running; 0 means AWS. Default: "
        f"the local stack on port REFIT_PORT (or {DEFAULT_PORT}) if it is running, otherwise AWS.",
    ),
]
StackName = Annotated[
    str,
    typer.Option(
        "--stack-name",
        envvar="REFIT_STACK",
        metavar="NAME",
        rich_help_panel=STACK_PANEL,
        help="Name of the CloudFormation stack on AWS.",
    ),
]
Aws = Annotated[
    bool,
    typer.Option(
        "--aws",
        rich_help_panel=STACK_PANEL,
        help="Use AWS even if a local stack is running.",
    ),
]
NamedPort = Annotated[
    int | None,
    typer.Option(
        "--port",
        min=0,
        max=65535,
        metavar="N",
        show_default=False,
        rich_help_panel=STACK_PANEL,
        help="Use the local stack on port N. Default: REFIT_PORT, or "
        f"{DEFAULT_PORT}. It must be running.",
    ),
]
NamedStack = Annotated[
    str | None,
    typer.Option(
        "--stack-name",
        metavar="NAME",
        rich_help_panel=STACK_PANEL,
        help="Name of the CloudFormation stack on AWS. REFIT_STACK is not used.",
    ),
]
Account = Annotated[
    str | None,
    typer.Option(
        "--account",
        metavar="ID",
        rich_help_panel=STACK_PANEL,
        help="Id of the AWS account. Default: you are asked to type it.",
    ),
]
LocalPort = Annotated[
    int,
    typer.Option(
        "--port",
        envvar="REFIT_PORT",
        min=1,
        max=65535,
        metavar="N",
        help="Port of the local stack.",
    ),
]
Follow = Annotated[
    bool,
    typer.Option(
        "--follow", help="Wait for the run to start, and follow it until it ends or --timeout."
    ),
]
Again = Annotated[
    bool,
    typer.Option(
        "--again",
        help="Retrain even if no label has come and no setting has changed since the last run.",
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout", min=0, metavar="S", help="Stop waiting after S seconds. Default: no limit."
    ),
]
Label = Annotated[
    str | None,
    typer.Option(
        "--label",
        metavar="COLUMN",
        help="The column to predict: its name, its position from 0, or last.",
    ),
]
Split = Annotated[
    Literal["train", "validation", "test"] | None,
    typer.Option(
        "--split", help="Assign all files to this split; Refit then does not split the data."
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Write JSON to stdout, for scripts.", show_default=False)
]
