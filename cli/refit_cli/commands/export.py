"""`refit export`: write the model card of a version."""
# ruff: noqa: PLC0415 (imports that are slow wait until the command runs)

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from refit.domain.naming import checked_model_name

from refit_cli import options, terminal
from refit_cli.errors import BadInput
from refit_cli.runtime import runtime_of

if TYPE_CHECKING:
    from collections.abc import Callable


def export(
    context: typer.Context,
    model: options.Model,
    *,
    version: Annotated[
        int | None,
        typer.Option(
            "--version",
            min=1,
            metavar="N",
            show_default=False,
            help="The version. Default: the live one, else the newest.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            show_default=False,
            help="The file to write: JSON if it ends in .json, else Markdown. "
            "Default: MODEL-vN.md in the current folder.",
        ),
    ] = None,
    port: options.Port = None,
    stack_name: options.StackName = options.DEFAULT_STACK,
    aws: options.Aws = False,
    json: options.Json = False,
) -> None:
    """Write the model card of a version: what it was made of, and how good it is.

    It has the metrics with their intervals, the decision of the gate, the files
    with their versions, the labels and corrections that trained it, the
    hyperparameters and settings, and its limits. The JSON also has every label.

    [bold]Examples[/]
      refit export digits
      refit export digits --version 3 --output digits-v3.json
      refit export digits --json | jq .lineage.corrections

    [bold]Exit codes[/]  0 written · 2 no such model or version, or the file cannot be
    written · 3 stack not found or not reachable
    """
    from refit.domain.moments import utc_now

    from refit_cli.connection import connected
    from refit_cli.model_card.card import card_of
    from refit_cli.model_card.markdown import as_markdown

    checked_model_name(model)
    target = options.StackTarget(port, stack_name, aws)
    with connected(target, runtime_of(context)) as connection:
        card = card_of(connection, model, version, utc_now())
    if json:
        terminal.write_json(card)
    if json and output is None:
        return
    path = output or Path(f"{model}-v{card['version']}.md")
    _write(path, card, as_markdown)
    if not json:
        terminal.results().print(f"model card of version {card['version']}  {path}", markup=False)


def _write(path: Path, card: dict[str, Any], as_markdown: Callable[[dict[str, Any]], str]) -> None:
    is_json = path.suffix == ".json"
    content = (
        json_format.dumps(card, ensure_ascii=False, indent=1) if is_json else as_markdown(card)
    )
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise BadInput(
            f"{path} cannot be written: {error.strerror}", "choose another file with --output"
        ) from error
