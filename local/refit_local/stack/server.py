"""The process of the local stack: MiniStack with its corrections and the local SageMaker.

`python -m refit_local.stack.server --port N --state DIR` serves on 127.0.0.1 until SIGTERM or
SIGINT, then ends its children and itself. `server_process` starts it.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
from hypercorn.asyncio import serve as serve_http
from hypercorn.config import Config

from refit_local.ministack import alarms, hooks, hostile, names
from refit_local.ministack.corrections import install_corrections
from refit_local.ministack.durability import durable_state, object_repair
from refit_local.ministack.services import HostedService
from refit_local.sagemaker.faults import LIST_LAG_VARIABLE, LOG_LAG_VARIABLE
from refit_local.stack import closed_connections
from refit_local.stack.emulator_settings import environment, make_folders
from refit_local.stack.hosted_sagemaker import install_sagemaker
from refit_local.stack.request_guard import guarded
from refit_local.state.database import DatabaseUnreadable

KEEP_ALIVE_S = 75
CHILD_GRACE_S = 5.0
RESPONSE_POLL_S = 0.05
_M_ARENA_MAX = -8
_ARENAS = 2
HOSTILE_LIST_LAG_S = "2"
"""How long ListModelPackages of a hostile stack does not show a new package."""
HOSTILE_LOG_LAG_S = "2"
"""How long after it was written a line arrives in a log of SageMaker of a hostile stack."""

Install = Callable[[Path, int, str], HostedService]
"""Registers a service in MiniStack, given the state folder, the port and the region."""

log = logging.getLogger("refit.stack")


def main() -> None:
    """Read the command line and serve until a signal."""
    parser = argparse.ArgumentParser(prog="refit_local.stack.server")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument(
        "--owned", action="store_true", help="end when standard input closes without any input"
    )
    options = parser.parse_args()
    state = options.state.resolve()
    # MiniStack reads its settings when it is imported, which the corrections do.
    os.environ.update(environment(options.port, state, options.region))
    make_folders(state)
    # Requests and stream records make many objects: the default thresholds make collection slow.
    gc.set_threshold(50_000, 20, 100)
    _share_freed_memory()
    try:
        asyncio.run(serve(options.port, state, options.region, owned=options.owned))
    except DatabaseUnreadable as error:
        sys.exit(str(error))


async def serve(
    port: int,
    state: Path,
    region: str,
    *,
    owned: bool,
    install: Install = install_sagemaker,
    alarm_minute_s: float = alarms.MINUTE_S,
) -> None:
    """Serve until a signal, or until the owner has ended; then end all children and the process.

    Args:
        port: the port on 127.0.0.1.
        state: the folder of the local stack's state.
        region: the region of requests that name none.
        owned: end when standard input closes before it has delivered anything.
        install: registers the SageMaker to serve.
        alarm_minute_s: the length of a minute of an alarm's period; below 60 in tests only.
    """
    _raise_file_limit()
    object_repair.repair(state / "s3")
    database = install_corrections(state, alarm_minute_s)
    service = install(state, port, region)
    durable = durable_state.install(database, state)
    faults = hostile.install_if_wanted(state)
    closed_connections.install()
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.keep_alive_timeout = KEEP_ALIVE_S
    config.graceful_timeout = 1
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, end.set)
    if owned:
        _end_with_owner(loop, end)
    background = [
        asyncio.create_task(alarms.evaluate_regularly(alarm_minute_s)),
        asyncio.create_task(_resume(service, durable, port)),
        asyncio.create_task(durable.store_regularly()),
    ]
    if faults is not None:
        os.environ.setdefault(LIST_LAG_VARIABLE, HOSTILE_LIST_LAG_S)
        os.environ.setdefault(LOG_LAG_VARIABLE, HOSTILE_LOG_LAG_S)
        background.append(asyncio.create_task(hostile.report_regularly(faults)))
    try:
        await serve_http(
            guarded(names.Hook.APP.get()), config, shutdown_trigger=partial(_ended, end, durable)
        )
    finally:
        for task in background:
            task.cancel()
        if faults is not None:
            faults.log_report()
        service.shut_down()
        hooks.end_lambda_workers()
        _end_children()
        durable.store()
    # Do not wait for MiniStack's threads, some of which block forever.
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)


async def _ended(end: asyncio.Event, durable: durable_state.DurableState) -> None:
    await end.wait()
    durable.end()


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _resume(service: HostedService, durable: durable_state.DurableState, port: int) -> None:
    """Continue from stored state as soon as the server accepts connections."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(RESPONSE_POLL_S)
            continue
        writer.close()
        break
    await asyncio.to_thread(service.resume)
    await asyncio.to_thread(durable.resume)


def _end_with_owner(loop: asyncio.AbstractEventLoop, end: asyncio.Event) -> None:
    """Set `end` when the other end of standard input, held by the owner, is closed."""

    def readable() -> None:
        loop.remove_reader(0)
        if not os.read(0, 64):
            log.warning("the process that started this local stack has ended: stopping")
            end.set()

    loop.add_reader(0, readable)


def _end_children() -> None:
    children = psutil.Process().children(recursive=True)
    for child in children:
        _signal(child, signal.SIGTERM)
    _, alive = psutil.wait_procs(children, timeout=CHILD_GRACE_S)
    for child in alive:
        _signal(child, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=CHILD_GRACE_S)


def _signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _share_freed_memory() -> None:
    """Let all threads use the same freed memory; glibc keeps what each of them has freed apart.

    Source: the manual page mallopt(3), M_ARENA_MAX.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # missing outside of glibc
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)


if __name__ == "__main__":
    main()
