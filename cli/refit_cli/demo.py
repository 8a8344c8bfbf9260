"""`refit demo`: the whole round on real handwritten digits."""
# ruff: noqa: PLC0415 (what is slow to import waits until the command runs)

from __future__ import annotations

import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from refit_cli import ground, options, terminal
from refit_cli.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit_cli.connection import Connection
    from refit_cli.demo_data import HeldOut
    from refit_cli.demo_picture import AnsweredDigit
    from refit_cli.history import StateSpan

RUN_TIMEOUT_S = 1800
_SHOWN_RIGHT = 5
_SHOWN_WRONG = 3
_INTERVAL = 0.95


def demo(
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="mnist.pkl.gz", help="Use the full MNIST from this file."),
    ] = None,
    port: ground.Port = options.DEFAULT_PORT,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the ground running, to go on from there.")
    ] = False,
) -> None:
    """Show the whole round on real handwritten digits, in about two minutes.

    Starts a local ground (or uses the one that runs), drops the 8×8 digits that
    ship inside scikit-learn as CSV, shows the run until the model is live, and
    asks it over HTTP about digits that were never dropped. Ends with a table, a
    picture in .refit/demo.png and the time of each stage. A ground that it
    started it also ends, on Ctrl-C and on failure too.

    With --data mnist.pkl.gz it does so with all 70,000 digits of MNIST; asked
    are then the file's 10,000 test images, which the run holds out itself.

    [bold]Examples[/]
      refit demo
      refit demo --keep --port 4600
      refit demo --data path/to/mnist.pkl.gz

    [bold]Exit codes[/]  0 the model is live and answered · 1 a stage failed, with the
    cause · 2 --data cannot be used, or the port is taken · 4 the run took too
    long · 130 interrupted
    """
    from refit_local.ground import lifecycle

    from refit_cli.connection import connected

    model = "digits" if data is None else "mnist"
    _check(data)
    clock = _Clock()
    is_ours = lifecycle.info(port) is None
    with clock.stage("ground up" if is_ours else "ground found"):
        ground.bring_up(port, None, keep=False, detach=keep)
    try:
        with connected(options.Target(port)) as connection:
            _round(connection, model, data, clock)
    finally:
        if is_ours and not keep:
            with clock.stage("ground down"):
                ground.bring_down(port)
    clock.print()
    if not is_ours or keep:
        prefix = "" if port == options.DEFAULT_PORT else f"REFIT_PORT={port} "
        terminal.remark(
            f"\nThe ground goes on: [bold]{prefix}refit status {model}[/], "
            f"end it with [bold]{prefix}refit down[/]"
        )


def _check(data: Path | None) -> None:
    if data is None:
        return
    if not data.is_file():
        raise BadInput(f"there is no file {data}", "give the path of mnist.pkl.gz with --data")
    if not data.name.endswith((".pkl", ".pkl.gz")):
        raise BadInput(
            f"the demo's --data is mnist.pkl.gz, not {data.name}",
            f"for other data: refit up --detach; refit put MODEL {data}; refit watch MODEL",
        )


def _round(connection: Connection, model: str, data: Path | None, clock: _Clock) -> None:
    from refit_cli.watch import follow_and_show

    with clock.stage("drop"):
        held_out = _drop(connection, model, data)
    with clock.stage("run, from drop to live"):
        ending, view = follow_and_show(
            connection, model, until="deployed", timeout_s=RUN_TIMEOUT_S, json=False
        )
    ending.raise_unless_ok()
    clock.add_states(view.spans)
    with clock.stage("predict"):
        if held_out is None:
            terminal.remark("\n[dim]reading the rows that the run held out …[/]")
            run = view.run.run if view.run else ""
            held_out = _held_out(connection, model, run)
        answered = _ask(connection, model, held_out)
    _print_answers(answered, is_split_of_run=data is not None)
    with clock.stage("picture"):
        _picture(answered, held_out.side, is_split_of_run=data is not None)


def _drop(connection: Connection, model: str, data: Path | None) -> HeldOut | None:
    """Drop the data; return the digits that were kept back, or None when the run does that."""
    from refit_cli.put import upload_with_progress
    from refit_cli.uploads import plan_files

    if data is not None:
        upload_with_progress(connection, plan_files(model, [data], None))
        terminal.remark(f"dropped {escape(data.name)}: the run splits it as the file says")
        return None
    from refit_cli.demo_data import write_digits

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "digits.csv"
        n_dropped, held_out = write_digits(path)
        upload_with_progress(connection, plan_files(model, [path], None))
    terminal.remark(
        f"dropped {n_dropped:,} handwritten digits as CSV, kept back {len(held_out.rows):,}"
    )
    return held_out


def _held_out(connection: Connection, model: str, run: str) -> HeldOut:
    from refit_cli.demo_data import held_out_of_run

    return held_out_of_run(connection.client("s3"), connection.stack.bucket, model, run)


def _ask(connection: Connection, model: str, held_out: HeldOut) -> list[AnsweredDigit]:
    import numpy as np
    from rich.progress import track

    from refit_cli.demo_picture import AnsweredDigit
    from refit_cli.prediction_api import PredictionApi
    from refit_cli.rows import Table, numbered

    api = PredictionApi(connection.stack.api_url, connection.api_key, model)
    console = terminal.remarks()
    answers = track(
        api.predict(Table(None, numbered(held_out.rows))),
        description=f"asking about {len(held_out.rows):,} digits over HTTP",
        total=len(held_out.rows),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    return [
        AnsweredDigit(
            np.array(held_out.rows[found.row - 1], dtype=float),
            held_out.labels[found.row - 1],
            str(found.answer["prediction"]),
            found.answer["probabilities"][str(found.answer["prediction"])],
        )
        for found in answers
    ]


def _verdict(answered: list[AnsweredDigit]) -> str:
    from refit.domain.metrics import wilson_interval

    right = sum(digit.is_right for digit in answered)
    low, high = wilson_interval(right, len(answered), _INTERVAL)
    return (
        f"accuracy {right / len(answered):.2%} ({right:,} of {len(answered):,}; "
        f"{_INTERVAL:.0%} interval {low:.1%} to {high:.1%})"
    )


def _origin(is_split_of_run: bool) -> str:
    if is_split_of_run:
        return "never trained on; the gate judged the model by these same images"
    return "never dropped, so the model could not have seen them"


def _print_answers(answered: list[AnsweredDigit], *, is_split_of_run: bool) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim", pad_edge=False)
    for title in ("is", "answer", "probability", ""):
        table.add_column(title, justify="right" if title else "left")
    right = [digit for digit in answered if digit.is_right][:_SHOWN_RIGHT]
    wrong = [digit for digit in answered if not digit.is_right][:_SHOWN_WRONG]
    for digit in right + wrong:
        mark = "[green]right[/]" if digit.is_right else "[yellow]wrong[/]"
        table.add_row(digit.label, digit.prediction, f"{digit.probability:.1%}", mark)
    console = terminal.results()
    console.print(f"\n[bold]{len(answered):,} held-out digits, asked over HTTP[/]")
    console.print(f"[dim]{_origin(is_split_of_run)}[/]\n")
    console.print(table)
    console.print(f"\n[bold green]{_verdict(answered)}[/]")


def _picture(answered: list[AnsweredDigit], side: int, *, is_split_of_run: bool) -> None:
    from refit_local.ground.record import PROJECT

    from refit_cli.demo_picture import save

    right = sum(digit.is_right for digit in answered)
    title = f"{right:,} of {len(answered):,} held-out digits read right"
    subtitle = f"Refit demo · asked over HTTP · {_verdict(answered).partition(' (')[0]} · "
    path = PROJECT / ".refit" / "demo.png"
    save(path, answered, side, title, subtitle + _origin(is_split_of_run))
    terminal.results().print(f"picture: {escape(str(path))}")


class _Clock:
    """Times of the stages, and of the states inside the run."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lines: list[tuple[str, float]] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage."""
        began = time.monotonic()
        yield
        self._lines.append((name, time.monotonic() - began))

    def add_states(self, spans: list[StateSpan]) -> None:
        """Add the states of the run below its stage, but those that take no time."""
        from refit_cli.run_display import shown_stages

        stages = shown_stages(spans, datetime.now(UTC))
        self._lines += [(f"  {stage.state}", stage.seconds) for stage in stages]

    def print(self) -> None:
        """Print all times and the total."""
        console = terminal.results()
        console.print()
        for name, seconds in [*self._lines, ("total", time.monotonic() - self._began)]:
            style = "bold" if name == "total" else "dim" if name.startswith(" ") else ""
            console.print(f"{name:<28}{terminal.duration(seconds):>10}", style=style)
