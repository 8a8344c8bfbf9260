"""`refit predict`: get predictions from the live model."""
# ruff: noqa: PLC0415 (imports that are slow wait until the command runs)

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 (Typer reads the annotations)
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from refit.domain.naming import checked_model_name
from rich.markup import escape

from refit_cli import options, terminal
from refit_cli.errors import BadInput
from refit_cli.plurals import counted
from refit_cli.runtime import runtime_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit.domain.data_settings import DataSettings
    from refit.domain.schema import Schema

    from refit_cli.api.prediction_api import PredictedRow
    from refit_cli.connection import StackConnection
    from refit_cli.rows import SkippedRows


def predict(
    context: typer.Context,
    model: options.Model,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Rows in any format of `refit put`, with or without the label; - reads stdin.",
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
            help="Column with the true label: its name, its position from 0, or last. It is not "
            "sent; the predictions are compared with it. Default: the model's label, if the file "
            "has it.",
        ),
    ] = None,
    port: options.Port = None,
    stack_name: options.StackName = options.DEFAULT_STACK,
    aws: options.Aws = False,
    json: options.Json = False,
) -> None:
    r"""Get a prediction of each row from the live model, over HTTP.

    The rows are sent in as many requests as the size limits require, a few at a
    time; the output is in the order of the rows. The file is read as the files
    that the model was trained on: delimiter, header, missing values, numbers,
    columns that are left out. So a file that was trained on can be predicted as
    it is. Named columns are sent by name, so their order does not matter. Rows
    that cannot be read are skipped and reported.

    [bold]Examples[/]
      refit predict digits rows.csv
      refit predict digits rows.csv --json > answers.jsonl
      refit predict digits test.csv --label digit    also prints the accuracy
      refit predict digits test.csv --label last
      head -1 rows.csv | refit predict digits -
      refit predict churn rows.csv --columns age,plan,country

    [bold]--json[/] writes one object per row: row, inferenceId, prediction, and
    probabilities by class (with a label column, also label). Labels that are sent
    later refer to the inferenceId.

    [bold]Exit codes[/]  0 the rows are predicted · 1 the API failed · 2 a file or name
    is invalid, the model has no live version, or more rows are skipped than
    max_bad_fraction allows · 3 stack, API key or endpoint not available
    """
    from refit.tabular.predicted_rows import Reading

    from refit_cli.api.prediction_api import PredictionApi
    from refit_cli.connection import connected
    from refit_cli.rows import open_table

    checked_model_name(model)
    names = [name.strip() for name in columns.split(",")] if columns else None
    target = options.StackTarget(port, stack_name, aws)
    with connected(target, runtime_of(context)) as connection:
        version = _live_version(connection, model)
        schema, settings = version.schema, version.settings
        reading = Reading(schema, settings, version.delimiter, header, names, label)
        with open_table(file, reading) as table:
            if table.label is not None:
                terminal.inform(
                    f"[dim]{escape(repr(table.label))} is the label: it is not sent, and the "
                    "predictions are compared with it[/]"
                )
            api = PredictionApi(connection.api_access(model, "predict"))
            score = _Score(schema)
            started = time.monotonic()
            for row in score.counting(api.predict(table)):
                if json:
                    known = {} if row.label is None else {"label": row.label}
                    terminal.write_json({"row": row.row} | row.answer | known)
                else:
                    _print_row(row, score)
            _print_summary(score, api.calls, time.monotonic() - started)
            _report_skipped(table.skipped, score.rows, settings.max_bad_fraction)


@dataclass(frozen=True)
class _Version:
    """What is needed of the live version to read a file.

    Attributes:
        delimiter: that of the data it was trained on; None if it is not known.
    """

    schema: Schema
    settings: DataSettings
    delimiter: str | None


def _live_version(connection: StackConnection, model: str) -> _Version:
    from refit.domain.data_settings import DataSettings
    from refit.domain.errors import ObjectNotFound

    champion = connection.models.champion(model)
    if champion is None:
        raise BadInput(
            f"the model {model!r} has no live version on {connection.location}",
            f"upload data: refit put {model} FILE; then follow its run: refit watch {model}",
        )
    schema = connection.artifacts.schema(model, champion.run).own
    try:
        manifest = connection.artifacts.manifest(model, champion.run)
    except ObjectNotFound:
        return _Version(schema, DataSettings(), None)
    learned = manifest.learned
    return _Version(schema, manifest.settings.data, learned.delimiter if learned else None)


class _Score:
    """Counts predictions, and compares them with the labels if there are any.

    Labels are read as in training, so `1.0` is the class `1`.
    """

    def __init__(self, schema: Schema) -> None:
        self.rows = 0
        self.correct = 0
        self.labelled = 0
        self.unreadable = 0
        self.unknown_classes = 0
        self.squared_error = 0.0
        self.version: int | None = None
        self._schema = schema

    def counting(self, rows: Iterator[PredictedRow]) -> Iterator[PredictedRow]:
        """Count the rows while they are passed on."""
        for row in rows:
            self.rows += 1
            self.version = row.model_version
            if row.label is not None:
                self._compare(row.answer, row.label)
            yield row

    def is_wrong(self, answer: dict[str, Any], label: str) -> bool:
        """Return whether the predicted class is another than the label."""
        classes = self._schema.classes
        code = self._schema.encode_label(label)
        return classes is not None and (code is None or classes[int(code)] != answer["prediction"])

    def _compare(self, answer: dict[str, Any], label: str) -> None:
        code = self._schema.encode_label(label)
        if code is None and (self._schema.classes is None or self._is_missing(label)):
            self.unreadable += 1
            return
        self.labelled += 1
        if self._schema.classes is None:
            self.squared_error += (float(answer["prediction"]) - float(code or 0)) ** 2
        else:
            self.unknown_classes += code is None
            self.correct += not self.is_wrong(answer, label)

    def _is_missing(self, label: str) -> bool:
        return self._schema.label_reading.is_missing(label.strip())

    @property
    def summary(self) -> str:
        """Accuracy or RMSE; empty without labels."""
        parts = []
        if self.labelled and self._schema.classes is None:
            parts.append(f"RMSE {(self.squared_error / self.labelled) ** 0.5:.6g}")
        elif self.labelled:
            share = self.correct / self.labelled
            parts.append(f"accuracy {share:.2%} ({self.correct:,} correct)")
        if self.unknown_classes:
            parts.append(f"{self.unknown_classes:,} labels are classes that the model has not")
        if self.unreadable:
            parts.append(f"{self.unreadable:,} labels are missing or cannot be read")
        return "".join(f", {part}" for part in parts)


def _print_row(row: PredictedRow, score: _Score) -> None:
    """Write a prediction as plain text: Rich would take seconds for ten thousand lines."""
    prediction = str(row.answer["prediction"])
    probabilities = row.answer.get("probabilities")
    probability = f"{probabilities[prediction]:8.2%}" if probabilities else ""
    label = "" if row.label is None else f"  label {row.label}"
    if row.label is not None and score.is_wrong(row.answer, row.label):
        label += "  wrong"
    sys.stdout.write(
        f"{row.row:>7}  {prediction:<12} {probability}  {row.answer['inferenceId']}{label}\n"
    )


def _print_summary(score: _Score, calls: int, seconds: float) -> None:
    speed = f"{score.rows / seconds:,.0f} rows/s" if seconds > 0 else ""
    terminal.inform(
        f"[dim]{counted(score.rows, 'row')} in {counted(calls, 'request')}, "
        f"{terminal.duration(seconds)}, {speed}; model version {score.version}"
        f"{score.summary}[/]"
    )


def _report_skipped(skipped: SkippedRows, good: int, max_bad_fraction: float) -> None:
    """Say which rows were not predicted.

    Raises:
        BadInput: if they are more than a run would accept, or there is no other row.
    """
    if not skipped.count:
        if not good:
            raise BadInput("there is no row to predict")
        return
    reasons = "; ".join(skipped.first)
    text = f"{skipped.count:,} of {skipped.count + good:,} rows cannot be read: {reasons}"
    if skipped.count > max_bad_fraction * (skipped.count + good):
        raise BadInput(text, "correct these rows; the others were predicted")
    terminal.inform(f"[yellow]skipped[/]  {escape(text)}")
