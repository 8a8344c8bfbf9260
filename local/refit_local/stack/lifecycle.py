"""Start, find and stop local stacks, for `refit up`, `refit down` and `refit status`.

Each port has one folder, `.refit/<port>/` in the project: `stack.json` (the record), `stack.log`
(the server's output) and `state/` (tables, objects, models).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from refit_local.stack import cut_off, record, server_process, state_folder
from refit_local.stack.deploy import Deployment, client, deploy, is_deployed
from refit_local.stack.errors import PortTaken, StackBusy, StackNotStarted
from refit_local.stack.port_lock import starts_or_ends

if TYPE_CHECKING:
    from pathlib import Path

    from refit_local.stack.record import StackInfo
    from refit_local.stack.server_process import ServerProcess

DEFAULT_PORT = 4566
POLL_S = 0.1
PORT_IS_FREE_S = 10.0
START_ENDS_S = 60.0
"""How long `down` waits for a start whose server it has ended."""

Log = Callable[[str], None]

_owned: dict[int, ServerProcess] = {}


def up(
    port: int = DEFAULT_PORT,
    state_dir: Path | None = None,
    *,
    keep: bool = False,
    detach: bool = False,
    log: Log = print,
    project: Path = record.PROJECT,
) -> StackInfo:
    """Start a local stack and deploy the template; return a running one unchanged.

    A running one whose stack was destroyed gets a new one.

    Without `detach` the stack stops when this process ends, for whatever reason; `attend` waits.

    Args:
        port: the port on 127.0.0.1.
        state_dir: the folder of its state; `.refit/<port>/state` when None.
        keep: keep the state when the stack stops, for the next `up`.
        detach: leave the stack running when this process ends.
        log: called with one line for each step.
        project: the folder of the template to deploy.

    Raises:
        StackError: when it cannot be started or deployed; everything it started is ended first.
    """
    recorded = record.read(port)
    if recorded is None or recorded.process() is None:
        # A process that was killed a moment ago may still hold its port.
        _check_port(port, wait_s=0 if recorded is None else PORT_IS_FREE_S)
    else:
        _check_ready(recorded)
    try:
        with starts_or_ends(port, wait_s=0):
            recorded = record.read(port)
            if recorded is not None and recorded.process() is not None:
                return _use_running(recorded, log, project)
            state = (state_dir or record.folder(port) / "state").resolve()
            return _start(port, state, keep=keep, detach=detach, log=log, project=project)
    except OSError as error:
        raise StackNotStarted(
            f"the local stack on port {port} cannot be started: {error.strerror or error}"
            + (f": {error.filename}" if error.filename else "")
        ) from error


def _check_ready(recorded: record.Record) -> None:
    if not recorded.ready:
        port = recorded.info.port
        raise StackBusy(
            f"a local stack is being started on port {port} (process {recorded.info.pid}); "
            f"wait for it, or stop it with `refit down --port {port}`"
        )


def _use_running(recorded: record.Record, log: Log, project: Path) -> StackInfo:
    _check_ready(recorded)
    port, pid = recorded.info.port, recorded.info.pid
    running = f"the local stack is already running on port {port} (process {pid})"
    if is_deployed(recorded.info):
        log(running)
        return recorded.info
    log(f"{running}, without a stack in it; building and deploying the template")
    return _record_ready(recorded, deploy(recorded.info, log, project))


def _start(
    port: int, state: Path, *, keep: bool, detach: bool, log: Log, project: Path
) -> StackInfo:
    started_at = datetime.now(UTC)
    keep = state_folder.prepare(port, state, keep=keep, log=log)
    is_new = not state_folder.is_kept(state)
    _reap(port)
    try:
        server = _owned[port] = server_process.start(port, state, keep=keep)
        server_process.wait_until_ready(server)
        log(f"MiniStack is running on port {port}; building and deploying the template")
        deployed = deploy(server.record.info, log, project)
        if keep:
            state_folder.keep_from_now_on(state)
        if not is_new:
            _say_what_goes_on(server.record.info, started_at, log)
    except BaseException:
        # BaseException, so that Ctrl-C ends the server as well.
        _end(port, discard=False, log=lambda _: None)
        raise
    return _make_ready(server, deployed, detach=detach)


def _reap(port: int) -> None:
    """Close what this process holds of a server that has ended."""
    server = _owned.pop(port, None)
    if server is not None:
        server.reap()


def _say_what_goes_on(info: StackInfo, started_at: datetime, log: Log) -> None:
    endpoints = client(info, "sagemaker").list_endpoints(MaxResults=100)["Endpoints"]
    names = ", ".join(sorted(endpoint["EndpointName"] for endpoint in endpoints))
    if names:
        log(f"goes on with the endpoints {names}")
    for name in cut_off.ended_since(info, started_at):
        log(f"{name} was cut off when the stack ended; it is FAILED")


def _make_ready(server: ServerProcess, deployed: Deployment, *, detach: bool) -> StackInfo:
    info = _record_ready(server.record, deployed)
    if detach:
        _owned.pop(info.port, None)
        server.release()
    return info


def _record_ready(recorded: record.Record, deployed: Deployment) -> StackInfo:
    info = replace(recorded.info, api_url=deployed.api_url, api_keys=deployed.api_keys)
    record.write(replace(recorded, info=info, ready=True))
    return info


def info(port: int = DEFAULT_PORT) -> StackInfo | None:
    """Return the running local stack of a port, or None."""
    recorded = record.read(port)
    if recorded is None or not recorded.ready or recorded.process() is None:
        return None
    return recorded.info


def attend(port: int = DEFAULT_PORT) -> None:
    """Wait until the local stack has stopped."""
    while info(port) is not None:
        time.sleep(POLL_S)


def down(port: int = DEFAULT_PORT, *, discard: bool = False, log: Log = print) -> bool:
    """Stop the local stack of a port; return whether one was running.

    The state is deleted unless it was started with `keep`; `discard` deletes kept state as well.

    What it cuts off is said before.

    Raises:
        StackNotStopped: when a process still runs after SIGKILL.
        StackBusy: when a start on the port, whose server has been ended, does not end.
    """
    recorded = record.read(port)
    process = recorded.process() if recorded is not None else None
    if recorded is not None and process is not None:
        if recorded.ready:
            _say_what_is_cut_off(recorded.info, discard=discard, log=log)
        # A start that is under way holds the lock, and gives it back when its server has ended.
        server_process.end(process, port)
    if not record.folder(port).exists():
        log(f"no local stack is running on port {port}")
        return False
    with starts_or_ends(port, wait_s=START_ENDS_S):
        now = record.read(port)
        if process is not None and now is not None and now.process() is not None:
            return True  # another `up` has started a new one in the meantime
        return _end(port, discard=discard, log=log, ended=process is not None)


def _say_what_is_cut_off(info: StackInfo, *, discard: bool, log: Log) -> None:
    for name in cut_off.running(info):
        if discard or not state_folder.is_kept(info.state_dir):
            log(f"{name} is cut off, and deleted")
        else:
            log(f"{name} is cut off; it will be FAILED after the next `refit up`")


def _end(port: int, *, discard: bool, log: Log, ended: bool = False) -> bool:
    """End the server, unless it has `ended`, and delete what is not kept."""
    recorded = record.read(port)
    process = recorded.process() if recorded is not None else None
    if process is not None:
        server_process.end(process, port)
        ended = True
    _reap(port)
    if ended:
        log(f"the local stack on port {port} has stopped")
    else:
        log(f"no local stack is running on port {port}")
    state = recorded.info.state_dir if recorded is not None else record.folder(port) / "state"
    if discard or not state_folder.is_kept(state):
        state_folder.delete(state)
    record.remove(port)
    return ended


def _check_port(port: int, *, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                if time.monotonic() >= deadline:
                    raise PortTaken(
                        f"port {port} is taken by another program; choose another with --port N "
                        "or REFIT_PORT=N"
                    ) from error
            else:
                return
        time.sleep(POLL_S)
