"""`refit logs`: what functions, state machines and jobs say about a model, in order."""
# ruff: noqa: PLC0415 (imports that are slow wait until the command runs)

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from refit.domain.naming import checked_model_name

from refit_cli import options, terminal
from refit_cli.errors import BadInput
from refit_cli.runtime import runtime_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from refit_cli.logs.lines import LogLine

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def logs(
    context: typer.Context,
    model: options.Model,
    *,
    run: Annotated[
        str | None,
        typer.Option(
            "--run", metavar="RUN", help="Only this run, from its start; its first letters do."
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with new lines until Ctrl-C.")
    ] = False,
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="From so long ago on: 90s, 10m, 1h, 2d.")
    ] = "1h",
    port: options.Port = None,
    stack_name: options.StackName = options.DEFAULT_STACK,
    aws: options.Aws = False,
    json: options.Json = False,
) -> None:
    """Show the logs of a model: functions, state machines and jobs together.

    The lines of the functions that name the model, the states of its runs with
    the reasons of failures, and the output of its training, tuning and transform
    jobs, in the order of time and coloured by source. A line has its time in
    UTC, the function, state machine or job, the level, the message, and what the
    function said beside it; --json has all fields. CloudWatch shows a line some
    seconds after it was written, so with --follow late lines stand after newer
    ones. Each look reads CloudWatch Logs a few times.

    [bold]Examples[/]
      refit logs digits
      refit logs digits --since 10m --follow
      refit logs digits --run 3f0c9a1b2d4e
      refit logs digits --json | jq 'select(.source == "training") | .text'

    [bold]Exit codes[/]  0 shown · 2 no such model or run, or --since is not a time ·
    3 stack not found or not reachable · 130 interrupted
    """
    from refit_cli.connection import connected
    from refit_cli.logs.tail import tail_of

    checked_model_name(model)
    begin = datetime.now(UTC) - _duration(since)
    target = options.StackTarget(port, stack_name, aws)
    with connected(target, runtime_of(context)) as connection:
        tail = tail_of(connection, model, run, begin)
        if follow:
            with terminal.says_on_interrupt(f"runs and jobs of {model} continue"):
                for lines in tail.follow(connection.poll_s):
                    _show(lines, model, json=json)
        lines = tail.new_lines()
        _show(lines, model, json=json)
        if not lines and not json:
            terminal.inform(f"no lines of {model} since {begin:%Y-%m-%d %H:%M:%S} UTC")


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if match is None:
        raise BadInput(
            f"--since {text!r} is not a time", "give a number and s, m, h or d, such as 90s or 1h"
        )
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def _show(lines: Iterable[LogLine], model: str, *, json: bool) -> None:
    console = terminal.results()
    for line in lines:
        if json:
            terminal.write_json(line.as_json())
        else:
            console.print(line.as_markup(model))
