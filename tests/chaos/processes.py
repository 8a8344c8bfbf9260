"""The processes of a local stack: find those of a kind, and kill them at a moment."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from tests.chaos.fault import NotSurvived

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from tests.e2e.driver import User

POLL_S = 0.01
END_S = 10.0
APPEAR_S = 120.0
_SUPERVISOR = "supervise.py"
_NICE_OF_TRANSFORMS, _NICE_OF_ENDPOINTS = 5, 0
"""How the local stack ranks the processes of jobs and of endpoints."""


@dataclass(frozen=True)
class Kind:
    """A kind of child process; `selects` says whether a process is one."""

    title: str
    selects: Callable[[psutil.Process], bool]


def function(user: User, logical_id: str) -> Kind:
    """Return the kind of the processes of a Lambda function, such as `Gate`."""
    name = user.physical_id(f"{logical_id}Function")
    return Kind(
        logical_id,
        lambda process: process.environ().get("AWS_LAMBDA_FUNCTION_NAME") == name,
    )


def _spec(process: psutil.Process) -> dict[str, object] | None:
    command = process.cmdline()
    if len(command) < 2 or not command[-2].endswith(_SUPERVISOR):
        return None
    spec: dict[str, object] = json.loads(command[-1])
    return spec


def _supervises(process: psutil.Process, verb: str, nice: int | None = None) -> bool:
    spec = _spec(process)
    if spec is None:
        return False
    command = spec["command"]
    assert isinstance(command, list)
    return command[-1] == verb and nice in {None, spec["nice"]}


def _supervised(process: psutil.Process, verb: str, nice: int | None = None) -> bool:
    parent = process.parent()
    return parent is not None and _supervises(parent, verb, nice)


TRAINING_SUPERVISOR = Kind("supervisor", lambda process: _supervises(process, "train"))
TRAINING = Kind("training", lambda process: _supervised(process, "train"))
TRANSFORM_SERVER = Kind(
    "transform server", lambda process: _supervised(process, "serve", _NICE_OF_TRANSFORMS)
)
ENDPOINT_SERVER = Kind(
    "endpoint server", lambda process: _supervised(process, "serve", _NICE_OF_ENDPOINTS)
)


def running(user: User, kind: Kind) -> list[psutil.Process]:
    """Return the processes of a kind."""
    selected = []
    for process in psutil.Process(user.stack.pid).children(recursive=True):
        with suppress(psutil.Error):
            if kind.selects(process):
                selected.append(process)
    return selected


def kill(processes: list[psutil.Process]) -> int:
    """Kill processes at once; return how many were still running."""
    killed = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
            killed += 1
    psutil.wait_procs(processes, timeout=END_S)
    return killed


def kill_next(
    user: User,
    kind: Kind,
    random: Random,
    latest_s: float,
    known: list[psutil.Process] | None = None,
) -> int:
    """Kill the next process of a kind, at a random moment after its start; return how many.

    A process that has ended by then counts as none.

    Args:
        user: the user of the stack whose processes are looked at.
        kind: which process.
        random: draws the moment.
        latest_s: latest moment, in seconds after the start.
        known: processes that are not the next one; None for those that run now. What causes the
            next one may start it before they can be listed, so list them before the cause.

    Raises:
        NotSurvived: when no such process is started in time.
    """
    pids = {process.pid for process in (running(user, kind) if known is None else known)}
    deadline = time.monotonic() + APPEAR_S
    while time.monotonic() < deadline:
        started = [process for process in running(user, kind) if process.pid not in pids]
        if started:
            time.sleep(random.uniform(0, latest_s))
            return min(1, kill(started))
        time.sleep(POLL_S)
    raise NotSurvived(f"no process of {kind.title} was started within {APPEAR_S:.0f} s")


@contextmanager
def killing_next(
    user: User, kind: Kind, random: Random, latest_s: float, known: list[psutil.Process]
) -> Iterator[Callable[[], int]]:
    """Kill the next process of a kind while the block runs; see `kill_next`."""
    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(kill_next, user, kind, random, latest_s, known)
        yield killed.result


def wait_until_gone(processes: list[psutil.Process], timeout_s: float = END_S) -> None:
    """Wait until processes have ended.

    Raises:
        NotSurvived: when one still runs.
    """
    _, alive = psutil.wait_procs(processes, timeout=timeout_s)
    if alive:
        names = ", ".join(f"{process.pid} ({process.name()})" for process in alive)
        raise NotSurvived(f"processes of the ended stack still run: {names}")
