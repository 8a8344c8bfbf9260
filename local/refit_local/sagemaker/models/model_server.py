"""A model server: the process that runs in place of one hosting instance.

Source  docs/sagemaker-contract.md, "Serving container"
"""

from __future__ import annotations

import http.client
import secrets
import shutil
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit_local.sagemaker.machine.processes import AlgorithmCommand, AlgorithmProcess
from refit_local.sagemaker.models.models import ModelContainer, fetch_model
from refit_local.sagemaker.wire.errors import JobFailed

if TYPE_CHECKING:
    from refit_local.sagemaker.machine.containers import ContainerFolder
    from refit_local.sagemaker.machine.shares import Share
    from refit_local.sagemaker.platform import Platform

PING_TIMEOUT_S = 2.0
_PING_INTERVAL_S = 0.05
_START_ATTEMPTS = 3
_STOP_GRACE_S = 5.0


@dataclass(frozen=True)
class ServerPlan:
    """How to start a model server.

    Attributes:
        container: image, model data, environment and role of the model.
        share: the memory and the cores that the server may use.
        environment: variables beside those of the model.
        log_group: the log group of the server's output.
        log_stream: its log stream.
        nice: the niceness of the process.
        health_check_s: the server must answer /ping with 200 within this time.
    """

    container: ModelContainer
    share: Share
    environment: dict[str, str]
    log_group: str
    log_stream: str
    nice: int = 0
    health_check_s: float = 240.0


class ModelServerProcess:
    """A process that serves one model."""

    def __init__(self, platform: Platform, plan: ServerPlan, folder: ContainerFolder) -> None:
        self._platform = platform
        self._plan = plan
        self._folder = folder
        self._process: AlgorithmProcess | None = None
        self._stopped = False
        self.port = 0

    @property
    def running(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.running

    @property
    def stopped(self) -> bool:
        """Whether `stop` or `kill` was called."""
        return self._stopped

    @property
    def pid(self) -> int | None:
        """The process id of the supervisor."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Fetch the model, start the process and wait until it is healthy.

        Raises:
            JobFailed: when the model cannot be fetched or the server does not become healthy; it is
                stopped then.
        """
        container = self._plan.container
        fetch_model(self._platform.storage(container.role_arn), container, self._folder)
        try:
            self.launch()
        except JobFailed:
            self.stop()
            raise

    def launch(self) -> None:
        """Start the process on the fetched model and wait until it is healthy.

        Raises:
            JobFailed: when the server does not become healthy. It can be launched again.
        """
        deadline = time.monotonic() + self._plan.health_check_s
        # Another program may take the free port before the server binds it.
        for _ in range(_START_ATTEMPTS):
            self._spawn()
            if self._became_healthy(deadline):
                return
            killed_for = self._process.killed_for if self._process is not None else None
            if killed_for is not None:
                raise JobFailed(killed_for)
            if self._stopped:
                raise JobFailed("The model server was stopped while it started.")
        self._end_process(0)
        raise JobFailed(
            "The primary container did not start: the process ended before it answered /ping. "
            f"Please check CloudWatch logs ({self._plan.log_group})."
        )

    def stop(self) -> None:
        """End the process and delete its files."""
        self._stopped = True
        self._end_process(_STOP_GRACE_S)
        shutil.rmtree(self._folder.base, ignore_errors=True)

    def kill(self) -> None:
        """End the process at once."""
        self._stopped = True
        self._end_process(0)

    def _spawn(self) -> None:
        self._end_process(0)
        self.port = _free_port()
        plan = self._plan
        environment = {
            **plan.container.environment,
            **plan.environment,
            **self._folder.environment(),
            "AWS_REGION": self._platform.host.region,
            "SAGEMAKER_BIND_TO_PORT": str(self.port),
        }
        write = self._platform.logs.writer(plan.log_group, plan.log_stream)
        commands = self._platform.images.commands(plan.container.image)
        command = AlgorithmCommand(commands.serve, environment, plan.nice, commands.folder)
        self._process = AlgorithmProcess(command, plan.share, write)
        self._platform.memory.add(self._process)

    def _became_healthy(self, deadline: float) -> bool:
        """Return True when the server is healthy, False when the process ended."""
        failing_since: float | None = None
        while self.running and not self._platform.background.ended:
            status = self._ping()
            if status == 200:
                return True
            moment = time.monotonic()
            failing_since = None if status is None else failing_since or moment
            unhealthy_s = self._platform.timeouts.unhealthy_s
            if moment > deadline or (failing_since and moment - failing_since > unhealthy_s):
                self._end_process(_STOP_GRACE_S)
                answer = "not at all" if status is None else f"with status {status}"
                raise JobFailed(
                    "The primary container did not pass the ping health check: /ping answered "
                    f"{answer}. Please check CloudWatch logs ({self._plan.log_group})."
                )
            time.sleep(_PING_INTERVAL_S)
        return False

    def _ping(self) -> int | None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PING_TIMEOUT_S)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def _end_process(self, grace_s: float) -> None:
        if self._process is not None:
            if self._process.running and grace_s:
                self._process.stop(grace_s)
            else:
                self._process.kill()
                self._process.wait(_STOP_GRACE_S)


def instance_id() -> str:
    """Return a random EC2 instance id for the name of a log stream."""
    return f"i-{secrets.token_hex(8)}1"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
