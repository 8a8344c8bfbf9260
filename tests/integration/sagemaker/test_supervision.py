"""The process that runs an algorithm: whenever it is ended, it leaves nothing behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from refit_local.sagemaker.machine import supervise

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

MARK = "time.sleep(98.76)"
SPECIFICATION = {
    "command": [sys.executable, "-c", f"import time; {MARK}"],
    "folder": None,
    "nice": 0,
    "cores": [],
    "oom_score_adj": 0,
    "data_bytes": 0,
}


def supervisor() -> subprocess.Popen[bytes]:
    """Start a supervisor, and return it the moment its algorithm exists."""
    command = [sys.executable, "-I", "-S", supervise.__file__, json.dumps(SPECIFICATION)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 30
    while not children.read_text():
        assert time.monotonic() < deadline, "the algorithm was not started"
    return process


def ended_by(number: signal.Signals) -> int:
    """Send a supervisor a signal the moment its algorithm exists; return its exit code."""
    with supervisor() as process:
        process.send_signal(number)
        return process.wait(30)


def algorithms() -> list[int]:
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if any(MARK in argument for argument in process.info["cmdline"] or [])
    ]


def nothing_is_left() -> bool:
    deadline = time.monotonic() + 10
    while algorithms() and time.monotonic() < deadline:
        time.sleep(0.05)
    return not algorithms()


def test_a_stop_that_comes_while_the_algorithm_is_started_ends_it() -> None:
    codes = [ended_by(signal.SIGTERM) for _ in range(10)]
    assert nothing_is_left()
    assert codes == [128 + signal.SIGTERM] * 10


def test_an_algorithm_ends_when_its_supervisor_is_killed_while_it_starts() -> None:
    codes = [ended_by(signal.SIGKILL) for _ in range(10)]
    assert nothing_is_left()
    assert codes == [-signal.SIGKILL] * 10
