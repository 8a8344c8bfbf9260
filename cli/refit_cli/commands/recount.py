"""`refit recount`: count labelled predictions that could not be counted."""
# ruff: noqa: PLC0415 (imports that are slow wait until the command runs)

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer
from refit.domain.naming import checked_model_name

from refit_cli import options, terminal
from refit_cli.completion import model_names
from refit_cli.errors import unknown_model
from refit_cli.runtime import runtime_of


def recount(
    context: typer.Context,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="Count those of this model. Default: all models.",
            autocompletion=model_names,
        ),
    ] = None,
    port: options.Port = None,
    stack_name: options.StackName = options.DEFAULT_STACK,
    aws: options.Aws = False,
    json: options.Json = False,
) -> None:
    """Count labelled predictions that could not be counted, each once.

    For the alarm CountLabelsDeadLetters, after its cause was fixed. Every
    prediction is marked in its table until its labels are counted; the command
    reads the whole table, and has those with a mark counted, also those that
    would have been counted in the next minute. It can be run again without harm.

    [bold]Examples[/]
      refit recount digits
      refit recount --aws --stack-name refit-prod

    [bold]Exit codes[/]  0 requested, or nothing to count · 2 no such model · 3 stack
    not found or not reachable
    """
    from refit_cli.connection import connected

    if model is not None:
        checked_model_name(model)
    target = options.StackTarget(port, stack_name, aws)
    with connected(target, runtime_of(context)) as connection:
        known = connection.models.models()
        if model is not None and model not in known:
            raise unknown_model(model, known, connection.location)
        requested = Counter(
            owner
            for owner, inference_id in connection.labels.uncounted(model)
            if connection.labels.count_again(owner, inference_id)
        )
    if json:
        terminal.write_json({"requested": dict(sorted(requested.items()))})
        return
    if not requested:
        terminal.results().print("[green]nothing to count[/]  all labels are counted")
        return
    for owner, number in sorted(requested.items()):
        noun = "prediction" if number == 1 else "predictions"
        terminal.results().print(f"[green]requested[/]  {number:,} labelled {noun} of {owner}")
    terminal.inform(
        "They are counted within about two minutes. To see whether any is left, run the command "
        "again then"
    )
