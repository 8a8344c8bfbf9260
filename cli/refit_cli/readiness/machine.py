"""Check what the local stack and the tests need of this machine."""

from __future__ import annotations

import platform
import shutil
import socket
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit_cli.readiness.findings import Finding, Status

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GB = 10**9
# Measured: 1.1 GB of packages, 0.7 GB of builds; the rest is for data and models.
NEEDED_DISK_BYTES = 3 * GB
# `refit up` leaves 2 GB to other programs, and a job gets what is free beyond that.
NEEDED_MEMORY_BYTES = 3 * GB
FIRST_PYTHON, LAST_PYTHON = (3, 11), (3, 13)
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_TRIED_PORTS = 100


@dataclass(frozen=True)
class Memory:
    """Main memory in bytes; `available` without using swap."""

    total: int
    available: int


class Machine:
    """What the checks read of this machine; a test passes its own."""

    @property
    def python(self) -> tuple[int, int]:
        """The version of the Python that runs."""
        return sys.version_info[:2]

    @property
    def kind(self) -> tuple[str, str]:
        """Operating system and processor."""
        return platform.system(), platform.machine()

    def is_free(self, port: int) -> bool:
        """Return whether nothing listens on a port of 127.0.0.1."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
        return True

    def free_disk_bytes(self, folder: Path) -> int:
        """Return the free bytes of the disk of a folder."""
        return shutil.disk_usage(folder).free

    def memory(self) -> Memory:
        """Return the main memory."""
        import psutil  # noqa: PLC0415 (slow, and only here)

        found = psutil.virtual_memory()
        return Memory(found.total, found.available)


def machine_findings(
    machine: Machine, folder: Path, port: int, find: Callable[[str], str | None], *, runs: bool
) -> list[Finding]:
    """Return the findings of all checks of the machine.

    Args:
        machine: this machine.
        folder: of the project, which has the packages, the builds and the state.
        port: the port of the local stack.
        find: returns the path of a program that runs, or None.
        runs: whether a local stack runs on the port.
    """
    return [
        _kind(machine),
        _python(machine),
        _port(machine, port, runs=runs),
        _disk(machine, folder),
        _memory(machine),
        _browser(find),
    ]


def _kind(machine: Machine) -> Finding:
    system, processor = machine.kind
    needed, found = "Linux on x86-64", f"{system} on {processor}"
    if system == "Linux" and processor in {"x86_64", "AMD64"}:
        return Finding("machine", Status.READY, needed, found)
    advice = "use a virtual machine or a container with Linux on x86-64"
    return Finding("machine", Status.MISSING, needed, found, advice)


def _python(machine: Machine) -> Finding:
    check, version = "Python of this command", machine.python
    first, last = (".".join(map(str, each)) for each in (FIRST_PYTHON, LAST_PYTHON))
    needed, found = f"{first} to {last}", ".".join(map(str, version))
    if FIRST_PYTHON <= version <= LAST_PYTHON:
        return Finding(check, Status.READY, needed, found)
    advice = "make PYTHON=/path/to/python3.12 setup"
    return Finding(check, Status.MISSING, needed, found, advice)


def _port(machine: Machine, port: int, *, runs: bool) -> Finding:
    check, needed = f"port {port}", "a port of 127.0.0.1 for the local stack"
    if runs:
        return Finding(check, Status.READY, needed, "the local stack runs on it")
    if machine.is_free(port):
        return Finding(check, Status.READY, needed, "free")
    others = (other for other in range(port + 1, port + _TRIED_PORTS) if machine.is_free(other))
    advice = f"refit up --port {next(others, 'N')}"
    return Finding(check, Status.MISSING, needed, "another program listens on it", advice)


def _disk(machine: Machine, folder: Path) -> Finding:
    free = machine.free_disk_bytes(folder)
    needed, found = f"{NEEDED_DISK_BYTES // GB} GB free", f"{free / GB:.1f} GB at {folder}"
    if free >= NEEDED_DISK_BYTES:
        return Finding("disk", Status.READY, needed, found)
    advice = "refit down --discard deletes the state of a local stack, make clean what was built"
    return Finding("disk", Status.MISSING, needed, found, advice)


def _memory(machine: Machine) -> Finding:
    memory = machine.memory()
    needed = f"{NEEDED_MEMORY_BYTES // GB} GB free: 2 GB for other programs, the rest for jobs"
    found = f"{memory.available / GB:.1f} of {memory.total / GB:.1f} GB"
    if memory.available >= NEEDED_MEMORY_BYTES:
        return Finding("memory", Status.READY, needed, found)
    advice = "end other programs, or leave them less: refit up --reserve-memory 512"
    status = Status.NOTE if memory.total >= NEEDED_MEMORY_BYTES else Status.MISSING
    return Finding("memory", status, needed, found, advice)


def _browser(find: Callable[[str], str | None]) -> Finding:
    needed = "Chromium, for the tests of the console only"
    for name in BROWSERS:
        if path := find(name):
            return Finding("browser", Status.READY, needed, path)
    advice = "sudo apt-get install chromium"
    return Finding("browser", Status.NOTE, needed, "not found: make test leaves them out", advice)
