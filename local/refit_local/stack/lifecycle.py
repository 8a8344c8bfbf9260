"""Start, find and end local grounds: what `refit up`, `refit down` and `refit status` do.

One folder a port, `.refit/<port>/` in the project: `ground.json` (the record), `ground.log` (the
server's output) and `state/` (all that the ground holds).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import psutil
import requests

from refit_local.stack import record
from refit_local.stack.deploy import Deployment, deploy
from refit_local.stack.errors import (
    GroundBusy,
    GroundNotEnded,
    GroundNotStarted,
    PortTaken,
    StateFolderInUse,
)
from refit_local.stack.record import Record, StackInfo

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_PORT = 4566
STACK_NAME = "refit"
REGION = "us-east-1"
START_DEADLINE_S = 60.0
END_DEADLINE_S = 30.0
KILL_DEADLINE_S = 5.0
POLL_S = 0.1
LOG_TAIL_LINES = 30
_OURS = "refit-ground"
_KEPT = "kept"
_NOT_PASSED_ON = ("AWS_", "LOCALSTACK_", "MINISTACK_", "LAMBDA_", "SERVICES", "EDGE_PORT", "SFN_")

Log = Callable[[str], None]


@dataclass
class _Server:
    """A server this process has started, with the pipe that ties it to this process."""

    process: subprocess.Popen[bytes]
    record: Record


_owned: dict[int, _Server] = {}


def up(
    port: int = DEFAULT_PORT,
    state_dir: Path | None = None,
    *,
    keep: bool = False,
    detach: bool = False,
    log: Log = print,
    project: Path = record.PROJECT,
) -> StackInfo:
    """Start a ground and deploy the template on it; a ground that stands already is left alone.

    Without `detach` the ground ends with this process, however that ends; call `attend` to wait.

    Args:
        port: where on 127.0.0.1 it answers.
        state_dir: where it keeps everything; `.refit/<port>/state` when not given.
        keep: have the state outlive the ground; the next `up` finds it again.
        detach: leave the ground standing when this process ends.
        log: told in a line what is going on.
        project: the folder of the template to deploy.

    Raises:
        StackError: when it does not come to stand; nothing of it is left then.
    """
    standing = record.read(port)
    if standing is not None and standing.process() is not None:
        if not standing.ready:
            raise GroundBusy(
                f"a ground is being started on port {port} (process {standing.info.pid}); wait "
                f"for it, or end it with `refit down --port {port}`"
            )
        log(f"a ground stands on port {port} already (process {standing.info.pid})")
        return standing.info
    _check_port(port)
    state = (state_dir or record.folder(port) / "state").resolve()
    keep = _prepare_state(port, state, keep=keep, log=log)
    try:
        server = _start(port, state, keep=keep)
        _wait_until_answers(server)
        log(f"MiniStack answers on port {port}; building and deploying the template")
        deployed = deploy(server.record.info, log, project)
    except BaseException:
        # Also at Ctrl-C: what was started half is ended whole.
        down(port, log=lambda _: None)
        raise
    return _make_ready(server, deployed, detach=detach)


def _make_ready(server: _Server, deployed: Deployment, *, detach: bool) -> StackInfo:
    info = replace(server.record.info, api_url=deployed.api_url, api_key=deployed.api_key)
    record.write(replace(server.record, info=info, ready=True))
    if detach:
        _release(server)
    return info


def _release(server: _Server) -> None:
    pipe = server.process.stdin
    if pipe is not None:
        pipe.write(b"detach\n")
        pipe.close()
    _owned.pop(server.record.info.port, None)
    # It goes on without us: nobody waits for it here any more.
    server.process.returncode = 0


def info(port: int = DEFAULT_PORT) -> StackInfo | None:
    """Return the ground that stands on a port, or None."""
    known = record.read(port)
    if known is None or not known.ready or known.process() is None:
        return None
    return known.info


def attend(port: int = DEFAULT_PORT) -> None:
    """Wait until the ground has ended, whoever ends it."""
    while info(port) is not None:
        time.sleep(POLL_S)


def down(port: int = DEFAULT_PORT, *, discard: bool = False, log: Log = print) -> bool:
    """End the ground of a port; return whether there was one.

    The state is thrown away unless it was asked to be kept; `discard` throws away kept state too.

    Raises:
        GroundNotEnded: when a process of it is still there after SIGKILL.
    """
    known = record.read(port)
    process = known.process() if known is not None else None
    if process is not None:
        _end(process, port)
        log(f"the ground on port {port} has ended")
    else:
        log(f"no ground stands on port {port}")
    server = _owned.pop(port, None)
    if server is not None:
        server.process.wait(KILL_DEADLINE_S)
        if server.process.stdin is not None:
            server.process.stdin.close()
    state = known.info.state_dir if known is not None else record.folder(port) / "state"
    if discard or not (state / _KEPT).exists():
        _throw_away(state)
    record.remove(port)
    return process is not None


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PortTaken(
                f"port {port} is taken by another program; choose another with --port N "
                "or REFIT_PORT=N"
            ) from error


def _prepare_state(port: int, state: Path, *, keep: bool, log: Log) -> bool:
    """Find kept state again, or make room for new; return whether it is to be kept."""
    _check_unused(state)
    if (state / _KEPT).exists():
        (state / _OURS).write_text(str(port))
        log(f"going on with the state kept in {state}")
        return True
    _throw_away(state)
    if state.exists() and any(state.iterdir()):
        raise StateFolderInUse(
            f"{state} holds something that is no ground's state; name an empty folder with --state"
        )
    state.mkdir(parents=True, exist_ok=True)
    (state / _OURS).write_text(str(port))
    if keep:
        (state / _KEPT).touch()
    return keep


def _check_unused(state: Path) -> None:
    try:
        known = record.read(int((state / _OURS).read_text()))
    except (OSError, ValueError):
        return
    if known is not None and known.info.state_dir == state and known.process() is not None:
        raise StateFolderInUse(
            f"the ground on port {known.info.port} keeps its state in {state}; name another folder "
            "with --state"
        )


def _throw_away(state: Path) -> None:
    """Remove a state folder, and never a folder that a ground has not made."""
    if (state / _OURS).exists():
        shutil.rmtree(state, ignore_errors=True)


def _start(port: int, state: Path, *, keep: bool) -> _Server:
    keys = {
        "AWS_ACCESS_KEY_ID": f"AKIA{secrets.token_hex(8).upper()}",
        "AWS_SECRET_ACCESS_KEY": secrets.token_urlsafe(30),
    }
    command = [sys.executable, "-m", "refit_local.stack.server", "--owned"]
    command += ["--port", str(port), "--state", str(state), "--region", REGION]
    log_path = record.folder(port) / "ground.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("wb") as log_file:
        process = subprocess.Popen(
            [*command, "--keep"] if keep else command,
            env={**_own_environment(), **keys},
            cwd=state,
            stdin=subprocess.PIPE,
            stdout=log_file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    known = StackInfo(
        port=port,
        pid=process.pid,
        state_dir=state,
        endpoint_url=f"http://127.0.0.1:{port}",
        region=REGION,
        access_key_id=keys["AWS_ACCESS_KEY_ID"],
        secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        stack_name=STACK_NAME,
        api_url="",
        api_key="",
    )
    started_at = psutil.Process(process.pid).create_time()
    server = _Server(process, Record(known, started_at, keep=keep, ready=False))
    record.write(server.record)
    _owned[port] = server
    return server


def _own_environment() -> dict[str, str]:
    """The caller's environment without what would speak to AWS, or steer MiniStack."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(_NOT_PASSED_ON)
    }


def _wait_until_answers(server: _Server) -> None:
    known = server.record.info
    deadline = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise GroundNotStarted(f"the ground ended at its start:\n{_log_tail(known.port)}")
        with contextlib.suppress(requests.RequestException):
            health = f"{known.endpoint_url}/_ministack/health"
            if requests.get(health, timeout=START_DEADLINE_S).ok:
                return
        time.sleep(POLL_S)
    raise GroundNotStarted(
        f"the ground did not answer within {START_DEADLINE_S:.0f} s:\n{_log_tail(known.port)}"
    )


def _log_tail(port: int) -> str:
    path = record.folder(port) / "ground.log"
    lines = path.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
    return "\n".join([*lines, f"(the whole log is {path})"])


def _end(server: psutil.Process, port: int) -> None:
    family = _family(server)
    _signal_all([server], "terminate")
    psutil.wait_procs([server], timeout=END_DEADLINE_S)
    # The server ends its children itself; what is left of them after that is ended here.
    _, left = psutil.wait_procs(family, timeout=POLL_S)
    _signal_all(left, "kill")
    _, left = psutil.wait_procs(left, timeout=KILL_DEADLINE_S)
    if left:
        ids = ", ".join(str(process.pid) for process in left)
        raise GroundNotEnded(f"processes of the ground on port {port} do not end: {ids}")


def _family(server: psutil.Process) -> list[psutil.Process]:
    try:
        return [server, *server.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _signal_all(processes: list[psutil.Process], how: str) -> None:
    for process in processes:
        send: Callable[[], Any] = getattr(process, how)
        with contextlib.suppress(psutil.NoSuchProcess):
            send()
