"""Divide the machine among the jobs: memory and cores of their instance types, less a reserve.

Jobs wait in line for their memory. Endpoints never wait: they, the ground and everything else live
on the reserve.
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
LEAST_SHARE_BYTES = 256 * 1024**2


@dataclass(frozen=True)
class MachineLimits:
    """What the jobs may take of this machine.

    Attributes:
        reserve_memory_bytes: memory kept for everything that is not a job.
        reserve_cores: cores that no job runs on.
        memory_bytes: memory of the machine; 0 asks the machine.
        cores: cores of the machine; 0 asks the machine.
    """

    reserve_memory_bytes: int = 2 * GIB
    reserve_cores: int = 0
    memory_bytes: int = 0
    cores: int = 0

    @classmethod
    def of_environment(cls) -> MachineLimits:
        """Return the limits with the reserve that the environment asks for.

        `REFIT_RESERVE_MEMORY_MB` (default 2048) and `REFIT_RESERVE_CORES` (default 0).

        Raises:
            ValueError: when one is not a whole number.
        """
        memory_mb = int(os.environ.get("REFIT_RESERVE_MEMORY_MB", "2048"))
        cores = int(os.environ.get("REFIT_RESERVE_CORES", "0"))
        return cls(reserve_memory_bytes=memory_mb * 1024**2, reserve_cores=cores)

    def machine_memory_bytes(self) -> int:
        """Physical memory, or the container's limit where that is less."""
        if self.memory_bytes:
            return self.memory_bytes
        sizes = [int(psutil.virtual_memory().total)]
        for path in _CGROUP_LIMITS:
            if path.exists() and (text := path.read_text().strip()).isdigit():
                sizes.append(int(text))
        return min(sizes)

    def budget_bytes(self) -> int:
        """What all jobs together may hold."""
        return max(self.machine_memory_bytes() - self.reserve_memory_bytes, LEAST_SHARE_BYTES)

    def job_cores(self) -> list[int]:
        """The numbers of the cores that jobs may run on; at least one."""
        usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        usable = usable or list(range(os.cpu_count() or 1))
        if self.cores:
            usable = usable[: self.cores]
        return usable[: max(1, len(usable) - self.reserve_cores)]


@dataclass(frozen=True)
class Share:
    """What one job or endpoint instance gets."""

    instance_type: str
    memory_bytes: int
    cores: tuple[int, ...]

    def overrun(self, used_bytes: int) -> str:
        """Return the FailureReason of a job that needed more."""
        return (
            "ClientError: Please use an instance type with more memory, or reduce the size of "
            f"job data processed on an instance. The job used {_gib(used_bytes)}; "
            f"{self.instance_type} gets {_gib(self.memory_bytes)} on this machine, exit code: 137"
        )

    def machine_full(self, used_bytes: int) -> str:
        """Return the FailureReason of a job that was ended because the machine ran out."""
        return (
            "ClientError: Please reduce the size of job data processed on an instance, or end "
            "other programs. The machine ran out of memory while the job used "
            f"{_gib(used_bytes)} of its {_gib(self.memory_bytes)}, exit code: 137"
        )


@dataclass
class Shares:
    """Who holds what of the machine."""

    limits: MachineLimits
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _held_bytes: int = 0
    _line: list[object] = field(default_factory=list)
    _load: Counter[int] = field(default_factory=Counter)

    @contextmanager
    def job(
        self, wanted: InstanceType, on_wait: Callable[[], None], stopped: Callable[[], bool]
    ) -> Iterator[Share | None]:
        """Wait in line for a job's share and hold it for the block.

        Args:
            wanted: the instance type of the job.
            on_wait: called once when the job has to wait.
            stopped: ends the waiting; then None is held.
        """
        memory = min(wanted.memory_bytes, self.limits.budget_bytes())
        place = object()
        with self._changed:
            self._line.append(place)
            if not self._fits(place, memory):
                on_wait()
            while not self._fits(place, memory) and not stopped():
                self._changed.wait(0.2)
            self._line.remove(place)
            self._changed.notify_all()
            if stopped():
                memory = 0
            self._held_bytes += memory
            cores = self._least_loaded(wanted.vcpus) if memory else ()
            self._load.update(cores)
        try:
            yield Share(wanted.type, memory, cores) if memory else None
        finally:
            with self._changed:
                self._held_bytes -= memory
                self._load.subtract(cores)
                self._changed.notify_all()

    def endpoint(self, wanted: InstanceType) -> Share:
        """Return the share of an endpoint's instance: all cores, memory never waited for."""
        budget = self.limits.budget_bytes()
        return Share(wanted.type, min(wanted.memory_bytes, budget), ())

    def _fits(self, place: object, memory: int) -> bool:
        return self._line[0] is place and self._held_bytes + memory <= self.limits.budget_bytes()

    def _least_loaded(self, vcpus: int) -> tuple[int, ...]:
        cores = sorted(self.limits.job_cores(), key=lambda core: (self._load[core], core))
        return tuple(sorted(cores[:vcpus]))


def enough_disk(folder: Path, needed_bytes: int) -> None:
    """Check that the disk has room.

    Raises:
        JobFailed: when it has not.
    """
    free = psutil.disk_usage(str(folder)).free
    if needed_bytes > free:
        raise JobFailed(
            f"ClientError: Insufficient disk space: {_gib(needed_bytes)} are needed for the "
            f"input data and {_gib(free)} are free on this machine"
        )


def _gib(size: int) -> str:
    return f"{size / GIB:.2f} GiB"
