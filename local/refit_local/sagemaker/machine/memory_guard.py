"""Kill processes that use more memory than their share, before the kernel kills something else."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from refit_local.sagemaker.machine.processes import AlgorithmProcess

_JOB_INTERVAL_S = 0.1
_ENDPOINT_INTERVAL_S = 1.0
_IDLE_INTERVAL_S = 5.0
# To list the processes of an algorithm takes a scan of all processes of the machine.
_JOB_SCAN_INTERVAL_S = 1.0
_ENDPOINT_SCAN_INTERVAL_S = 5.0


@dataclass
class MemoryGuard:
    """Checks all processes ten times a second while a job runs, otherwise once a second.

    Attributes:
        floor_bytes: when the machine has less memory available than this, the largest job is
            killed, or the largest endpoint if no job runs.
    """

    floor_bytes: int
    _guarded: list[AlgorithmProcess] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _wake: threading.Event = field(default_factory=threading.Event)
    _ended: bool = False
    _thread: threading.Thread | None = None
    _members: dict[AlgorithmProcess, list[psutil.Process]] = field(default_factory=dict)
    _scanned_at: float = float("-inf")

    def add(self, process: AlgorithmProcess) -> None:
        """Guard a process until it ends."""
        with self._lock:
            self._guarded.append(process)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="memory guard", daemon=True)
                self._thread.start()
        self._wake.set()

    def end(self) -> None:
        """Stop guarding."""
        self._ended = True
        self._wake.set()

    def _run(self) -> None:
        while True:
            # Cleared before the list is read: what is added or ended later ends the wait below.
            self._wake.clear()
            if self._ended:
                return
            with self._lock:
                self._guarded = [process for process in self._guarded if process.running]
                guarded = list(self._guarded)
            interval_s = _IDLE_INTERVAL_S
            if guarded:
                any_job = any(process.is_job for process in guarded)
                self._scan(guarded, _JOB_SCAN_INTERVAL_S if any_job else _ENDPOINT_SCAN_INTERVAL_S)
                self._check(guarded)
                interval_s = _JOB_INTERVAL_S if any_job else _ENDPOINT_INTERVAL_S
            self._wake.wait(interval_s)

    def _check(self, guarded: list[AlgorithmProcess]) -> None:
        used_bytes = {process: _resident_bytes(self._members[process]) for process in guarded}
        for process, size in used_bytes.items():
            if size > process.share.memory_bytes:
                process.kill(process.share.overrun(size))
        if psutil.virtual_memory().available < self.floor_bytes:
            largest = max(used_bytes, key=lambda process: (process.is_job, used_bytes[process]))
            largest.kill(largest.share.machine_full(used_bytes[largest]))

    def _scan(self, guarded: list[AlgorithmProcess], interval_s: float) -> None:
        """List the processes of each algorithm, in one scan for all of them."""
        is_known = all(self._members.get(process) for process in guarded)
        if is_known and time.monotonic() - self._scanned_at < interval_s:
            return
        roots = {process.pid: process for process in guarded}
        self._members = {process: [] for process in guarded}
        children = _children_by_parent()
        for pid, algorithm in roots.items():
            ends = [pid]
            while ends:
                below = [child for end in ends for child in children.get(end, ())]
                self._members[algorithm] += below
                ends = [child.pid for child in below]
        self._scanned_at = time.monotonic()


def _children_by_parent() -> dict[int, list[psutil.Process]]:
    """Return all processes of the machine by the id of their parent; each is read once."""
    children: dict[int, list[psutil.Process]] = {}
    for process in psutil.process_iter(["ppid"]):
        children.setdefault(process.info["ppid"], []).append(process)
    return children


def _resident_bytes(processes: list[psutil.Process]) -> int:
    total = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total
