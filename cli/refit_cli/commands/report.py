"""`refit report`: write the report of a run as one HTML file."""
# ruff: noqa: PLC0415 (imports that are slow wait until the command runs)

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from refit.domain.naming import checked_model_name

from refit_cli import options, terminal
from refit_cli.errors import BadInput
from refit_cli.runtime import runtime_of


def report(
    context: typer.Context,
    model: options.Model,
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="The run. Default: the newest.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            show_default=False,
            help="The file to write. Default: MODEL-RUN.html in the current folder.",
        ),
    ] = None,
    port: options.Port = None,
    stack_name: options.StackName = options.DEFAULT_STACK,
    aws: options.Aws = False,
    json: options.Json = False,
) -> None:
    """Write the report of a run: one HTML file that opens without a network.

    It says what was trained, on what and why, and what the gate decided. It
    shows the training curves, the quality beside the live version, the confusion
    matrix, the features that the model uses, and the columns of the data.

    [bold]Examples[/]
      refit report digits
      refit report digits 3f0c9a1b2d4e --output digits.html

    [bold]Exit codes[/]  0 written · 2 no such model or run, or the file cannot be
    written · 3 stack not found or not reachable
    """
    from refit_cli.connection import connected
    from refit_cli.report.facts import read_facts
    from refit_cli.report.page import report_page

    checked_model_name(model)
    target = options.StackTarget(port, stack_name, aws)
    with connected(target, runtime_of(context)) as connection:
        facts = read_facts(connection, model, run)
    path = output or Path(f"{model}-{facts.run.run}.html")
    try:
        path.write_text(report_page(facts), encoding="utf-8")
    except OSError as error:
        raise BadInput(
            f"{path} cannot be written: {error.strerror}", "choose another file with --output"
        ) from error
    if json:
        terminal.write_json({"model": model, "run": facts.run.run, "file": str(path)})
    else:
        terminal.results().print(f"report of run {facts.run.run}  {path}", markup=False)
