"""`refit label`: tell the live model what was true."""
# ruff: noqa: PLC0415 (what is slow to import waits until the command runs)

from __future__ import annotations

import math
from collections import Counter
from functools import partial
from itertools import islice
from pathlib import Path  # noqa: TC003 (Typer reads the annotations)
from typing import TYPE_CHECKING, Annotated, Any

import typer
from refit.domain.naming import checked_model_name
from rich.markup import escape

from refit_cli import options, terminal
from refit_cli.errors import BadInput, RunFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit.domain.inferences.ground_truth_records import LabelRecord, Sent
    from rich.progress import Progress

    from refit_cli.ground_truth_api import GroundTruthApi

_STATUSES = ("new", "repeat", "corrected", "held", "rejected")
_BLOCK_BYTES = 1024 * 1024
_SHOWN_REASONS = 5


def label(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model's name.")],
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Labels: CSV or JSON lines, each also as .gz; - is stdin."
        ),
    ],
    *,
    port: options.Port = None,
    stack_name: options.StackName = options.DEFAULT_STACK,
    aws: options.Aws = False,
    json: options.Json = False,
) -> None:
    r"""Send the labels of predictions over HTTP, and see what became of each.

    A line of CSV is inferenceId,label or inferenceId,label,observedAt, in any
    order where a first line names them; a JSON line is an object with these
    keys, or a SageMaker ground-truth record. observedAt is ISO 8601 with
    offset; without it a label is observed when it is received. Of several
    labels for one prediction the one observed last holds, so a file may be
    sent again at any time.

      new        the first label of a prediction
      repeat     known already, or older than what is known
      corrected  it takes the place of another label
      held       no such prediction yet: it waits for it
      rejected   it is not used, with the reason

    [bold]Examples[/]
      refit label digits labels.csv
      refit label digits labels.jsonl.gz --json > results.jsonl
      refit predict digits test.csv --label 0 --json \
        | jq -c '{inferenceId, label}' | refit label digits -

    [bold]--json[/] writes one object a record: line, inferenceId, status, and the
    reason where there is one.

    [bold]Exit codes[/]  0 all taken · 1 some were rejected, or the API failed · 2 a
    name or the file is wrong · 3 no ground, stack or key · 130 interrupted;
    what was sent until then was taken
    """
    from refit.tabular.label_files import labels_in

    from refit_cli.connection import connected
    from refit_cli.ground_truth_api import GroundTruthApi
    from refit_cli.rows import open_bytes

    checked_model_name(model)
    name = "stdin" if str(file) == "-" else str(file)
    tally = _Tally(json)
    with open_bytes(file) as stream, connected(options.Target(port, stack_name, aws)) as connection:
        api = GroundTruthApi(connection.stack.api_url, connection.api_key, model)
        sent = labels_in(iter(partial(stream.read, _BLOCK_BYTES), b""), name)
        try:
            _send(api, sent, tally)
        finally:
            tally.show()
    tally.raise_unless_taken(name)


class _Tally:
    """Counts what became of the records, and keeps the first reasons."""

    def __init__(self, json: bool) -> None:
        self.counts: Counter[str] = Counter()
        self.unreadable = 0
        self._reasons: list[str] = []
        self._json = json

    @property
    def total(self) -> int:
        """How many records were answered or found unreadable."""
        return self.counts.total()

    def add(self, line: int | None, result: dict[str, Any]) -> None:
        """Take down one record's result; with --json it is written at once."""
        self.counts[result["status"]] += 1
        if result["status"] == "rejected" and len(self._reasons) < _SHOWN_REASONS:
            self._reasons.append(f"line {line}: {result.get('reason')}")
        if self._json:
            terminal.write_json({"line": line} | result)

    def show(self) -> None:
        """Say how many records had which outcome, and why the first were rejected."""
        if not self.total:
            return
        shown = [(status, self.counts[status]) for status in _STATUSES if self.counts[status]]
        if self._json:
            terminal.remark(", ".join(f"{number:,} {status}" for status, number in shown))
        else:
            for status, number in shown:
                terminal.results().print(f"{status:<10}{number:>9,}")
        for reason in self._reasons:
            terminal.remark(f"[yellow]rejected[/]  {escape(reason)}")
        if self.counts["rejected"] > len(self._reasons):
            terminal.remark("[dim]and more; --json tells of each[/]")

    def raise_unless_taken(self, name: str) -> None:
        """Raise BadInput when the file holds no label, RunFailed when some were rejected."""
        if self.unreadable == self.total:
            what = "holds no label" if not self.total else "has no line that is a label"
            raise BadInput(
                f"{name} {what}",
                "a line is inferenceId,label[,observedAt], or a JSON object with these keys",
            )
        if rejected := self.counts["rejected"]:
            raise RunFailed(f"{rejected:,} of {self.total:,} labels were rejected")


def _send(api: GroundTruthApi, sent: Iterator[Sent], tally: _Tally) -> None:
    from refit.domain.inferences.ground_truth_records import MAX_RECORDS

    with _progress() as progress:
        task = progress.add_task("labels", total=None)
        while some := list(islice(sent, MAX_RECORDS)):
            _send_some(api, some, tally)
            progress.update(task, completed=tally.total)


def _progress() -> Progress:
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TimeElapsedColumn

    console = terminal.remarks()
    return Progress(
        SpinnerColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _send_some(api: GroundTruthApi, some: list[Sent], tally: _Tally) -> None:
    """Send records, and take down what became of each in the order of the lines."""
    results = [_refused(one) for one in some]
    records = [_body(one) for one, refused in zip(some, results, strict=True) if refused is None]
    answered = iter(api.send(records))
    for one, refused in zip(some, results, strict=True):
        tally.unreadable += refused is not None
        tally.add(one.line, refused or next(answered))


def _refused(one: Sent) -> dict[str, Any] | None:
    """Return why a line is not sent; None for one that is."""
    from refit.domain.inferences.ground_truth_records import BadLine

    if isinstance(one, BadLine):
        return {"status": "rejected", "reason": one.reason}
    if one.of is not None:
        reason = (
            f"it lists {one.of} labels for the rows of one event: drop the file into the bucket, "
            "below MODEL/ground-truth/, where that is checked"
        )
        return {"inferenceId": one.inference_id, "status": "rejected", "reason": reason}
    return None


def _body(record: LabelRecord) -> dict[str, Any]:
    value = record.label
    if isinstance(value, float) and not math.isfinite(value):
        value = str(value)  # JSON has no such number; it is refused by its name
    body = {"inferenceId": record.inference_id, "label": value}
    return body if record.observed_at is None else body | {"observedAt": record.observed_at}
