"""`refit demo`: train, drift, detect, retrain and improve a model on real handwritten digits."""
# ruff: noqa: PLC0415 (imports that are slow wait until the command runs)

from __future__ import annotations

import json
import tempfile
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from refit_cli import options, terminal
from refit_cli.commands.local_stack import command_prefix, start_stack, stop_stack
from refit_cli.errors import BadInput, RunFailed
from refit_cli.runtime import runtime_of

if TYPE_CHECKING:
    from refit_local.stack.record import StackInfo

    from refit_cli.connection import StackConnection
    from refit_cli.demo.data import LiveDigits, Scale
    from refit_cli.demo.report import DemoReport, StageTimes

RUN_TIMEOUT_S = 1800


def demo(
    context: typer.Context,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="mnist.pkl.gz", help="Use the full MNIST from this file."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="Write the figures as JSON to this file."),
    ] = None,
    port: options.LocalPort = options.DEFAULT_PORT,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the local stack running at the end.")
    ] = False,
) -> None:
    """Show training, drift, detection and retraining on real handwritten digits.

    Takes about 1 to 2 minutes after installation. Starts the local stack (or
    uses the one that is running) and uploads half of the 8×8 digits that ship
    with scikit-learn: a model is trained, evaluated and deployed. Clients
    request predictions of other digits, and send each label a second later.
    Then every image is rotated by 25 degrees: accuracy falls, drift is
    detected, one retraining starts with the new labels, and the better model
    replaces the old one. An exam of 300 digits, whose labels are never sent,
    measures both models.

    Prints a timeline, the figures and the duration of each stage, and saves a
    picture in .refit/demo.png. A local stack that the demo has started is
    stopped at the end, also after Ctrl-C or a failure.

    With --data mnist.pkl.gz it uses all 70,000 digits of MNIST; traffic and
    exam are then the test images of the file, which the run holds out.

    [bold]Examples[/]
      refit demo
      refit demo --report figures.json
      refit demo --keep --port 4600
      refit demo --data path/to/mnist.pkl.gz

    [bold]Exit codes[/]  0 one retraining, and a better model is live · 1 a stage
    failed, with the cause · 2 --data or --report is invalid, or the port is in
    use · 4 timeout · 130 interrupted
    """
    from refit_cli.connection import connected
    from refit_cli.demo.report import StageTimes

    _check_files(data, report)
    runtime = runtime_of(context)
    stacks = runtime.local_stacks
    times = StageTimes()
    was_running = stacks.info(port) is not None
    with times.stage("use the running local stack" if was_running else "start the local stack"):
        start_stack(stacks, port, None, keep=False, detach=keep)
    stays = was_running or keep
    goes_on = (
        f"the local stack on port {port} keeps running with what the demo has begun; stop it with "
        f"[bold]{command_prefix(port)}refit down[/]"
        if stays
        else "the demo has ended; its local stack is stopped"
    )
    try:
        with (
            terminal.says_on_interrupt(goes_on),
            connected(options.StackTarget(port), runtime) as connection,
        ):
            model = _unused_name(connection, "digits" if data is None else "mnist")
            result = _run_scenario(connection, model, data, times)
    finally:
        if not stays:
            with times.stage("stop the local stack"):
                stop_stack(stacks, port)
    _print_report(result, times, report)
    if stays:
        prefix = command_prefix(port)
        terminal.inform(
            f"\nThe local stack is still running: [bold]{prefix}refit status {model}[/]; "
            f"stop it with [bold]{prefix}refit down[/]"
        )
        print_console(stacks.info(port))
        terminal.inform(what_is_live(result.upright_new.version))
    else:
        terminal.inform(
            "\nTo see the model in the browser, and to draw digits for it: "
            "[bold]refit demo --keep[/], then open the address that it prints"
        )
    if result.retrainings != 1 or result.drifted_new.accuracy <= result.drifted_old.accuracy:
        raise RunFailed("the demo did not end with one retraining and a better model")


def print_console(info: StackInfo | None) -> None:
    """Say how to open the console of a local stack, if it runs."""
    if info is None:
        return
    terminal.inform(
        f"Open [bold]{info.api_url}/[/] and sign in with the operate key "
        f"[bold]{info.api_keys['operate']}[/]: the console shows the model, and has a pad to draw "
        "digits on"
    )


def what_is_live(version: int) -> str:
    """Say what the version that is live after the demo has learned."""
    from refit_cli.demo.data import ROTATION_DEGREES  # imports scikit-learn

    return (
        f"Version {version}, which is live now, has learned upright digits and digits that are "
        f"rotated by {ROTATION_DEGREES} degrees: draw them upright, and large"
    )


def _check_files(data: Path | None, report: Path | None) -> None:
    if report is not None and not report.resolve().parent.is_dir():
        raise BadInput(
            f"there is no folder {report.resolve().parent} for the report", "create it first"
        )
    if data is None:
        return
    if not data.is_file():
        raise BadInput(f"there is no file {data}", "give the path of mnist.pkl.gz with --data")
    if not data.name.endswith((".pkl", ".pkl.gz")):
        raise BadInput(
            f"--data of the demo is mnist.pkl.gz, not {data.name}",
            f"for other data: refit up --detach; refit put MODEL {data}; refit watch MODEL",
        )


def _unused_name(connection: StackConnection, name: str) -> str:
    """Return a name that no model has: an earlier demo leaves its model on a running stack."""
    models = connection.models.models()
    names = (name if number == 1 else f"{name}-{number}" for number in count(1))
    return next(name for name in names if name not in models)


def _run_scenario(
    connection: StackConnection, model: str, data: Path | None, times: StageTimes
) -> DemoReport:
    from refit_cli.demo.data import MNIST, SMALL, held_out_digits
    from refit_cli.demo.scenario import DriftScenario

    scale = SMALL if data is None else MNIST
    with times.stage("upload"):
        digits = _upload(connection, model, data, scale)
    with times.stage("run, from upload to live"):
        run = _follow(connection, model, None, times)
    if digits is None:
        terminal.inform("\n[dim]reading the digits that the run held out …[/]")
        s3 = connection.client("s3")
        digits = held_out_digits(s3, connection.stack.bucket, model, run)
    scenario = DriftScenario(connection, model, digits, scale, times)
    return scenario.run(lambda run: _follow(connection, model, run, times))


def _upload(
    connection: StackConnection, model: str, data: Path | None, scale: Scale
) -> LiveDigits | None:
    """Upload the training data.

    Returns:
        The digits that are not uploaded; None for MNIST, of which the run holds out its test split.
    """
    from refit_cli.demo.data import N_UPLOADED, write_digits
    from refit_cli.uploads import plan_files, put_settings, upload_with_progress

    put_settings(connection, model, scale.settings.encode())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "digits.csv"
        digits = None if data else write_digits(path)
        upload_with_progress(connection, plan_files(model, [data or path], None).files)
    if digits is None:
        terminal.inform("uploaded MNIST; the run uses the splits of the file")
        return None
    terminal.inform(
        f"uploaded {N_UPLOADED} handwritten digits as CSV; {len(digits.traffic):,} others are the "
        f"traffic and {len(digits.exam):,} the exam"
    )
    return digits


def _follow(connection: StackConnection, model: str, run: str | None, times: StageTimes) -> str:
    """Show a run until its version is live; return its id."""
    from refit_cli.watching.reporters import follow_and_show

    outcome, view = follow_and_show(
        connection, model, run=run, until="deployed", timeout_s=RUN_TIMEOUT_S, json=False
    )
    outcome.raise_unless_ok()
    times.add_states(view.spans)
    return view.run.run if view.run else ""


def _print_report(result: DemoReport, times: StageTimes, path: Path | None) -> None:
    from refit_local.stack.record import PROJECT

    from refit_cli.demo import picture

    result.print()
    with times.stage("picture"):
        picture_path = PROJECT / ".refit" / "demo.png"
        picture.save(picture_path, result)
    terminal.results().print(f"\npicture: {escape(str(picture_path))}")
    times.print()
    if path is not None:
        result.seconds = times.seconds | {"total": times.total}
        path.write_text(json.dumps(result.as_json(), indent=1, allow_nan=False) + "\n")
        terminal.results().print(f"figures: {escape(str(path))}")
