"""Start, find and stop local stacks, for `refit up`, `refit down` and `refit status`.

Each port has one folder, `.refit/<port>/` in the project: `stack.json` (the record), `stack.log`
(the server's output) and `state/` (tables, objects, models).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from refit_local.stack import record, server_process, state_folder
from refit_local.stack.deploy import Deployment, deploy, is_deployed
from refit_local.stack.errors import PortTaken, StackBusy

if TYPE_CHECKING:
    from pathlib import Path

    from refit_local.stack.record import StackInfo
    from refit_local.stack.server_process import ServerProcess

DEFAULT_PORT = 4566
POLL_S = 0.1

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
    if recorded is not None and recorded.process() is not None:
        if not recorded.ready:
            raise StackBusy(
                f"a local stack is being started on port {port} (process {recorded.info.pid}); "
                f"wait for it, or stop it with `refit down --port {port}`"
            )
        running = f"the local stack is already running on port {port} (process {recorded.info.pid})"
        if is_deployed(recorded.info):
            log(running)
            return recorded.info
        log(f"{running}, without a stack in it; building and deploying the template")
        return _record_ready(recorded, deploy(recorded.info, log, project))
    _check_port(port)
    state = (state_dir or record.folder(port) / "state").resolve()
    keep = state_folder.prepare(port, state, keep=keep, log=log)
    try:
        server = _owned[port] = server_process.start(port, state, keep=keep)
        server_process.wait_until_ready(server)
        log(f"MiniStack is running on port {port}; building and deploying the template")
        deployed = deploy(server.record.info, log, project)
    except BaseException:
        # BaseException, so that Ctrl-C ends the server as well.
        down(port, log=lambda _: None)
        raise
    return _make_ready(server, deployed, detach=detach)


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

    Raises:
        StackNotStopped: when a process still runs after SIGKILL.
    """
    recorded = record.read(port)
    process = recorded.process() if recorded is not None else None
    if process is not None:
        server_process.end(process, port)
        log(f"the local stack on port {port} has stopped")
    else:
        log(f"no local stack is running on port {port}")
    server = _owned.pop(port, None)
    if server is not None:
        server.reap()
    state = recorded.info.state_dir if recorded is not None else record.folder(port) / "state"
    if discard or not state_folder.is_kept(state):
        state_folder.delete(state)
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
