"""Start the processes of the algorithms, read their output, and end them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit_local.sagemaker.machine.shares import Share

_SUPERVISOR = Path(__file__).with_name("supervise.py")
_INHERITED_VARIABLES = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "PYTHONPATH",
    "SYSTEMROOT",
    "LD_LIBRARY_PATH",
)
_MAX_LINE_BYTES = 64 * 1024
# Libraries map address space that they never use; the limit on data allows for it.
_DATA_HEADROOM_BYTES = 2 * 1024**3


@dataclass(frozen=True)
class AlgorithmCommand:
    """What to run.

    Attributes:
        arguments: the program and its arguments.
        environment: variables beside those that every process gets.
        nice: the niceness (0 to 19); a job has more than 0, an endpoint has 0.
        folder: the working folder; None for that of this process.
    """

    arguments: tuple[str, ...]
    environment: dict[str, str]
    nice: int = 0
    folder: Path | None = None


class AlgorithmProcess:
    """One running algorithm and all processes that it has started."""

    def __init__(
        self, command: AlgorithmCommand, share: Share, on_line: Callable[[str], None]
    ) -> None:
        self.share = share
        self.is_job = command.nice > 0
        self.killed_for: str | None = None
        specification = {
            "command": list(command.arguments),
            "folder": None if command.folder is None else str(command.folder),
            "nice": command.nice,
            "cores": list(share.cores),
            "oom_score_adj": 900 if self.is_job else 500,
            "data_bytes": share.memory_bytes + _DATA_HEADROOM_BYTES,
        }
        environment = {
            name: os.environ[name] for name in _INHERITED_VARIABLES if name in os.environ
        }
        # Threads that wait for each other spin by default, and take the cores from what they wait
        # for. On a busy machine, training on small data then takes a hundred times as long.
        environment |= {"PYTHONUNBUFFERED": "1", "OMP_WAIT_POLICY": "PASSIVE"}
        if share.cores:
            environment["OMP_NUM_THREADS"] = str(len(share.cores))
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_SUPERVISOR), json.dumps(specification)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment | command.environment,
            start_new_session=True,
        )
        self._reader = threading.Thread(
            target=self._read, args=(on_line,), name=f"log of {self._process.pid}", daemon=True
        )
        self._reader.start()

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the algorithm has not ended yet."""
        return self._process.poll() is None

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Return the exit code (128 + n after signal n), or None when the algorithm still runs."""
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        self._reader.join(5)
        self._close_stdin()
        return _exit_code(code)

    def terminate(self) -> None:
        """Send SIGTERM to the algorithm."""
        self._process.terminate()

    def kill(self, reason: str | None = None) -> None:
        """Kill the algorithm and all that it has started; `killed_for` keeps the first reason."""
        self.killed_for = self.killed_for or reason
        self._close_stdin()

    def stop(self, grace_s: float) -> int:
        """Send SIGTERM, after the grace period SIGKILL; return the exit code."""
        self.terminate()
        code = self.wait(grace_s)
        if code is None:
            self.kill()
            code = self.wait(10)
        if code is None:
            self._process.kill()
            code = _exit_code(self._process.wait())
        return code

    def _close_stdin(self) -> None:
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()

    def _read(self, on_line: Callable[[str], None]) -> None:
        stream = self._process.stdout
        if stream is None:
            return
        with stream:
            while line := stream.readline(_MAX_LINE_BYTES):
                on_line(line.decode("utf-8", "replace").rstrip("\r\n"))


def _exit_code(returned: int) -> int:
    """Return the exit code of a supervisor, which is also 128 + n if signal n ended itself."""
    return returned if returned >= 0 else 128 - returned
