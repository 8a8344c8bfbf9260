"""`refit predict`: get predictions from the live model."""
# ruff: noqa: PLC0415 (imports that are slow wait until the command runs)

from __future__ import annotations

import sys
import time
from pathlib import Path  # noqa: TC003 (Typer reads the annotations)
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from refit.domain.naming import checked_model_name

from refit_cli import options, terminal
from refit_cli.runtime import runtime_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit_cli.api.prediction_api import PredictedRow


def predict(
    context: typer.Context,
    model: options.Model,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Rows without label as CSV, CSV.gz or Parquet; - reads stdin."
        ),
    ],
    *,
    header: Annotated[
        Literal["auto", "yes", "no"],
        typer.Option("--header", help="Whether the first line contains the column names."),
    ] = "auto",
    columns: Annotated[
        str | None,
        typer.Option("--columns", metavar="A,B,…", help="Column names, if the file has no header."),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            "--label",
            metavar="COLUMN",
            help="Column (name, or index from 0) with the true label. It is not sent; the "
            "predictions are compared with it.",
        ),
    ] = None,
    port: options.Port = None,
    stack_name: options.StackName = options.DEFAULT_STACK,
    aws: options.Aws = False,
    json: options.Json = False,
) -> None:
    """Get a prediction of each row from the live model, over HTTP.

    The rows are sent in as many requests as the size limits require, a few at a
    time; the output is in the order of the rows. Named columns are sent by
    name, so their order does not matter.

    [bold]Examples[/]
      refit predict digits rows.csv
      refit predict digits rows.csv --json > answers.jsonl
      refit predict digits test.csv --label 0        also prints the accuracy
      head -1 rows.csv | refit predict digits -
      refit predict churn rows.csv --columns age,plan,country

    [bold]--json[/] writes one object per row: inferenceId, prediction, and
    probabilities by class (with --label, also label). Labels that are sent
    later refer to the inferenceId.

    [bold]Exit codes[/]  0 all rows predicted · 1 the API failed · 2 a row, file or
    name is invalid · 3 stack, API key or endpoint not available
    """
    from refit_cli.api.prediction_api import PredictionApi
    from refit_cli.connection import connected
    from refit_cli.rows import open_table

    checked_model_name(model)
    names = [name.strip() for name in columns.split(",")] if columns else None
    target = options.StackTarget(port, stack_name, aws)
    with (
        open_table(file, header, names, label) as table,
        connected(target, runtime_of(context)) as connection,
    ):
        api = PredictionApi(connection.api_access(model))
        score = _Score()
        started = time.monotonic()
        for row in score.counting(api.predict(table)):
            if json:
                known = {} if row.label is None else {"label": row.label}
                terminal.write_json(row.answer | known)
            else:
                _print_row(row)
        _print_summary(score, api.calls, time.monotonic() - started)


class _Score:
    """Counts predictions, and compares them with the labels if there are any."""

    def __init__(self) -> None:
        self.rows = 0
        self.correct = 0
        self.labelled = 0
        self.squared_error = 0.0
        self.is_regression = False
        self.version: int | None = None

    def counting(self, rows: Iterator[PredictedRow]) -> Iterator[PredictedRow]:
        """Count the rows while they are passed on."""
        for row in rows:
            self.rows += 1
            self.version = row.model_version
            if row.label is not None:
                self._compare(row.answer, row.label)
            yield row

    def _compare(self, answer: dict[str, Any], label: str) -> None:
        self.labelled += 1
        self.is_regression = "probabilities" not in answer
        if self.is_regression:
            self.squared_error += (float(answer["prediction"]) - float(label or "nan")) ** 2
        else:
            self.correct += str(answer["prediction"]) == label

    @property
    def summary(self) -> str:
        """Accuracy or RMSE; empty without labels."""
        if not self.labelled:
            return ""
        if self.is_regression:
            return f", RMSE {(self.squared_error / self.labelled) ** 0.5:.6g}"
        return f", accuracy {self.correct / self.labelled:.2%} ({self.correct:,} correct)"


def _print_row(row: PredictedRow) -> None:
    """Write a prediction as plain text: Rich would take seconds for ten thousand lines."""
    prediction = str(row.answer["prediction"])
    probabilities = row.answer.get("probabilities")
    probability = f"{probabilities[prediction]:8.2%}" if probabilities else ""
    label = "" if row.label is None else f"  label {row.label}"
    if probabilities and label and row.label != prediction:
        label += "  wrong"
    sys.stdout.write(
        f"{row.row:>7}  {prediction:<12} {probability}  {row.answer['inferenceId']}{label}\n"
    )


def _print_summary(score: _Score, calls: int, seconds: float) -> None:
    speed = f"{score.rows / seconds:,.0f} rows/s" if seconds > 0 else ""
    terminal.inform(
        f"[dim]{score.rows:,} rows in {calls} request{'' if calls == 1 else 's'}, "
        f"{terminal.duration(seconds)}, {speed}; model version {score.version}"
        f"{score.summary}[/]"
    )
