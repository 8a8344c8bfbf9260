"""`refit up` and `refit down`: start and stop the local stack."""
# ruff: noqa: PLC0415 (imports that are slow wait until the command runs)

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path  # noqa: TC003 (Typer reads the annotations)
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from refit_cli import options, terminal
from refit_cli.errors import BadInput, RunFailed
from refit_cli.runtime import LocalStacks, runtime_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit_local.stack.record import StackInfo

    from refit_cli.connection import StackOutputs

_LOG_POLL_S = 0.3
_RESERVE_MEMORY = "REFIT_RESERVE_MEMORY_MB"
_RESERVE_CORES = "REFIT_RESERVE_CORES"
_HOSTILE = "REFIT_HOSTILE"
_ALLOW_SCRIPTS = "REFIT_ALLOW_SCRIPTS"
_IMAGES = "REFIT_IMAGES"


def up(
    context: typer.Context,
    port: options.LocalPort = options.DEFAULT_PORT,
    detach: Annotated[
        bool,
        typer.Option("--detach", "-d", help="Return when the stack is ready; it keeps running."),
    ] = False,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep", help="Keep models and data after `refit down`, for the next `refit up`."
        ),
    ] = False,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state", metavar="DIR", help="Folder for all data. Default: .refit/N/state."
        ),
    ] = None,
    reserve_memory_mb: Annotated[
        int | None,
        typer.Option(
            "--reserve-memory",
            envvar=_RESERVE_MEMORY,
            min=0,
            metavar="MB",
            help="Memory that training jobs and endpoints leave free. Default: 2048.",
        ),
    ] = None,
    reserve_cores: Annotated[
        int | None,
        typer.Option(
            "--reserve-cores",
            envvar=_RESERVE_CORES,
            min=0,
            metavar="N",
            help="CPU cores that training jobs and endpoints leave free. Default: 0.",
        ),
    ] = None,
    hostile: Annotated[
        int | None,
        typer.Option(
            "--hostile",
            envvar=_HOSTILE,
            min=0,
            metavar="SEED",
            help="Inject faults that AWS documents into all services, by this seed.",
        ),
    ] = None,
    allow_scripts: Annotated[
        bool,
        typer.Option(
            "--allow-scripts",
            help="Allow models that are trained by programs of their users, with your rights.",
        ),
    ] = False,
    images: Annotated[
        Path | None,
        typer.Option(
            "--images",
            envvar=_IMAGES,
            metavar="FILE",
            help="Run commands in place of images of your own, and allow these images.",
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Start the local stack: all of Refit on this machine, without an AWS account.

    Starts an AWS emulator with a local SageMaker on 127.0.0.1, then builds and
    deploys template.yaml with the SAM CLI, as for AWS. Without --detach the
    command shows the stack's log, and Ctrl-C stops the stack. Stacks on
    different ports run side by side; REFIT_PORT selects one for all other
    commands.

    [bold]Examples[/]
      refit up
      refit up --detach --keep
      REFIT_PORT=4600 refit up --detach
      refit up --images examples/sklearn/images.toml
      refit up --detach --json | jq -r .apiUrl

    [bold]Exit codes[/]  0 ready (or stopped by Ctrl-C afterwards) · 1 start or
    deployment failed · 2 the port is in use · 130 interrupted during the start;
    nothing keeps running
    """
    from refit_cli.connection import connected

    for name, value in (
        (_RESERVE_MEMORY, reserve_memory_mb),
        (_RESERVE_CORES, reserve_cores),
        (_HOSTILE, hostile),
        (_ALLOW_SCRIPTS, "yes" if allow_scripts else None),
        (_IMAGES, _checked_images(images)),
    ):
        if value is not None:
            os.environ[name] = str(value)  # inherited by the stack's process
    runtime = runtime_of(context)
    stacks = runtime.local_stacks
    was_running = stacks.info(port) is not None
    started = time.monotonic()
    info = start_stack(stacks, port, state, keep=keep, detach=detach)
    with connected(options.StackTarget(port), runtime) as connection:
        outputs = connection.stack
    if json:
        terminal.write_json(_description(info, outputs))
    else:
        _print_description(info, outputs, None if was_running else time.monotonic() - started)
    if detach or was_running:
        return
    terminal.inform("\n[dim]Ctrl-C stops the local stack. Log:[/]")
    try:
        _show_log(stacks, port)
    except KeyboardInterrupt:
        terminal.inform("[dim]stopping the local stack …[/]")
    stop_stack(stacks, port)


def _checked_images(path: Path | None) -> Path | None:
    """Return the absolute path of a file that maps images to commands.

    Raises:
        BadInput: when the file cannot be used.
    """
    from refit_local.sagemaker.machine.images import ImagesInvalid, LocalImages

    if path is None:
        return None
    try:
        LocalImages.read(path)
    except ImagesInvalid as error:
        raise BadInput(str(error)) from error
    return path.resolve()


def down(
    context: typer.Context,
    port: options.LocalPort = options.DEFAULT_PORT,
    discard: Annotated[
        bool, typer.Option("--discard", help="Also delete the data that --keep has kept.")
    ] = False,
) -> None:
    """Stop the local stack and all its processes, if it is running.

    [bold]Examples[/]
      refit down
      refit down --port 4600 --discard

    [bold]Exit codes[/]  0 stopped, or not running · 1 a process could not be stopped
    """
    stop_stack(runtime_of(context).local_stacks, port, discard=discard)


def start_stack(
    stacks: LocalStacks, port: int, state: Path | None, *, keep: bool, detach: bool
) -> StackInfo:
    """Start a local stack and report the progress on stderr.

    Raises:
        BadInput: when another program uses the port.
        RunFailed: when the stack cannot be started or the template cannot be deployed.
    """
    on_interrupt = terminal.says_on_interrupt("the start has ended; nothing keeps running")
    with _translate_stack_errors(), on_interrupt, _step_log() as log:
        return stacks.up(port, state, keep=keep, detach=detach, log=log)


def stop_stack(stacks: LocalStacks, port: int, *, discard: bool = False) -> None:
    """Stop a local stack, if it is running.

    Raises:
        RunFailed: when a process cannot be stopped.
    """
    with _translate_stack_errors():
        stacks.down(port, discard=discard, log=lambda text: terminal.inform(escape(text)))


@contextmanager
def _translate_stack_errors() -> Iterator[None]:
    from refit_local.stack.errors import PortTaken, StackError

    try:
        yield
    except PortTaken as error:
        raise BadInput(str(error)) from error
    except StackError as error:
        raise RunFailed(str(error)) from error


class _StepLog:
    """Prints each step with the time since the start."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def __call__(self, text: str) -> None:
        elapsed = terminal.duration(time.monotonic() - self._started)
        terminal.inform(f"[dim]{elapsed:>8}[/]  {escape(text)}")


@contextmanager
def _step_log() -> Iterator[_StepLog]:
    """Provide a log of steps; a terminal shows a spinner between them."""
    console = terminal.messages()
    if not console.is_terminal:
        yield _StepLog()
        return
    with console.status("[dim]starting the local stack …[/]"):
        yield _StepLog()


def _description(info: StackInfo, outputs: StackOutputs) -> dict[str, object]:
    return {
        "port": info.port,
        "pid": info.pid,
        "endpointUrl": info.endpoint_url,
        "region": info.region,
        "accessKeyId": info.access_key_id,
        "secretAccessKey": info.secret_access_key,
        "stateDir": str(info.state_dir),
        "stackName": info.stack_name,
        "bucket": outputs.bucket,
        "modelTable": outputs.model_table,
        "apiUrl": info.api_url,
        "consoleUrl": outputs.console_url,
        "apiKeys": info.api_keys,
    }


def _print_description(info: StackInfo, outputs: StackOutputs, seconds: float | None) -> None:
    console = terminal.results()
    state = "is running" if seconds is None else f"ready after {terminal.duration(seconds)}"
    prefix = command_prefix(info.port)
    console.print(f"[bold green]local stack[/]  port {info.port} {state}")
    console.print(
        f"[bold]console[/]      {outputs.console_url}  [dim]sign in with the operate key[/]"
    )
    console.print(f"[bold]API[/]          {info.api_url}")
    for purpose, key in info.api_keys.items():
        console.print(f"[bold]key[/]          {key}  [dim]opens {purpose} (x-api-key)[/]")
    console.print(f"[bold]bucket[/]       {outputs.bucket}")
    console.print(f"[bold]data[/]         {escape(str(info.state_dir))}")
    console.print(f"[bold]next[/]         {prefix}refit put MODEL FILE  [dim]uploads data[/]")
    console.print(f"             {prefix}refit watch MODEL     [dim]follows the run[/]")


def command_prefix(port: int) -> str:
    """Return what a command line must start with to select the local stack on a port."""
    return "" if port == options.DEFAULT_PORT else f"REFIT_PORT={port} "


def _show_log(stacks: LocalStacks, port: int) -> None:
    """Copy the stack's log to stderr while the stack runs."""
    with stacks.log_path(port).open("r", errors="replace") as log:
        log.seek(0, 2)
        while stacks.info(port) is not None:
            if text := log.read():
                sys.stderr.write(text)
                sys.stderr.flush()
            time.sleep(_LOG_POLL_S)
        sys.stderr.write(log.read())
