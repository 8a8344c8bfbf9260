"""The local stack is started and ended in ways that can go wrong: a sentence, and no leftovers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from refit_local.stack import lifecycle, record, run_sam

from tests.chaos.fault import CannotBeTried, Needs, NotSurvived, fault
from tests.chaos.own_stack import COMMAND_S, Start, begin, is_free, refit, state_of
from tests.chaos.processes import wait_until_gone
from tests.chaos.subject import Subject
from tests.e2e.driver import User, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


OK, FAILED, BAD_INPUT, NOT_REACHABLE = 0, 1, 2, 3
LATEST_S = 12.0
"""Until then `refit up` has started the server, and builds or deploys."""
LATEST_OF_SAM_S = 4.0
POLL_S = 0.05
SMALL_DISK = "1g"
"""A stack with one model takes about half of it: each process of a function has its own code."""


def _up(port: int, *options: str) -> subprocess.CompletedProcess[str]:
    return refit("up", "--detach", "--port", str(port), *options)


def _down(port: int, *options: str) -> subprocess.CompletedProcess[str]:
    return refit("down", "--port", str(port), *options)


def _require(done: subprocess.CompletedProcess[str], *codes: int) -> None:
    if done.returncode not in codes:
        text = " ".join((done.stderr or done.stdout).split())[-300:]
        command = " ".join(map(str, done.args[3:]))
        raise NotSurvived(f"refit {command} ended with {done.returncode}: {text}")


def _require_start(port: int, *options: str) -> None:
    """Require that a stack can be started, and stopped, as if nothing had been."""
    _require(_up(port, *options), OK)
    _require(_down(port, "--discard"), OK)


def _interrupted(start: Start, number: signal.Signals) -> int:
    """Send the signal while the server starts or SAM runs, and again while SAM runs."""
    codes = []
    for moment, latest_s in ((_has_begun, LATEST_S), (_runs_sam, LATEST_OF_SAM_S)):
        codes.append(_interrupted_at(start, number, moment, latest_s))
    start.note = f"exit codes {codes}"
    _require_start(start.own_stack.port)
    return len(codes)


def _interrupted_at(
    start: Start,
    number: signal.Signals,
    moment: Callable[[int, psutil.Process], bool],
    latest_s: float,
) -> int:
    port = start.own_stack.port
    _lock_of(port).unlink(missing_ok=True)
    up = begin("up", "--port", str(port))
    process = psutil.Process(up.pid)
    wait_for(lambda: moment(port, process) or None, "the start", COMMAND_S, POLL_S)
    time.sleep(start.random.uniform(0, latest_s))
    processes = process.children(recursive=True)
    os.kill(up.pid, number)
    output, _ = up.communicate(timeout=COMMAND_S)
    if "Traceback (most recent call last)" in output:
        raise NotSurvived(f"refit up shows a traceback: {output.strip().splitlines()[-1]}")
    wait_until_gone(processes, timeout_s=30)
    if not is_free(port):
        raise NotSurvived(f"port {port} is still taken")
    return up.returncode


def _lock_of(port: int) -> Path:
    return record.folder(port) / "lock"


def _has_begun(port: int, up: psutil.Process) -> bool:
    """Say whether the command has read its options, and begins."""
    return _lock_of(port).exists()


def _runs_sam(port: int, up: psutil.Process) -> bool:
    commands = [each.cmdline() for each in up.children() if each.is_running()]
    return any(run_sam.__name__ in command for command in commands)


def _add_signal(number: signal.Signals) -> None:
    name = number.name

    @fault(f"up-{name.lower()}", f"refit up gets {name} at any moment", Needs.NOTHING)
    def inject(start: Start) -> int:
        return _interrupted(start, number)


for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL):
    _add_signal(_number)


@fault("up-port-taken", "another program has the port", Needs.NOTHING)
def _port_taken(start: Start) -> int:
    port = start.own_stack.port
    for host in ("127.0.0.1", "0.0.0.0"):
        with socket.socket() as program:
            program.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            program.bind((host, port))
            program.listen()
            _require(_up(port), BAD_INPUT)
    _require_start(port)
    return 2


@fault("up-three-times", "refit up runs three times at once", Needs.NOTHING)
def _three_times(start: Start) -> int:
    port = start.own_stack.port
    starts = [begin("up", "--detach", "--port", str(port)) for _ in range(3)]
    codes = []
    for up in starts:
        output, _ = up.communicate(timeout=COMMAND_S)
        if "Traceback (most recent call last)" in output:
            raise NotSurvived(f"refit up shows a traceback: {output.strip().splitlines()[-1]}")
        codes.append(up.returncode)
    start.note = f"exit codes {sorted(codes)}"
    if OK not in codes or lifecycle.info(port) is None:
        raise NotSurvived(f"no local stack runs after three starts: exit codes {codes}")
    _require(_down(port), OK)
    return 3


@fault("down-beside-up", "down, up and down run at once; later starts work", Needs.NOTHING)
def _down_beside_up(start: Start) -> int:
    port = start.own_stack.port
    _require(_up(port), OK)
    commands = (["down"], ["up", "--detach"], ["down"])
    started = []
    for command in commands:
        started.append(begin(*command, "--port", str(port)))
        time.sleep(start.random.uniform(0, 0.5))
    for each in started:
        output, _ = each.communicate(timeout=COMMAND_S)
        if "Traceback (most recent call last)" in output:
            raise NotSurvived(f"a command shows a traceback: {output.strip().splitlines()[-1]}")
    _require(_down(port), OK)
    _require_start(port)
    return 3


def _record_of_another_program(port: int) -> str:
    """Return a whole record, whose process id belongs to this process by now."""
    info = {"port": port, "pid": os.getpid(), "state_dir": str(state_of(port))}
    texts = (
        "endpoint_url",
        "region",
        "access_key_id",
        "secret_access_key",
        "stack_name",
        "api_url",
    )
    info |= dict.fromkeys(texts, "")
    content = {"info": info | {"api_keys": {}}, "started_at": 0, "keep": False, "ready": True}
    return json.dumps(content)


@fault(
    "damaged-record", "stack.json is cut, null, of zeros, or names another program", Needs.NOTHING
)
def _damaged_record(start: Start) -> int:
    port = start.own_stack.port
    path = record.folder(port) / "stack.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    other = _record_of_another_program(port)
    texts = ("null", '{"info": {', "\0" * 100, "[]", "5", other)
    for text in texts:
        for command in (["status"], ["down"]):
            path.write_text(text)
            _require(refit(*command, "--port", str(port)), OK, NOT_REACHABLE)
    path.write_text(texts[0])
    _require_start(port)
    return len(texts)


@fault("state-of-others", "--state names a folder of other files, or a file", Needs.NOTHING)
def _state_of_others(start: Start) -> int:
    port = start.own_stack.port
    with tempfile.TemporaryDirectory() as folder:
        letter = Path(folder, "letter.txt")
        letter.write_text("dear")
        _require(_up(port, "--state", folder), FAILED, BAD_INPUT)
        _require(_up(port, "--state", str(letter)), FAILED, BAD_INPUT)
        _require(_up(port, "--state", str(letter / "state")), FAILED, BAD_INPUT)
        if letter.read_text() != "dear":
            raise NotSurvived("a file of somebody else was changed")
    _require_start(port)
    return 3


@fault("reserve-of-all-memory", "more memory is reserved than the machine has", Needs.NOTHING)
def _reserve(start: Start) -> int:
    reserve_mb = psutil.virtual_memory().total // 2**20 + 1000
    _require_start(start.own_stack.port, "--reserve-memory", str(reserve_mb))
    return 1


@contextmanager
def _small_disk() -> Iterator[Path]:
    """Mount a small disk; only the administrator of a Linux machine may."""
    folder = Path(tempfile.mkdtemp())
    command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        raise CannotBeTried("there is no command mount") from None
    if mounted.returncode != 0:
        folder.rmdir()
        raise CannotBeTried("a small disk needs the rights to mount one")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)
        shutil.rmtree(folder, ignore_errors=True)


@fault(
    "full-disk", "the disk is full when a file is dropped and when the stack stops", Needs.NOTHING
)
def _full_disk(start: Start) -> int:
    port = start.own_stack.port
    with _small_disk() as disk:
        state = ("--keep", "--state", str(disk / "state"))
        _require(_up(port, *state), OK)
        info = lifecycle.info(port)
        assert info is not None
        crowded = Subject(User(info), start.digits, "crowded")
        crowded.random = start.random
        crowded.begin()
        champion = crowded.user.state("crowded")["champion"]
        filler = disk / "filler"
        with filler.open("wb") as file:
            try:
                while True:
                    file.write(b"\0" * 2**20)
                    file.flush()
            except OSError:
                pass
        stopped = _down(port)
        filler.unlink(missing_ok=True)
        if stopped.returncode != OK:
            _require(_down(port), OK)
        _require(_up(port, *state), OK)
        info = lifecycle.info(port)
        assert info is not None
        crowded.move_to(User(info))
        now = crowded.user.state("crowded").get("champion")
        if now != champion:
            raise NotSurvived(f"after a full disk the live version is {now}, and was {champion}")
        crowded.drop()
        crowded.require_deployed()
        _require(_down(port, "--discard"), OK)
    return 1


@fault("read-only-state", "the folder of the state cannot be written", Needs.NOTHING)
def _read_only(start: Start) -> int:
    port = start.own_stack.port
    with _small_disk() as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        _require(_up(port, "--state", str(disk / "state")), FAILED, BAD_INPUT)
        if not is_free(port):
            raise NotSurvived("a stack runs though its state cannot be written")
    state = state_of(port)
    wait_for(lambda: not state.exists() or None, "no state")
    _require_start(port)
    return 1
