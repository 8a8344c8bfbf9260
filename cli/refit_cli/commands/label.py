"""`refit label`: send the true labels of predictions."""
# ruff: noqa: PLC0415 (imports that are slow wait until the command runs)

from __future__ import annotations

import math
from collections import Counter
from functools import partial
from itertools import islice
from pathlib import Path  # noqa: TC003 (Typer reads the annotations)
from typing import TYPE_CHECKING, Annotated, Any, TypeGuard

import typer
from refit.domain.naming import checked_model_name
from rich.markup import escape

from refit_cli import options, terminal
from refit_cli.errors import BadInput, RunFailed
from refit_cli.runtime import runtime_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit.domain.inferences.label_records import LabelRecord, Sent
    from rich.progress import Progress

    from refit_cli.api.ground_truth_api import GroundTruthApi

_STATUSES = ("new", "repeat", "corrected", "held", "rejected")
_BLOCK_BYTES = 1024 * 1024
_SHOWN_REASONS = 5


def label(
    context: typer.Context,
    model: options.Model,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Labels as CSV, JSON lines or JSON, also gzipped; - reads stdin."
        ),
    ],
    *,
    port: options.Port = None,
    stack_name: options.StackName = options.DEFAULT_STACK,
    aws: options.Aws = False,
    json: options.Json = False,
) -> None:
    r"""Send the true labels of predictions over HTTP, and report each one's status.

    A CSV line is inferenceId,label or inferenceId,label,observedAt, in any
    order if the first line names the columns (inference_id is also understood).
    A JSON line is an object with these keys, or a SageMaker ground-truth record;
    a JSON list of such objects is read as well. observedAt is ISO 8601 with an
    offset; by default it is the time of receipt. If a prediction has several
    labels, the one observed last counts, so a file can be sent again safely; of
    several without observedAt in one file, the last one.

      new        the first label of the prediction
      repeat     already recorded, or older than the recorded label
      corrected  replaces another label
      held       the prediction is not recorded yet; the label waits for it
      rejected   not used; a reason is given

    [bold]Examples[/]
      refit label digits labels.csv
      refit label digits labels.jsonl.gz --json > results.jsonl
      refit predict digits test.csv --label 0 --json \
        | jq -c '{inferenceId, label}' | refit label digits -

    [bold]--json[/] writes one object per record: line, inferenceId, status, and
    reason if there is one.

    [bold]Exit codes[/]  0 all accepted · 1 some were rejected, or the API failed ·
    2 the name or the file is invalid · 3 stack or API key not available ·
    130 interrupted; what was sent until then is recorded
    """
    from refit.tabular.label_files import labels_in

    from refit_cli.api.ground_truth_api import GroundTruthApi
    from refit_cli.connection import connected
    from refit_cli.rows import open_bytes

    checked_model_name(model)
    name = "stdin" if str(file) == "-" else str(file)
    tally = _Tally(json)
    target = options.StackTarget(port, stack_name, aws)
    with open_bytes(file) as stream, connected(target, runtime_of(context)) as connection:
        api = GroundTruthApi(connection.api_access(model, "label"))
        records = labels_in(iter(partial(stream.read, _BLOCK_BYTES), b""), name)
        try:
            _send(api, records, tally)
        finally:
            tally.print()
    tally.raise_unless_accepted(name)


class _Tally:
    """Counts the records by status, and keeps the first reasons for a rejection."""

    def __init__(self, json: bool) -> None:
        self.counts: Counter[str] = Counter()
        self.unreadable = 0
        self._reasons: list[str] = []
        self._json = json

    @property
    def total(self) -> int:
        """Number of records that have a result or are unreadable."""
        return self.counts.total()

    def add(self, line: int | None, result: dict[str, Any]) -> None:
        """Count a record's result; with --json, write it immediately."""
        self.counts[result["status"]] += 1
        if result["status"] == "rejected" and len(self._reasons) < _SHOWN_REASONS:
            self._reasons.append(f"line {line}: {result.get('reason')}")
        if self._json:
            terminal.write_json({"line": line} | result)

    def print(self) -> None:
        """Print the number of records by status, and the first reasons for a rejection."""
        if not self.total:
            return
        counts = [(status, self.counts[status]) for status in _STATUSES if self.counts[status]]
        if self._json:
            terminal.inform(", ".join(f"{number:,} {status}" for status, number in counts))
        else:
            for status, number in counts:
                terminal.results().print(f"{status:<10}{number:>9,}")
        for reason in self._reasons:
            terminal.inform(f"[yellow]rejected[/]  {escape(reason)}")
        if self.counts["rejected"] > len(self._reasons):
            terminal.inform("[dim]more were rejected; --json lists all of them[/]")

    def raise_unless_accepted(self, name: str) -> None:
        """Check that the file had labels and all were accepted.

        Raises:
            BadInput: when the file contains no label.
            RunFailed: when some labels were rejected.
        """
        if self.unreadable == self.total:
            problem = "contains no labels" if not self.total else "has no line that is a label"
            raise BadInput(
                f"{name} {problem}",
                "a line is inferenceId,label[,observedAt], or a JSON object with these keys",
            )
        if rejected := self.counts["rejected"]:
            raise RunFailed(f"{rejected:,} of {self.total:,} labels were rejected")


def _send(api: GroundTruthApi, records: Iterator[Sent], tally: _Tally) -> None:
    from refit.domain.inferences.label_records import MAX_RECORDS

    with _progress() as progress:
        task = progress.add_task("labels", total=None)
        while batch := list(islice(records, MAX_RECORDS)):
            _send_batch(api, batch, tally)
            progress.update(task, completed=tally.total)


def _progress() -> Progress:
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TimeElapsedColumn

    console = terminal.messages()
    return Progress(
        SpinnerColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _send_batch(api: GroundTruthApi, batch: list[Sent], tally: _Tally) -> None:
    """Send the records of a batch, and count all results in the order of the lines."""
    results = iter(api.send([_body(record) for record in batch if _is_sendable(record)]))
    for record in batch:
        is_sent = _is_sendable(record)
        tally.unreadable += not is_sent
        tally.add(record.line, next(results) if is_sent else _rejection(record))


def _is_sendable(record: Sent) -> TypeGuard[LabelRecord]:
    from refit.domain.inferences.label_records import LabelRecord

    return isinstance(record, LabelRecord) and record.event_size is None


def _rejection(record: Sent) -> dict[str, Any]:
    """Return the result of a line that is not sent."""
    from refit.domain.inferences.label_records import BadLine

    if isinstance(record, BadLine):
        return {"status": "rejected", "reason": record.reason}
    reason = (
        f"it lists {record.event_size} labels for the rows of one event: upload the file to the "
        "bucket, below MODEL/ground-truth/, where the number of labels is checked"
    )
    return {"inferenceId": record.inference_id, "status": "rejected", "reason": reason}


def _body(record: LabelRecord) -> dict[str, Any]:
    value = record.label
    if isinstance(value, float) and not math.isfinite(value):
        value = str(value)  # JSON has no such number; the API's error names it
    body = {"inferenceId": record.inference_id, "label": value}
    return body if record.observed_at is None else body | {"observedAt": record.observed_at}
