"""`refit put`: drop data for a model."""
# ruff: noqa: PLC0415 (what is slow to import waits until the command runs)

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path  # noqa: TC003 (Typer reads the annotations)
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from refit.domain.naming import ModelKeys, checked_model_name
from rich.markup import escape

from refit_cli import options, terminal
from refit_cli.errors import BadInput

if TYPE_CHECKING:
    from refit_cli.connection import Connection
    from refit_cli.uploads import PlannedFile, UploadedFile


def put(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="The model's name: a-z, 0-9 and hyphen.")
    ],
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE…", help="Data files, or a directory with split folders."),
    ] = None,
    *,
    split: Annotated[
        Literal["train", "validation", "test"] | None,
        typer.Option("--split", help="These files are this split; Refit then splits nothing."),
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option("--settings", metavar="FILE", help="A model.toml to put in place first."),
    ] = None,
    port: options.Port = None,
    stack_name: options.StackName = options.DEFAULT_STACK,
    aws: options.Aws = False,
    json: options.Json = False,
) -> None:
    """Drop data for a model. A run starts by itself once the folder has been quiet.

    All files given together make one drop, and one run. Read are CSV (any of ,
    ; | tab, with or without a header), CSV.gz, Parquet, mnist.pkl.gz and IDX
    pairs. The label is the first column unless model.toml says otherwise.

    [bold]Examples[/]
      refit put digits train.csv
      refit put digits january.csv february.csv.gz
      refit put digits path/to/mnist.pkl.gz
      refit put churn --split test holdout.csv
      refit put churn folder/                 holding train/… and test/…
      refit put churn --settings model.toml   settings only, for the next drop on

    [bold]Exit codes[/]  0 dropped · 2 a name, file or setting is wrong, nothing was
    uploaded · 3 no ground or stack · 130 interrupted, nothing was dropped
    """
    from refit_cli.connection import connected
    from refit_cli.uploads import plan_files

    checked_model_name(model)
    toml = _checked_settings(settings) if settings else None
    planned = plan_files(model, files or [], split)
    if not planned and toml is None:
        raise BadInput(
            "there is nothing to put: no FILE and no --settings",
            f"refit put {model} FILE",
        )
    target = options.Target(port, stack_name, aws)
    with connected(target) as connection:
        settings_key = put_settings(connection, model, toml) if toml is not None else None
        uploaded = upload_with_progress(connection, planned) if planned else []
        bucket = connection.stack.bucket
    if json:
        objects = [asdict(file) for file in uploaded]
        terminal.write_json(
            {"model": model, "bucket": bucket, "settings": settings_key, "objects": objects}
        )
        return
    _say_what_happens_next(model, bucket, settings_key, uploaded)


def _checked_settings(path: Path) -> bytes:
    from refit.domain.model_settings import parse_settings

    try:
        text = path.read_bytes()
        parse_settings(text.decode())
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 text: byte {error.start} cannot be read") from error
    return text


def put_settings(connection: Connection, model: str, toml: bytes) -> str:
    """Put a checked model.toml in place; return its key."""
    key = ModelKeys(model).settings
    connection.client("s3").put_object(
        Bucket=connection.stack.bucket, Key=key, Body=toml, ContentType="application/toml"
    )
    return key


def upload_with_progress(connection: Connection, planned: list[PlannedFile]) -> list[UploadedFile]:
    """Upload files as one drop; on a terminal with a bar for each."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from refit_cli.uploads import Uploader

    console = terminal.remarks()
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(
        *columns,
        TransferSpeedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        bars = {file.key: progress.add_task(file.path.name, total=file.size) for file in planned}
        return Uploader(
            connection.client("s3"),
            connection.stack.bucket,
            lambda file, n_bytes: progress.advance(bars[file.key], n_bytes),
        ).upload(planned)


def _say_what_happens_next(
    model: str, bucket: str, settings_key: str | None, uploaded: list[UploadedFile]
) -> None:
    console = terminal.results()
    if settings_key:
        console.print(f"[green]put[/]  s3://{bucket}/{settings_key}")
    for file in uploaded:
        place = escape(f"s3://{bucket}/{file.key}")
        console.print(f"[green]put[/]  {place}  [dim]{terminal.size(file.size)}[/]")
    if uploaded:
        terminal.remark(
            "A run starts when the drop folder has been quiet for a moment. See it with: "
            f"[bold]refit watch {model}[/]"
        )
    else:
        terminal.remark(f"It holds from the next drop on: [bold]refit put {model} FILE[/]")
