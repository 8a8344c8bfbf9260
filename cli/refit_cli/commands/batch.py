"""`refit batch`: predict all rows of a file with the live version."""
# ruff: noqa: PLC0415 (imports that are slow wait until the command runs)

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from refit.domain.naming import BatchKeys, ModelKeys, batch_id, checked_model_name
from rich.markup import escape

from refit_cli import options, terminal
from refit_cli.errors import BadInput
from refit_cli.runtime import runtime_of


def batch(
    context: typer.Context,
    model: options.Model,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Rows to predict, up to 1 GB.")],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where the result is written. Default: predictions-FILE in this directory.",
        ),
    ] = None,
    timeout_s: options.Timeout = None,
    port: options.Port = None,
    stack_name: options.StackName = options.DEFAULT_STACK,
    aws: options.Aws = False,
    json: options.Json = False,
) -> None:
    """Predict all rows of a file, without an endpoint, and download the result.

    The file is put below batch/in/ of the model; a transform job predicts it
    with the live version. It may have any form that can be trained on. The
    label column and columns that the model leaves out may be there. Refused rows
    are in quarantine, with reasons. The result has the number of each row, its
    id, prediction, probabilities and version, in the order of the file.

    [bold]Examples[/]
      refit batch churn customers.parquet
      refit batch churn customers.csv.gz --output scored.csv.gz
      refit watch churn --batch            follow the newest batch

    [bold]Exit codes[/]  0 predicted · 1 the batch failed, or the model is being removed ·
    2 a name or file is invalid, or the model has no live version · 3 stack not
    found or not reachable · 4 timeout · 130 interrupted; the batch goes on
    """
    from refit.domain.pipeline.batch import MAX_FILE_BYTES
    from refit.domain.pipeline.drop_files import is_marker

    from refit_cli.batches import batch_json, download_result, follow_batch
    from refit_cli.connection import connected
    from refit_cli.removal.removal import check_not_being_removed
    from refit_cli.uploads import checked_file, upload_with_progress

    checked_model_name(model)
    planned = checked_file(file, f"{ModelKeys(model).batch_input}{file.name}")
    if planned.size > MAX_FILE_BYTES:
        raise BadInput(
            f"{file} has {planned.size:,} bytes; a batch predicts files of up to "
            f"{MAX_FILE_BYTES:,}",
            "divide it, and predict each part",
        )
    if is_marker(file.name):
        raise BadInput(
            f"{file} has a name of files that other programs write beside data, and is skipped",
            "rename it so that it does not begin with _ or a dot",
        )
    if output is not None and not output.parent.is_dir():
        raise BadInput(
            f"{output} cannot be written: there is no directory {output.parent}",
            "make it, or choose another file with --output",
        )
    with connected(options.StackTarget(port, stack_name, aws), runtime_of(context)) as connection:
        check_not_being_removed(connection, model)
        if connection.models.champion(model) is None:
            raise BadInput(
                f"the model {model!r} has no live version on {connection.location}",
                f"upload data: refit put {model} FILE; then follow its run: refit watch {model}",
            )
        try:
            (uploaded,) = upload_with_progress(connection, [planned])
        except KeyboardInterrupt:
            terminal.inform("the file was not uploaded, so there is no batch")
            raise
        version = uploaded.version or connection.bucket.latest_version(uploaded.key)
        name = batch_id(model, uploaded.key, version)
        found = follow_batch(connection, model, name, timeout_s=timeout_s, json=json)
        result = BatchKeys(model, name).result(file.name).rpartition("/")[2]
        target = output or Path(f"predictions-{result.replace('.predictions.csv', '.csv')}")
        download_result(connection, found, target)
    if json:
        terminal.write_json({"event": "result", "downloaded": str(target), **batch_json(found)})
    else:
        predicted = "1 row is" if found.rows == 1 else f"{found.rows:,} rows are"
        terminal.results().print(f"{predicted} predicted: {escape(str(target))}")
        if found.quarantine:
            terminal.inform(
                f"[yellow]{found.refused:,} {'row was' if found.refused == 1 else 'rows were'} "
                "refused[/]: "
                f"s3://{connection.stack.bucket}/{found.quarantine}"
            )
