"""Divide the machine among the jobs: each gets the memory and cores of its instance type.

A reserve is kept for endpoints, the local stack and other programs. A job waits until its memory is
free, in the order of creation. Endpoints do not wait.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from refit_local.sagemaker.machine.instances import GIB, InstanceType
from refit_local.sagemaker.wire.errors import JobFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
MIN_BUDGET_BYTES = 256 * 1024**2
_STOP_CHECK_S = 0.2


@dataclass(frozen=True)
class MachineLimits:
    """What the jobs may use of this machine.

    Attributes:
        reserve_memory_bytes: memory kept for everything that is not a job.
        reserve_cores: cores that no job runs on.
        memory_bytes: memory of the machine; 0 means what the operating system reports.
        cores: cores of the machine; 0 means all that this process may use.
    """

    reserve_memory_bytes: int = 2 * GIB
    reserve_cores: int = 0
    memory_bytes: int = 0
    cores: int = 0

    @classmethod
    def from_environment(cls) -> MachineLimits:
        """Read the reserve from REFIT_RESERVE_MEMORY_MB (2048) and REFIT_RESERVE_CORES (0).

        Raises:
            ValueError: when one of them is not a whole number.
        """
        memory_mb = int(os.environ.get("REFIT_RESERVE_MEMORY_MB", "2048"))
        cores = int(os.environ.get("REFIT_RESERVE_CORES", "0"))
        return cls(reserve_memory_bytes=memory_mb * 1024**2, reserve_cores=cores)

    def machine_memory_bytes(self) -> int:
        """Return the physical memory, or the limit of the control group if that is less."""
        if self.memory_bytes:
            return self.memory_bytes
        sizes = [int(psutil.virtual_memory().total)]
        for path in _CGROUP_LIMITS:
            if path.exists() and (text := path.read_text().strip()).isdigit():
                sizes.append(int(text))
        return min(sizes)

    def budget_bytes(self) -> int:
        """Return the memory for all jobs together."""
        return max(self.machine_memory_bytes() - self.reserve_memory_bytes, MIN_BUDGET_BYTES)

    def job_cores(self) -> list[int]:
        """Return the numbers of the cores that jobs may run on; at least one."""
        usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        usable = usable or list(range(os.cpu_count() or 1))
        if self.cores:
            usable = usable[: self.cores]
        return usable[: max(1, len(usable) - self.reserve_cores)]


@dataclass(frozen=True)
class Share:
    """What one job or one instance of an endpoint gets; no cores means all cores."""

    instance_type: str
    memory_bytes: int
    cores: tuple[int, ...]

    def overrun(self, used_bytes: int) -> str:
        """Return the FailureReason of a job that used more memory than its share."""
        return (
            "ClientError: Please use an instance type with more memory, or reduce the size of "
            f"job data processed on an instance. The job used {_gib(used_bytes)}; "
            f"{self.instance_type} gets {_gib(self.memory_bytes)} on this machine, exit code: 137"
        )

    def machine_full(self, used_bytes: int) -> str:
        """Return the FailureReason of a job that was killed for lack of memory on the machine."""
        return (
            "ClientError: Please reduce the size of job data processed on an instance, or end "
            "other programs. The machine ran out of memory while the job used "
            f"{_gib(used_bytes)} of its {_gib(self.memory_bytes)}, exit code: 137"
        )


@dataclass
class Shares:
    """Grants shares of the machine."""

    limits: MachineLimits
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _granted_bytes: int = 0
    _queue: list[object] = field(default_factory=list)
    _jobs_per_core: Counter[int] = field(default_factory=Counter)

    @contextmanager
    def job(
        self, requested: InstanceType, on_wait: Callable[[], None], stopped: Callable[[], bool]
    ) -> Iterator[Share | None]:
        """Wait for the share of a job and hold it for the block.

        Args:
            requested: the instance type of the job.
            on_wait: called once when the job has to wait.
            stopped: whether to stop waiting; the block then gets None.
        """
        memory = min(requested.memory_bytes, self.limits.budget_bytes())
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            if not self._fits(ticket, memory):
                on_wait()
            while not self._fits(ticket, memory) and not stopped():
                self._changed.wait(_STOP_CHECK_S)
            self._queue.remove(ticket)
            self._changed.notify_all()
            if stopped():
                memory = 0
            self._granted_bytes += memory
            cores = self._least_used_cores(requested.vcpus) if memory else ()
            self._jobs_per_core.update(cores)
        try:
            yield Share(requested.name, memory, cores) if memory else None
        finally:
            with self._changed:
                self._granted_bytes -= memory
                self._jobs_per_core.subtract(cores)
                self._changed.notify_all()

    def endpoint(self, requested: InstanceType) -> Share:
        """Return the share of one instance of an endpoint: all cores, granted without waiting."""
        budget = self.limits.budget_bytes()
        return Share(requested.name, min(requested.memory_bytes, budget), ())

    def _fits(self, ticket: object, memory: int) -> bool:
        is_next = self._queue[0] is ticket
        return is_next and self._granted_bytes + memory <= self.limits.budget_bytes()

    def _least_used_cores(self, count: int) -> tuple[int, ...]:
        cores = sorted(self.limits.job_cores(), key=lambda core: (self._jobs_per_core[core], core))
        return tuple(sorted(cores[:count]))


def check_disk_space(folder: Path, needed_bytes: int) -> None:
    """Check that the input data fits the disk of a folder.

    Raises:
        JobFailed: when it does not.
    """
    free_bytes = psutil.disk_usage(str(folder)).free
    if needed_bytes > free_bytes:
        raise JobFailed(
            f"ClientError: Insufficient disk space: the input data needs {_gib(needed_bytes)} and "
            f"this machine has {_gib(free_bytes)} free"
        )


def _gib(size: int) -> str:
    return f"{size / GIB:.2f} GiB"
