"""`refit predict`: ask the live model."""
# ruff: noqa: PLC0415 (what is slow to import waits until the command runs)

from __future__ import annotations

import sys
import time
from pathlib import Path  # noqa: TC003 (Typer reads the annotations)
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from refit.domain.naming import checked_model_name

from refit_cli import options, terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit_cli.prediction_api import Prediction


def predict(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model's name.")],
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Rows without label: CSV, CSV.gz or Parquet; - is stdin."
        ),
    ],
    *,
    header: Annotated[
        Literal["auto", "yes", "no"],
        typer.Option("--header", help="Whether the first line names the columns."),
    ] = "auto",
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns", metavar="A,B,…", help="The columns' names, when no header gives them."
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            "--label",
            metavar="COLUMN",
            help="A column (name, or position from 0) that holds the truth: it is not sent, and "
            "the answers are compared with it.",
        ),
    ] = None,
    port: options.Port = None,
    stack_name: options.StackName = options.DEFAULT_STACK,
    aws: options.Aws = False,
    json: options.Json = False,
) -> None:
    """Ask the live model over HTTP for a prediction of each row.

    Rows go out in as many calls as the size limits ask for, a few at a time,
    and the answers come in the order of the rows. Named columns are sent by
    name, so their order does not matter.

    [bold]Examples[/]
      refit predict digits rows.csv
      refit predict digits rows.csv --json > answers.jsonl
      refit predict digits test.csv --label 0        also says how many were right
      head -1 rows.csv | refit predict digits -
      refit predict churn rows.csv --columns age,plan,country

    [bold]--json[/] writes one object a row: inferenceId, prediction, and
    probabilities by class (label too, with --label). The inferenceId is what a
    label is later sent back with.

    [bold]Exit codes[/]  0 all rows answered · 1 the API failed · 2 a row, file or
    name is wrong · 3 no ground, stack, key or ready endpoint
    """
    from refit_cli.connection import connected
    from refit_cli.prediction_api import PredictionApi
    from refit_cli.rows import open_table

    checked_model_name(model)
    names = [name.strip() for name in columns.split(",")] if columns else None
    with (
        open_table(file, header, names, label) as table,
        connected(options.Target(port, stack_name, aws)) as connection,
    ):
        api = PredictionApi(connection.stack.api_url, connection.api_key, model)
        score = _Score()
        began = time.monotonic()
        for prediction in score.counting(api.predict(table)):
            if json:
                known = {} if prediction.label is None else {"label": prediction.label}
                terminal.write_json(prediction.answer | known)
            else:
                _print_row(prediction)
        _say_how_it_went(score, api.calls, time.monotonic() - began)


class _Score:
    """Counts answers, and how they compare with labels where there are any."""

    def __init__(self) -> None:
        self.rows = 0
        self.right = 0
        self.labelled = 0
        self.squared_error = 0.0
        self.is_regression = False
        self.version: int | None = None

    def counting(self, predictions: Iterator[Prediction]) -> Iterator[Prediction]:
        """Pass the predictions on, counted."""
        for prediction in predictions:
            self.rows += 1
            self.version = prediction.model_version
            if prediction.label is not None:
                self._compare(prediction)
            yield prediction

    def _compare(self, prediction: Prediction) -> None:
        said = prediction.answer["prediction"]
        self.labelled += 1
        self.is_regression = "probabilities" not in prediction.answer
        if self.is_regression:
            self.squared_error += (float(said) - float(prediction.label or "nan")) ** 2
        else:
            self.right += str(said) == prediction.label

    @property
    def verdict(self) -> str:
        """Say how good the answers were."""
        if not self.labelled:
            return ""
        if self.is_regression:
            return f", RMSE {(self.squared_error / self.labelled) ** 0.5:.6g}"
        return f", accuracy {self.right / self.labelled:.2%} ({self.right:,} right)"


def _print_row(prediction: Prediction) -> None:
    """Write a row's answer as plain text: styling each of ten thousand lines takes seconds."""
    answer = prediction.answer
    said = str(answer["prediction"])
    probabilities = answer.get("probabilities")
    sure = f"{probabilities[said]:8.2%}" if probabilities else ""
    truth = "" if prediction.label is None else f"  truth {prediction.label}"
    if probabilities and truth and prediction.label != said:
        truth += "  wrong"
    sys.stdout.write(f"{prediction.row:>7}  {said:<12} {sure}  {answer['inferenceId']}{truth}\n")


def _say_how_it_went(score: _Score, calls: int, seconds: float) -> None:
    speed = f"{score.rows / seconds:,.0f} rows/s" if seconds > 0 else ""
    terminal.remark(
        f"[dim]{score.rows:,} rows in {calls} call{'' if calls == 1 else 's'}, "
        f"{terminal.duration(seconds)}, {speed}; answered by version {score.version}"
        f"{score.verdict}[/]"
    )
