"""The process of the local ground: MiniStack with IAM enforced and the local SageMaker in it.

`python -m refit_local.stack.server --port N --state DIR` serves on 127.0.0.1 until SIGTERM or
SIGINT, then ends its children and itself. `lifecycle` starts it; nobody else needs to.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from refit_local.sagemaker.ground import GroundServices, RoleCredentials

ACCOUNT_ID = "000000000000"
KEEP_ALIVE_S = 75
CHILD_GRACE_S = 5.0
ANSWER_POLL_S = 0.05


@dataclass(frozen=True)
class Guest:
    """What hangs in MiniStack besides its own services.

    Attributes:
        resume: goes on from kept state; called in a thread when all services answer.
        shut_down: ends all it has started.
    """

    resume: Callable[[], None]
    shut_down: Callable[[], None]


Install = Callable[[Path, int, str], Guest]

log = logging.getLogger("refit.ground")


def main() -> None:
    """Read the command line and serve until told to end."""
    parser = argparse.ArgumentParser(prog="refit_local.stack.server")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--keep", action="store_true", help="save the state when ending")
    parser.add_argument(
        "--owned", action="store_true", help="end when standard input closes without a word"
    )
    options = parser.parse_args()
    state = options.state.resolve()
    # MiniStack reads its settings when it is imported.
    os.environ.update(environment(options.port, state, options.region, keep=options.keep))
    make_folders(state)
    # All tables are in memory: looking through them for garbage at every turn takes its time.
    gc.set_threshold(50_000, 20, 100)
    asyncio.run(serve(options.port, state, options.region, owned=options.owned))


def make_folders(state: Path) -> None:
    """Make the folders that `environment` names."""
    for folder in ("tmp", "ministack", "s3", "sagemaker"):
        (state / folder).mkdir(parents=True, exist_ok=True)


def environment(port: int, state: Path, region: str, *, keep: bool) -> dict[str, str]:
    """Return MiniStack's settings for a ground. The credentials are already in the environment."""
    return {
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": "localhost",
        "MINISTACK_REGION": region,
        "MINISTACK_ACCOUNT_ID": ACCOUNT_ID,
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_ENDPOINT_URL": endpoint_url(port),
        "AWS_EC2_METADATA_DISABLED": "true",
        "STATE_DIR": str(state / "ministack"),
        "PERSIST_STATE": "1" if keep else "0",
        # On disk even when it is thrown away later: otherwise every object stays in memory.
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(state / "s3"),
        "TMPDIR": str(state / "tmp"),
        "REFIT_LAMBDA_SDK": str(state / "lambda-sdk"),
        "LAMBDA_EXECUTOR": "local",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        # No Docker: MiniStack must not go looking for one.
        "DOCKER_HOST": f"unix://{state}/no-docker.sock",
    }


def endpoint_url(port: int) -> str:
    """Return the URL at which a ground answers for all services."""
    return f"http://127.0.0.1:{port}"


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def serve(
    port: int,
    state: Path,
    region: str,
    *,
    owned: bool,
    install: Install | None = None,
    alarm_minute_s: float = 60.0,
) -> None:
    """Serve until a signal, or until its owner is gone; then leave no child behind.

    Args:
        port: where on 127.0.0.1 to answer.
        state: the folder of everything the ground holds.
        region: the region of requests that name none.
        owned: end when standard input closes before anything came from it.
        install: hangs a guest into MiniStack; the local SageMaker when not given.
        alarm_minute_s: how long a minute of an alarm's period takes; less than 60 in tests only.
    """
    from hypercorn.asyncio import serve as serve_http  # noqa: PLC0415 (after the environment)
    from hypercorn.config import Config  # noqa: PLC0415

    from refit_local.ministack import alarms, hooks, names  # noqa: PLC0415

    _raise_file_limit()
    install_runtime(state, alarm_minute_s)
    guest = (install or _install_sagemaker)(state, port, region)
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
        asyncio.create_task(alarms.watch(alarm_minute_s)),
        asyncio.create_task(_resume(guest, port)),
    ]
    try:
        await serve_http(names.Hook.APP.get(), config, shutdown_trigger=end.wait)
    finally:
        for task in background:
            task.cancel()
        guest.shut_down()
        hooks.end_lambda_workers()
        _end_children()
    # Threads of MiniStack that wait for something must not hold the process.
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)


def install_runtime(state: Path, alarm_minute_s: float = 60.0) -> None:
    """Make Lambda, Step Functions, S3 and CloudWatch what they are on AWS; imports MiniStack."""
    from refit_local.ministack import (  # noqa: PLC0415
        alarms,
        event_delivery,
        hooks,
        lambda_packages,
        lambda_runtime,
        object_reads,
        object_writes,
        state_machines,
        table_writes,
    )

    lambda_runtime.provide_sdk(state / "lambda-sdk")
    lambda_packages.install(state / "lambda-packages")
    for part in (
        lambda_runtime,
        state_machines,
        event_delivery,
        object_reads,
        object_writes,
        table_writes,
    ):
        part.install()
    alarms.install(alarm_minute_s)
    hooks.trust_loopback()


def _install_sagemaker(state: Path, port: int, region: str) -> Guest:
    from refit_local.ministack import hooks, state_machines  # noqa: PLC0415
    from refit_local.ministack.permissions import sagemaker_permissions  # noqa: PLC0415
    from refit_local.sagemaker.service import LocalSageMaker  # noqa: PLC0415
    from refit_local.sagemaker.stepfunctions import PREFIX, TaskFailure  # noqa: PLC0415

    ground = GroundServices(
        endpoint_url=endpoint_url(port),
        region=region,
        account_id=ACCOUNT_ID,
        access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
        secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        put_event=hooks.put_event,
        put_metric=hooks.put_metric,
        put_log_lines=hooks.put_log_lines,
        role_credentials=_role_credentials,
    )
    sagemaker = LocalSageMaker(state / "sagemaker", ground)
    hooks.register_service(
        hooks.Service(
            name="sagemaker",
            aliases=("api.sagemaker", "runtime.sagemaker"),
            target_prefix="SageMaker",
            sdk_name="SageMaker",
            models=("sagemaker", "sagemaker-runtime"),
            handle_request=sagemaker.handle_request,
            permissions=sagemaker_permissions,
            reset=sagemaker.reset,
        )
    )

    def start(resource: str, arguments: dict[str, Any], execution_arn: str) -> dict[str, Any]:
        try:
            stopped = state_machines.stop_signal()
            return sagemaker.tasks.run(resource, arguments, execution_arn, stopped)
        except TaskFailure as failure:
            raise hooks.TaskFailed(failure.error, failure.cause) from failure

    state_machines.register_task(PREFIX, start, sagemaker.tasks.stop)
    return Guest(sagemaker.resume, sagemaker.shutdown)


async def _resume(guest: Guest, port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(ANSWER_POLL_S)
            continue
        writer.close()
        break
    await asyncio.to_thread(guest.resume)


def _role_credentials(role_arn: str, session_name: str) -> RoleCredentials:
    from refit_local.ministack.hooks import assume_role  # noqa: PLC0415

    session = assume_role(role_arn, session_name, "sagemaker.amazonaws.com")
    return RoleCredentials(
        session.access_key_id,
        session.secret_access_key,
        session.session_token,
        datetime.fromtimestamp(session.expires_at, UTC),
    )


def _end_with_owner(loop: asyncio.AbstractEventLoop, end: asyncio.Event) -> None:
    """The process that started this one holds a pipe to it: it closes when that one ends."""

    def readable() -> None:
        loop.remove_reader(0)
        if not os.read(0, 64):
            log.warning("the process that started this ground is gone: ending")
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


if __name__ == "__main__":
    main()
