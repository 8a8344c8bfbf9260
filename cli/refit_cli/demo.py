"""`refit demo`: once around the whole loop, on real handwritten digits."""
# ruff: noqa: PLC0415 (what is slow to import waits until the command runs)

from __future__ import annotations

import json
import tempfile
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from refit_cli import local_stack as ground
from refit_cli import options, terminal
from refit_cli.demo_clock import Clock
from refit_cli.errors import BadInput, RunFailed

if TYPE_CHECKING:
    from refit_cli.connection import Connection
    from refit_cli.demo_data import LiveDigits, Scale
    from refit_cli.demo_report import Report

RUN_TIMEOUT_S = 1800


def demo(
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="mnist.pkl.gz", help="Use the full MNIST from this file."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="Write the figures as JSON."),
    ] = None,
    port: ground.Port = options.DEFAULT_PORT,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the ground running, to go on from there.")
    ] = False,
) -> None:
    """Go once around the whole loop on real handwritten digits, in three minutes.

    Starts a local ground (or uses the one that runs) and drops half of the 8×8
    digits that ship inside scikit-learn: a model is trained, tested and live.
    Callers ask it about others, and tell what each digit really was a second
    later. Then the camera is knocked askew: every image is tilted by 25 degrees.
    Quality falls, drift is detected, one retraining starts on the new labels,
    and the better model replaces the worse one. An exam of 300 digits, whose
    labels are never sent, measures the old model and the new.

    Ends with a timeline, the figures, a picture in .refit/demo.png and the time
    of each stage. A ground that it started it also ends, on Ctrl-C and on
    failure too.

    With --data mnist.pkl.gz it does so with all 70,000 digits of MNIST; traffic
    and exam are then the file's test images, which the run holds out itself.

    [bold]Examples[/]
      refit demo
      refit demo --report figures.json
      refit demo --keep --port 4600
      refit demo --data path/to/mnist.pkl.gz

    [bold]Exit codes[/]  0 the loop has closed: one retraining, a better model · 1 a
    stage failed, with the cause · 2 --data or --report cannot be used, or the
    port is taken · 4 something took too long · 130 interrupted
    """
    from refit_local.stack import lifecycle

    from refit_cli.connection import connected

    _check(data, report)
    clock = Clock()
    is_ours = lifecycle.info(port) is None
    with clock.stage("ground up" if is_ours else "ground found"):
        ground.bring_up(port, None, keep=False, detach=keep)
    try:
        with connected(options.Target(port)) as connection:
            model = _free_name(connection, "digits" if data is None else "mnist")
            found = _round(connection, model, data, clock)
    finally:
        if is_ours and not keep:
            with clock.stage("ground down"):
                ground.bring_down(port)
    _show(found, clock, report)
    if not is_ours or keep:
        prefix = "" if port == options.DEFAULT_PORT else f"REFIT_PORT={port} "
        terminal.remark(
            f"\nThe ground goes on: [bold]{prefix}refit status {model}[/], "
            f"end it with [bold]{prefix}refit down[/]"
        )
    if found.retrainings != 1 or found.drifted_new.accuracy <= found.drifted_old.accuracy:
        raise RunFailed("the loop did not close with one retraining and a better model")


def _check(data: Path | None, report: Path | None) -> None:
    if report is not None and not report.resolve().parent.is_dir():
        raise BadInput(
            f"there is no folder {report.resolve().parent} for the report", "make it first"
        )
    if data is None:
        return
    if not data.is_file():
        raise BadInput(f"there is no file {data}", "give the path of mnist.pkl.gz with --data")
    if not data.name.endswith((".pkl", ".pkl.gz")):
        raise BadInput(
            f"the demo's --data is mnist.pkl.gz, not {data.name}",
            f"for other data: refit up --detach; refit put MODEL {data}; refit watch MODEL",
        )


def _free_name(connection: Connection, wanted: str) -> str:
    """Return a name that no model of the ground has: a demo before this one has left its own."""
    from refit_cli.records import Records

    known = Records(connection).models()
    names = (wanted if number == 1 else f"{wanted}-{number}" for number in count(1))
    return next(name for name in names if name not in known)


def _round(connection: Connection, model: str, data: Path | None, clock: Clock) -> Report:
    from refit_cli.demo_data import MNIST, SMALL
    from refit_cli.demo_loop import Loop

    scale = SMALL if data is None else MNIST
    with clock.stage("drop"):
        digits = _drop(connection, model, data, scale)
    with clock.stage("run, from drop to live"):
        run = _follow(connection, model, None, clock)
    if digits is None:
        from refit_cli.demo_data import held_out_digits

        terminal.remark("\n[dim]reading the digits that the run held out …[/]")
        s3 = connection.client("s3")
        digits = held_out_digits(s3, connection.stack.bucket, model, run)
    loop = Loop(connection, model, digits, scale, clock)
    return loop.run(lambda run: _follow(connection, model, run, clock))


def _drop(connection: Connection, model: str, data: Path | None, scale: Scale) -> LiveDigits | None:
    """Drop the data; return the digits that were kept back, or None when the run does that."""
    from refit_cli.demo_data import write_digits
    from refit_cli.put import put_settings, upload_with_progress
    from refit_cli.uploads import plan_files

    put_settings(connection, model, scale.settings.encode())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "digits.csv"
        digits = None if data else write_digits(path)
        upload_with_progress(connection, plan_files(model, [data or path], None))
    if digits is None:
        terminal.remark("dropped MNIST: the run splits it as the file says")
        return None
    terminal.remark(
        f"dropped 900 handwritten digits as CSV; kept back {len(digits.traffic):,} for the traffic "
        f"and {len(digits.exam):,} for the exam"
    )
    return digits


def _follow(connection: Connection, model: str, run: str | None, clock: Clock) -> str:
    """Show a run until its version is live; return its id."""
    from refit_cli.watch import follow_and_show

    ending, view = follow_and_show(
        connection, model, run=run, until="deployed", timeout_s=RUN_TIMEOUT_S, json=False
    )
    ending.raise_unless_ok()
    clock.add_states(view.spans)
    return view.run.run if view.run else ""


def _show(found: Report, clock: Clock, report: Path | None) -> None:
    from refit_local.stack.record import PROJECT

    from refit_cli.demo_picture import save

    found.print()
    with clock.stage("picture"):
        path = PROJECT / ".refit" / "demo.png"
        save(path, found)
    terminal.results().print(f"\npicture: {escape(str(path))}")
    clock.print()
    if report is not None:
        found.seconds = clock.seconds | {"total": clock.total}
        report.write_text(json.dumps(found.as_json(), indent=1, allow_nan=False) + "\n")
        terminal.results().print(f"figures: {escape(str(report))}")
