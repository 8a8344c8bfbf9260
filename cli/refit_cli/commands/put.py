"""`refit put`: upload training data or settings of a model."""
# ruff: noqa: PLC0415 (imports that are slow wait until the command runs)

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path  # noqa: TC003 (Typer reads the annotations)
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from refit.domain.naming import checked_model_name
from rich.markup import escape

from refit_cli import options, terminal
from refit_cli.errors import BadInput
from refit_cli.runtime import runtime_of

if TYPE_CHECKING:
    from refit_cli.uploads import UploadedFile


def put(
    context: typer.Context,
    model: options.Model,
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE…", help="Data files, or directories of them."),
    ] = None,
    *,
    split: Annotated[
        Literal["train", "validation", "test"] | None,
        typer.Option(
            "--split", help="Assign all files to this split; Refit then does not split the data."
        ),
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(
            "--settings", metavar="FILE", help="Upload this model.toml before the data files."
        ),
    ] = None,
    port: options.Port = None,
    stack_name: options.StackName = options.DEFAULT_STACK,
    aws: options.Aws = False,
    json: options.Json = False,
) -> None:
    """Upload data for a model. A run starts shortly after the last upload.

    All files of one command start one run together. Formats: CSV (separated by
    comma, semicolon, |, tab or blanks, with or without a header), CSV.gz, JSON
    records, Parquet, mnist.pkl.gz and pairs of IDX files. The label is the first
    column unless model.toml names another.

    [bold]Examples[/]
      refit put digits train.csv
      refit put digits january.csv february.csv.gz
      refit put digits path/to/mnist.pkl.gz
      refit put churn --split test holdout.csv
      refit put churn folder/                 may contain train/… and test/…
      refit put churn --settings model.toml   settings only, for the next run

    [bold]Exit codes[/]  0 uploaded · 2 a name, file or setting is invalid; nothing was
    uploaded · 3 stack not found or not reachable · 130 interrupted; no data was
    uploaded
    """
    from refit_cli.connection import connected
    from refit_cli.removal.removal import check_not_being_removed
    from refit_cli.uploads import plan_files, put_settings, upload_with_progress

    checked_model_name(model)
    toml = _checked_settings(settings) if settings else None
    plan = plan_files(model, files or [], split)
    planned = plan.files
    if not planned and toml is None:
        raise BadInput(
            "there is nothing to upload: no FILE and no --settings",
            f"refit put {model} FILE",
        )
    target = options.StackTarget(port, stack_name, aws)
    with connected(target, runtime_of(context)) as connection:
        check_not_being_removed(connection, model)
        settings_key = put_settings(connection, model, toml) if toml is not None else None
        uploaded = upload_with_progress(connection, planned) if planned else []
        bucket = connection.stack.bucket
    if json:
        terminal.write_json(
            {
                "model": model,
                "bucket": bucket,
                "settings": settings_key,
                "objects": [asdict(file) for file in uploaded],
                "notes": plan.notes,
            }
        )
    else:
        for note in plan.notes:
            terminal.inform(escape(note))
        _print_uploads(model, bucket, settings_key, uploaded)


def _checked_settings(path: Path) -> bytes:
    from refit.domain.model_settings import parse_settings, settings_text

    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    parse_settings(settings_text(content, str(path)))
    return content


def _print_uploads(
    model: str, bucket: str, settings_key: str | None, uploaded: list[UploadedFile]
) -> None:
    console = terminal.results()
    if settings_key:
        console.print(f"[green]uploaded[/]  s3://{bucket}/{settings_key}")
    for file in uploaded:
        url = escape(f"s3://{bucket}/{file.key}")
        console.print(f"[green]uploaded[/]  {url}  [dim]{terminal.size(file.size)}[/]")
    if uploaded:
        terminal.inform(
            "A run starts when no more files arrive for a moment. Follow it with "
            f"[bold]refit watch {model}[/]"
        )
    else:
        terminal.inform(f"The settings apply from the next run on: [bold]refit put {model} FILE[/]")
