"""The campaign of faults kills the process that it means to, however early that process starts."""

from __future__ import annotations

import os
import subprocess
import sys
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import psutil
import pytest

from tests.chaos import processes
from tests.chaos.fault import NotSurvived

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.driver import User

MARK = "function-of-the-chaos-test"
KIND = processes.Kind("Gate", lambda process: process.cmdline()[-1] == MARK)
USER = cast("User", SimpleNamespace(stack=SimpleNamespace(pid=os.getpid())))


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the kind, which its cause has started at once."""
    monkeypatch.setattr(processes, "APPEAR_S", 1.0)
    command = [sys.executable, "-c", "import sys; sys.stdin.read()", MARK]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_a_process_that_started_before_it_could_be_listed_is_the_next(
    started: subprocess.Popen[bytes],
) -> None:
    assert processes.kill_next(USER, KIND, Random(1), 0, known=[]) == 1
    assert not psutil.pid_exists(started.pid)


def test_a_process_that_is_known_is_left_alone(started: subprocess.Popen[bytes]) -> None:
    known = processes.running(USER, KIND)
    assert [process.pid for process in known] == [started.pid]
    with pytest.raises(NotSurvived, match="no process of Gate was started within 1 s"):
        processes.kill_next(USER, KIND, Random(1), 0, known)
    assert started.poll() is None
