"""`refit watch`: see a run as it goes, and how it ends."""
# ruff: noqa: PLC0415 (what is slow to import waits until the command runs)

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from refit.domain.errors import ModelNameInvalid
from refit.domain.naming import checked_model_name

from refit_cli import options, terminal
from refit_cli.errors import RunFailed

if TYPE_CHECKING:
    from refit_cli.connection import Connection
    from refit_cli.following import View
    from refit_cli.outcome import Ending, Until


def watch(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model's name.")],
    *,
    until: Annotated[
        Literal["deployed", "finished"],
        typer.Option(
            "--until",
            help="deployed: until it is live, through an approval too; finished: until the run "
            "itself is over.",
        ),
    ] = "deployed",
    timeout_s: Annotated[
        float | None,
        typer.Option(
            "--timeout", min=0, metavar="S", help="Give up after S seconds. Default: never."
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN", help="Follow this run instead of the newest."),
    ] = None,
    port: options.Port = None,
    stack_name: options.StackName = options.DEFAULT_STACK,
    aws: options.Aws = False,
    json: options.Json = False,
) -> None:
    """Follow a model's newest run: its states, their times, the metric per round.

    After a `refit put` it waits for the run of that drop; when that is over
    already, it tells how it ended. Results go to stdout; --json writes one
    event a line: waiting, run, status, entered, left, round, evaluation, gate,
    endpoint, and last of all outcome.

    [bold]Examples[/]
      refit watch digits
      refit watch digits --timeout 900 && refit predict digits rows.csv
      refit watch digits --json | jq -r 'select(.event == "round") | .metrics'
      refit watch digits --run 3f0c9a1b2d4e

    [bold]Exit codes[/]  0 live (or, with --until finished, awaiting approval) · 1 the
    run failed or the gate refused it, with the cause · 2 no such run or name ·
    3 no ground or stack · 4 --timeout is over · 130 interrupted; the run goes
    on
    """
    from refit_cli.connection import connected

    with connected(options.Target(port, stack_name, aws)) as connection:
        try:
            checked_model_name(model)
        except ModelNameInvalid:
            _tell_refusal(connection, model)
            raise
        ending, _ = follow_and_show(
            connection, model, run=run, until=until, timeout_s=timeout_s, json=json
        )
    ending.raise_unless_ok()


def follow_and_show(
    connection: Connection,
    model: str,
    *,
    run: str | None = None,
    until: Until,
    timeout_s: float | None,
    json: bool,
) -> tuple[Ending, View]:
    """Follow a run, show it as its surroundings allow; return how it ended and all of it."""
    from refit_cli.following import Follower
    from refit_cli.outcome import AWS_POLL_S, GROUND_POLL_S, follow
    from refit_cli.reporters import JsonLines, LiveView, PlainLines

    console = terminal.results()
    reporter: JsonLines | LiveView | PlainLines
    if json:
        reporter = JsonLines()
    elif terminal.is_interactive():
        reporter = LiveView(console)
    else:
        reporter = PlainLines(console)
    follower = Follower(connection, model, run)
    poll_s = GROUND_POLL_S if connection.ground else AWS_POLL_S
    with reporter if isinstance(reporter, LiveView) else nullcontext():
        ending = follow(follower, reporter, until, timeout_s, poll_s)
        reporter.finish(follower.view, ending)
    return ending, follower.view


def _tell_refusal(connection: Connection, folder: str) -> None:
    """Say why a drop into a folder of that name was refused, if there was one."""
    from refit_cli.records import Records

    reason = Records(connection).refusal(folder)
    if reason is not None:
        raise RunFailed(
            f"the drop into {folder!r} was refused: {reason}",
            "put the data again under a name that is allowed",
        )
