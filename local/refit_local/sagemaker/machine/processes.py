"""Start the algorithms' processes, read what they print, and hold them to their share of memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit_local.sagemaker.machine.shares import Share

_SUPERVISOR = Path(__file__).with_name("supervise.py")
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "SYSTEMROOT", "LD_LIBRARY_PATH")
_MAX_LINE_BYTES = 64 * 1024
_TREE_AGE_S = 1.0
_WATCH_JOBS_S = 0.1
_WATCH_ENDPOINTS_S = 1.0
# Address space beyond the share that libraries map and never touch.
_DATA_HEADROOM_BYTES = 2 * 1024**3


@dataclass(frozen=True)
class AlgorithmCommand:
    """What to run.

    Attributes:
        module: the Python module of the algorithm.
        verb: `train` or `serve`.
        environment: on top of what every process needs.
        nice: how far it steps back behind endpoints and the ground.
    """

    module: str
    verb: str
    environment: dict[str, str]
    nice: int = 0


class AlgorithmProcess:
    """One running algorithm with everything it started."""

    def __init__(
        self, command: AlgorithmCommand, share: Share, on_line: Callable[[str], None]
    ) -> None:
        self.share = share
        self.is_job = command.nice > 0
        self._tree: list[psutil.Process] = []
        self._tree_seen_at = float("-inf")
        self.killed_for: str | None = None
        specification = {
            "command": [sys.executable, "-m", command.module, command.verb],
            "nice": command.nice,
            "cores": list(share.cores),
            "oom_score_adj": 900 if self.is_job else 500,
            "data_bytes": share.memory_bytes + _DATA_HEADROOM_BYTES,
        }
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        environment |= {"PYTHONUNBUFFERED": "1"}
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
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Return the exit code (128 + n after signal n), or None when it still runs."""
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        self._reader.join(5)
        self._close_stdin()
        return code

    def terminate(self) -> None:
        """Send SIGTERM to the algorithm."""
        self._process.terminate()

    def kill(self, reason: str | None = None) -> None:
        """Kill the algorithm and all it started; the first reason given is kept."""
        self.killed_for = self.killed_for or reason
        self._close_stdin()

    def stop(self, grace_s: float) -> int:
        """SIGTERM, then SIGKILL after the grace; return the exit code."""
        self.terminate()
        code = self.wait(grace_s)
        if code is None:
            self.kill()
            code = self.wait(10)
        if code is None:
            self._process.kill()
            code = self._process.wait()
        return code

    def memory_bytes(self) -> int:
        """Resident memory of the algorithm and all it started, at this moment.

        Who belongs to the tree is asked anew once a second only: that reads all of /proc.
        """
        total = 0
        for process in self._members():
            try:
                total += process.memory_info().rss
            except psutil.NoSuchProcess:
                self._tree_seen_at = float("-inf")
        return total

    def _members(self) -> list[psutil.Process]:
        if time.monotonic() - self._tree_seen_at > _TREE_AGE_S:
            try:
                self._tree = psutil.Process(self.pid).children(recursive=True)
            except psutil.NoSuchProcess:
                self._tree = []
            # The algorithm itself may not have been started yet.
            self._tree_seen_at = time.monotonic() if self._tree else float("-inf")
        return self._tree

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


@dataclass
class MemoryGuard:
    """Kills what outgrows its share; looks ten times a second while a job runs, else once.

    A machine that is nearly out of memory loses its largest job, before the kernel picks something.
    """

    floor_bytes: int
    _watched: list[AlgorithmProcess] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _wake: threading.Event = field(default_factory=threading.Event)
    _ended: bool = False
    _thread: threading.Thread | None = None

    def add(self, process: AlgorithmProcess) -> None:
        """Watch a process until it ends."""
        with self._lock:
            self._watched.append(process)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="memory watch", daemon=True)
                self._thread.start()
        self._wake.set()

    def end(self) -> None:
        """Stop watching."""
        self._ended = True
        self._wake.set()

    def _run(self) -> None:
        while not self._ended:
            with self._lock:
                self._watched = [process for process in self._watched if process.running]
                watched = list(self._watched)
            if not watched:
                self._wake.clear()
                self._wake.wait(5)
                continue
            self._look(watched)
            busy = any(process.is_job for process in watched)
            self._wake.clear()
            self._wake.wait(_WATCH_JOBS_S if busy else _WATCH_ENDPOINTS_S)

    def _look(self, watched: list[AlgorithmProcess]) -> None:
        used = {process: process.memory_bytes() for process in watched}
        for process, size in used.items():
            if size > process.share.memory_bytes:
                process.kill(process.share.overrun(size))
        if psutil.virtual_memory().available < self.floor_bytes:
            largest = max(used, key=lambda process: (process.is_job, used[process]))
            largest.kill(largest.share.machine_full(used[largest]))
