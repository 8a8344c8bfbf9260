"""Start the server's process, wait until it responds, and end it with all its children."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil
import requests

from refit_local.stack import record
from refit_local.stack.errors import StackNotStarted, StackNotStopped
from refit_local.stack.record import Record, StackInfo, endpoint_url

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STACK_NAME = "refit"
REGION = "us-east-1"
START_DEADLINE_S = 60.0
END_DEADLINE_S = 30.0
KILL_DEADLINE_S = 5.0
POLL_S = 0.1
LOG_TAIL_LINES = 30
# Variables that would point clients at AWS or configure MiniStack.
_NOT_INHERITED = ("AWS_", "LOCALSTACK_", "MINISTACK_", "LAMBDA_", "SERVICES", "EDGE_PORT", "SFN_")


@dataclass
class ServerProcess:
    """A server that this process has started. It ends when its standard input is closed."""

    process: subprocess.Popen[bytes]
    record: Record

    def release(self) -> None:
        """Let the server run on when this process ends."""
        if self.process.stdin is not None:
            self.process.stdin.write(b"detach\n")
            self.process.stdin.close()
        # Keep Popen from reporting that the child still runs.
        self.process.returncode = 0

    def reap(self) -> None:
        """Wait for the ended process."""
        self.process.wait(KILL_DEADLINE_S)
        if self.process.stdin is not None:
            self.process.stdin.close()


def start(port: int, state: Path, *, keep: bool) -> ServerProcess:
    """Start a server with new administrator credentials, and record it."""
    keys = {
        "AWS_ACCESS_KEY_ID": f"AKIA{secrets.token_hex(8).upper()}",
        "AWS_SECRET_ACCESS_KEY": secrets.token_urlsafe(30),
    }
    command = [sys.executable, "-m", "refit_local.stack.server", "--owned"]
    command += ["--port", str(port), "--state", str(state), "--region", REGION]
    with record.rotate_log(port).open("wb") as log_file:
        process = subprocess.Popen(
            command,
            env={**_inherited_environment(), **keys},
            cwd=state,
            stdin=subprocess.PIPE,
            stdout=log_file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    info = StackInfo(
        port=port,
        pid=process.pid,
        state_dir=state,
        endpoint_url=endpoint_url(port),
        region=REGION,
        access_key_id=keys["AWS_ACCESS_KEY_ID"],
        secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        stack_name=STACK_NAME,
        api_url="",
        api_keys={},
    )
    started_at = psutil.Process(process.pid).create_time()
    server = ServerProcess(process, Record(info, started_at, keep=keep, ready=False))
    record.write(server.record)
    return server


def _inherited_environment() -> dict[str, str]:
    return {
        name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)
    }


def wait_until_ready(server: ServerProcess) -> None:
    """Wait until the server responds.

    Raises:
        StackNotStarted: when it ends or does not respond in time; with the end of its log.
    """
    info = server.record.info
    deadline = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise StackNotStarted(f"the local stack ended at startup:\n{_log_tail(info.port)}")
        with contextlib.suppress(requests.RequestException):
            health = f"{info.endpoint_url}/_ministack/health"
            if requests.get(health, timeout=START_DEADLINE_S).ok:
                return
        time.sleep(POLL_S)
    raise StackNotStarted(
        f"the local stack did not respond within {START_DEADLINE_S:.0f} s:\n{_log_tail(info.port)}"
    )


def _log_tail(port: int) -> str:
    path = record.log_path(port)
    lines = path.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
    return "\n".join([*lines, f"(the whole log is {path})"])


def end(server: psutil.Process, port: int) -> None:
    """End a server and its children: SIGTERM for the server, then SIGKILL for all that still run.

    Raises:
        StackNotStopped: when a process still runs after SIGKILL.
    """
    processes = _with_children(server)
    _signal_all([server], "terminate")
    psutil.wait_procs([server], timeout=END_DEADLINE_S)
    # The server ends its children itself; this ends those it could not.
    _, alive = psutil.wait_procs(processes, timeout=POLL_S)
    _signal_all(alive, "kill")
    _, alive = psutil.wait_procs(alive, timeout=KILL_DEADLINE_S)
    if alive:
        ids = ", ".join(str(process.pid) for process in alive)
        raise StackNotStopped(f"processes of the local stack on port {port} do not end: {ids}")


def _with_children(server: psutil.Process) -> list[psutil.Process]:
    try:
        return [server, *server.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _signal_all(processes: list[psutil.Process], method: str) -> None:
    for process in processes:
        send: Callable[[], Any] = getattr(process, method)
        with contextlib.suppress(psutil.NoSuchProcess):
            send()
