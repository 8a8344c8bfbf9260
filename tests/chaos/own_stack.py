"""A local stack that belongs to one fault, so that it can be killed and started again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
import pytest
from refit_local.ministack.service_quotas import OVERRIDES
from refit_local.stack import lifecycle, record

from tests.chaos.fault import NotSurvived
from tests.chaos.processes import wait_until_gone
from tests.e2e.driver import User

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator
    from pathlib import Path
    from random import Random

    from tests.e2e.conftest import Digits

# Models of faults that were not survived keep their endpoints.
QUOTAS = {
    "ml.m5.large for endpoint usage": 100,
    "Number of instances across active endpoints": 100,
}
REFIT = [sys.executable, "-m", "refit_cli"]
COMMAND_S = 900
"""The first start builds; on a busy machine that takes minutes."""
END_S = 30.0


@contextmanager
def quotas() -> Iterator[None]:
    """Let stacks that are started inside have enough instances."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(OVERRIDES, json.dumps(QUOTAS))
        yield


class OwnStack:
    """A local stack on a port of its own. It ends with this process."""

    def __init__(self, port: int, *, keep: bool) -> None:
        self.port = port
        self.keep = keep

    def start(self) -> User:
        """Start it, or start it again."""
        return User(lifecycle.up(self.port, keep=self.keep, log=lambda _: None))

    def end(self, number: signal.Signals) -> None:
        """Send the server a signal, and wait until it and all its children have ended.

        Raises:
            NotSurvived: when one of them still runs.
        """
        recorded = record.read(self.port)
        process = recorded.process() if recorded else None
        if process is None:
            raise NotSurvived(f"no local stack runs on port {self.port}")
        processes = [process, *process.children(recursive=True)]
        os.kill(process.pid, number)
        wait_until_gone(processes, END_S)

    def down(self) -> None:
        """Stop it as `refit down` does."""
        lifecycle.down(self.port, log=lambda _: None)

    def discard(self) -> None:
        """Stop it and delete its state."""
        lifecycle.down(self.port, discard=True, log=lambda _: None)


@dataclass
class Start:
    """What a fault has that is no fault of a model: a port, a source of moments, and rows."""

    own_stack: OwnStack
    random: Random
    digits: Digits
    note: str = ""


def refit(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command `refit`, and return its end.

    Raises:
        NotSurvived: when it shows a traceback.
    """
    done = subprocess.run(
        [*REFIT, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_S,
        cwd=record.PROJECT,
    )
    if "Traceback (most recent call last)" in done.stderr + done.stdout:
        last = (done.stderr + done.stdout).strip().splitlines()[-1]
        raise NotSurvived(f"refit {' '.join(arguments)} shows a traceback: {last}")
    return done


def begin(*arguments: str) -> subprocess.Popen[str]:
    """Start the command `refit` in a session of its own."""
    return subprocess.Popen(
        [*REFIT, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=record.PROJECT,
        start_new_session=True,
    )


def is_free(port: int) -> bool:
    """Say whether nothing listens on a port."""
    return not any(
        connection.laddr.port == port and connection.status == psutil.CONN_LISTEN
        for connection in psutil.net_connections("tcp")
        if connection.laddr
    )


def state_of(port: int) -> Path:
    """Return the folder of the state of a port's stack."""
    return record.folder(port) / "state"
