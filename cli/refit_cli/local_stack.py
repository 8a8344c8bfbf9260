"""`refit up` and `refit down`: the local ground."""
# ruff: noqa: PLC0415 (what is slow to import waits until the command runs)

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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit_local.stack.lifecycle import StackInfo

    from refit_cli.connection import Stack

_LOG_POLL_S = 0.3
_RESERVE_MEMORY = "REFIT_RESERVE_MEMORY_MB"
_RESERVE_CORES = "REFIT_RESERVE_CORES"

Port = Annotated[
    int,
    typer.Option("--port", envvar="REFIT_PORT", min=1, max=65535, metavar="N", help="Its port."),
]


def up(
    port: Port = options.DEFAULT_PORT,
    detach: Annotated[
        bool,
        typer.Option(
            "--detach", "-d", help="Return when the ground is ready, and leave it running."
        ),
    ] = False,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Keep models and data at `refit down`, for the next `up`."),
    ] = False,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state", metavar="DIR", help="Where it keeps everything. Default: .refit/N/state."
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
            help="Processor cores that they leave free. Default: 0.",
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Start a local ground: all of Refit on this machine, without an AWS account.

    Starts an AWS emulator with a real, local SageMaker in it on 127.0.0.1, then
    builds and deploys template.yaml with the SAM CLI, as one would on AWS.
    Without --detach it stays in the foreground and shows the ground's log;
    Ctrl-C ends it whole. Grounds on different ports live side by side;
    REFIT_PORT tells every command which one is meant.

    [bold]Examples[/]
      refit up
      refit up --detach --keep
      REFIT_PORT=4600 refit up --detach
      refit up --detach --json | jq -r .apiUrl

    [bold]Exit codes[/]  0 ready (or ended by Ctrl-C after that) · 1 it could not be
    started or deployed · 2 the port is taken · 130 interrupted before it was
    ready; nothing is left
    """
    from refit_local.stack import lifecycle

    from refit_cli.connection import connected

    for name, value in ((_RESERVE_MEMORY, reserve_memory_mb), (_RESERVE_CORES, reserve_cores)):
        if value is not None:
            os.environ[name] = str(value)  # the ground's process reads it
    stood_before = lifecycle.info(port) is not None
    began = time.monotonic()
    ground = bring_up(port, state, keep=keep, detach=detach)
    with connected(options.Target(port)) as connection:
        stack = connection.stack
    if json:
        terminal.write_json(_described(ground, stack))
    else:
        seconds = None if stood_before else time.monotonic() - began
        _say_what_is_where(ground, stack, seconds)
    if detach or stood_before:
        return
    terminal.remark("\n[dim]Ctrl-C ends the ground. Its log:[/]")
    try:
        _show_log(port)
    except KeyboardInterrupt:
        terminal.remark("[dim]ending the ground …[/]")
    bring_down(port)


def down(
    port: Port = options.DEFAULT_PORT,
    discard: Annotated[
        bool, typer.Option("--discard", help="Throw away state that was kept, too.")
    ] = False,
) -> None:
    """End the local ground and every process of it; without one do nothing.

    [bold]Examples[/]
      refit down
      refit down --port 4600 --discard

    [bold]Exit codes[/]  0 there is no ground (any more) · 1 a process of it does not
    end
    """
    bring_down(port, discard=discard)


def bring_up(port: int, state: Path | None, *, keep: bool, detach: bool) -> StackInfo:
    """Start a ground and say on stderr what is going on.

    Raises:
        BadInput: when another program has the port.
        RunFailed: when it cannot be started or the template cannot be deployed.
    """
    from refit_local.stack import lifecycle

    with _ground_errors_named(), _steps() as log:
        return lifecycle.up(port, state, keep=keep, detach=detach, log=log)


def bring_down(port: int, *, discard: bool = False) -> None:
    """End a ground, if there is one.

    Raises:
        RunFailed: when a process of it does not end.
    """
    from refit_local.stack import lifecycle

    with _ground_errors_named():
        lifecycle.down(port, discard=discard, log=lambda text: terminal.remark(escape(text)))


@contextmanager
def _ground_errors_named() -> Iterator[None]:
    from refit_local.stack.errors import PortTaken, StackError

    try:
        yield
    except PortTaken as error:
        raise BadInput(str(error)) from error
    except StackError as error:
        raise RunFailed(str(error)) from error


class _Steps:
    """Prints each step with the time since the beginning."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, text: str) -> None:
        elapsed = terminal.duration(time.monotonic() - self._began)
        terminal.remark(f"[dim]{elapsed:>8}[/]  {escape(text)}")


@contextmanager
def _steps() -> Iterator[_Steps]:
    """Give a log of steps; on a terminal a spinner shows that work goes on between two."""
    console = terminal.remarks()
    if not console.is_terminal:
        yield _Steps()
        return
    with console.status("[dim]starting the local ground …[/]"):
        yield _Steps()


def _described(ground: StackInfo, stack: Stack) -> dict[str, object]:
    return {
        "port": ground.port,
        "pid": ground.pid,
        "endpointUrl": ground.endpoint_url,
        "region": ground.region,
        "accessKeyId": ground.access_key_id,
        "secretAccessKey": ground.secret_access_key,
        "stateDir": str(ground.state_dir),
        "stackName": ground.stack_name,
        "bucket": stack.bucket,
        "modelTable": stack.model_table,
        "apiUrl": ground.api_url,
        "apiKey": ground.api_key,
    }


def _say_what_is_where(ground: StackInfo, stack: Stack, seconds: float | None) -> None:
    console = terminal.results()
    state = f"ready after {terminal.duration(seconds)}" if seconds is not None else "is running"
    prefix = "" if ground.port == options.DEFAULT_PORT else f"REFIT_PORT={ground.port} "
    console.print(f"[bold green]ground[/]  port {ground.port} {state}")
    console.print(f"[bold]api[/]     {ground.api_url}")
    console.print(f"[bold]key[/]     {ground.api_key}  [dim](header x-api-key)[/]")
    console.print(f"[bold]bucket[/]  {stack.bucket}")
    console.print(f"[bold]state[/]   {escape(str(ground.state_dir))}")
    console.print(f"[bold]next[/]    {prefix}refit put MODEL FILE  [dim]drops data[/]")
    console.print(f"        {prefix}refit watch MODEL     [dim]shows what becomes of it[/]")


def _show_log(port: int) -> None:
    """Write the ground's log to stderr as it grows, until the ground ends."""
    from refit_local.stack import lifecycle, record

    path = record.folder(port) / "ground.log"
    with path.open("r", errors="replace") as log:
        log.seek(0, 2)
        while lifecycle.info(port) is not None:
            if text := log.read():
                sys.stderr.write(text)
                sys.stderr.flush()
            time.sleep(_LOG_POLL_S)
        sys.stderr.write(log.read())
