"""`refit watch`: follow a run until it ends."""
# ruff: noqa: PLC0415 (imports that are slow wait until the command runs)

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer
from refit.domain.errors import ModelNameInvalid
from refit.domain.naming import checked_model_name

from refit_cli import options
from refit_cli.errors import RunFailed
from refit_cli.runtime import runtime_of

if TYPE_CHECKING:
    from refit_cli.connection import StackConnection


def watch(
    context: typer.Context,
    model: options.Model,
    *,
    until: Annotated[
        Literal["deployed", "finished"],
        typer.Option(
            "--until",
            help="deployed: wait until the version is live, including a manual approval; "
            "finished: stop when the run ends or awaits approval.",
        ),
    ] = "deployed",
    timeout_s: options.Timeout = None,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN", help="Follow this run instead of the newest."),
    ] = None,
    batch: Annotated[
        bool,
        typer.Option(
            "--batch",
            help="Follow a batch prediction instead; --run gives its id.",
        ),
    ] = False,
    port: options.Port = None,
    stack_name: options.StackName = options.DEFAULT_STACK,
    aws: options.Aws = False,
    json: options.Json = False,
) -> None:
    """Follow a model's newest run: its states, their durations, training metrics.

    After `refit put` it waits for the run of the uploaded data. If that run has
    ended, its outcome is printed. What was learned from the data is shown once
    it is known: label, columns, doubts, refused rows. The time of a line is when
    it happened; what is known late stands after newer lines. With --json, stdout
    has one event per line: waiting, run, status, entered, left, learned, round,
    evaluation, gate, endpoint, and finally outcome.

    [bold]Examples[/]
      refit watch digits
      refit watch digits --timeout 900 && refit predict digits rows.csv
      refit watch digits --json | jq -r 'select(.event == "round") | .metrics'
      refit watch digits --run 3f0c9a1b2d4e
      refit watch digits --batch              the newest batch prediction

    [bold]Exit codes[/]  0 the version is live (with --until finished: or awaits
    approval) · 1 the run failed or the gate refused the model · 2 no such run
    or invalid name · 3 stack not found or not reachable · 4 timeout ·
    130 interrupted; the run continues
    """
    from refit_cli.batches import follow_batch
    from refit_cli.connection import connected
    from refit_cli.watching.reporters import follow_and_show

    target = options.StackTarget(port, stack_name, aws)
    with connected(target, runtime_of(context)) as connection:
        try:
            checked_model_name(model)
        except ModelNameInvalid:
            _report_rejected_drop(connection, model)
            raise
        if batch:
            follow_batch(connection, model, run, timeout_s=timeout_s, json=json)
            return
        outcome, _ = follow_and_show(
            connection, model, run=run, until=until, timeout_s=timeout_s, json=json
        )
    outcome.raise_unless_ok()


def _report_rejected_drop(connection: StackConnection, folder: str) -> None:
    """Report why files in a folder with an invalid model name were rejected.

    Raises:
        RunFailed: when files in that folder were rejected.
    """
    from refit_cli.watching.selection import refusal

    reason = refusal(connection.bucket, folder)
    if reason is not None:
        raise RunFailed(
            f"the files in folder {folder!r} were rejected: {reason}",
            "upload the data again under a valid model name",
        )
