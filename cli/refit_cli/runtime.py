"""What the commands use of the machine they run on; a test passes its own as Typer's `obj`.

`refit_local` and boto3 are imported on first use: `--help` does not wait for them.
"""
# ruff: noqa: PLC0415 (imports that are slow wait until a command runs)

from __future__ import annotations

import getpass
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refit_cli.terminal import can_ask

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import typer
    from refit_local.stack.record import StackInfo

    from refit_cli.readiness.machine import Machine


class LocalStacks:
    """The local stacks of this machine, by port."""

    def info(self, port: int) -> StackInfo | None:
        """Return the running stack, or None."""
        from refit_local.stack import lifecycle

        return lifecycle.info(port)

    def up(
        self,
        port: int,
        state_dir: Path | None,
        *,
        keep: bool,
        detach: bool,
        log: Callable[[str], None],
    ) -> StackInfo:
        """Start a stack, or return the one that is running."""
        from refit_local.stack import lifecycle

        return lifecycle.up(port, state_dir, keep=keep, detach=detach, log=log)

    def down(self, port: int, *, discard: bool, log: Callable[[str], None]) -> bool:
        """Stop a stack; return False if none was running."""
        from refit_local.stack import lifecycle

        return lifecycle.down(port, discard=discard, log=log)

    def log_path(self, port: int) -> Path:
        """Return the log file of the stack's server."""
        from refit_local.stack import record

        return record.log_path(port)


def _boto3_session(**credentials: str) -> Any:
    import boto3

    return boto3.Session(**credentials)  # type: ignore[arg-type]


def _find_program(name: str) -> str | None:
    """Return the path of a program that runs: the shims of version managers may not."""
    path = shutil.which(name)
    if path is None:
        return None
    done = subprocess.run([path, "--version"], capture_output=True, check=False)
    return path if done.returncode == 0 else None


@dataclass(frozen=True)
class CommandRuntime:
    """What a command takes from its surroundings.

    Attributes:
        open_session: creates a boto3 session, with the given credentials or the user's own.
        user_name: returns the login name of the user.
        can_ask: says whether there is a terminal to ask the user on.
        find_program: returns the path of a program that runs, or None.
        machine: what `refit doctor` reads of this machine; None for the real one.
        poll_s: seconds between two reads of a followed run; None chooses by stack.
        settle_s: how long a removal waits for late writes; None chooses by stack.
        history_grace_s: longest time for which an execution's history lags behind the run's record.
        retry_backoff_s: pause before the first repetition of an HTTP call; it doubles each time.
    """

    local_stacks: LocalStacks = field(default_factory=LocalStacks)
    open_session: Callable[..., Any] = _boto3_session
    user_name: Callable[[], str] = getpass.getuser
    can_ask: Callable[[], bool] = can_ask
    find_program: Callable[[str], str | None] = _find_program
    machine: Machine | None = None
    poll_s: float | None = None
    settle_s: float | None = None
    history_grace_s: float = 5.0
    retry_backoff_s: float = 0.4


def runtime_of(context: typer.Context) -> CommandRuntime:
    """Return the runtime that the caller of the command line passed, or the real one."""
    return context.obj or CommandRuntime()
