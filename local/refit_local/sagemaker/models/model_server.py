"""One model server: the process that stands in for one hosting instance (contract A7)."""

from __future__ import annotations

import http.client
import secrets
import shutil
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit_local.sagemaker.machine.processes import AlgorithmCommand, AlgorithmProcess
from refit_local.sagemaker.models.connections import ConnectionPool
from refit_local.sagemaker.models.models import ModelContainer, fetch_model
from refit_local.sagemaker.wire.errors import JobFailed

if TYPE_CHECKING:
    from refit_local.sagemaker.machine.containers import ContainerFolder
    from refit_local.sagemaker.machine.shares import Share
    from refit_local.sagemaker.platform import Platform

PING_TIMEOUT_S = 2.0
_PING_INTERVAL_S = 0.05
_ATTEMPTS = 3
_STOP_GRACE_S = 5.0


@dataclass(frozen=True)
class ServerPlan:
    """How to start a model server.

    Attributes:
        container: image, model data, environment and role of the model.
        share: memory and cores it may use.
        environment: on top of the model's.
        log_group: where its output goes, in the stream `<log_stream>`.
        nice: how far it steps back behind the others.
        health_check_s: it must answer /ping with 200 in this time.
    """

    container: ModelContainer
    share: Share
    environment: dict[str, str]
    log_group: str
    log_stream: str
    nice: int = 0
    health_check_s: float = 240.0


class ModelServerProcess:
    """A process that answers /invocations of one model."""

    def __init__(self, platform: Platform, plan: ServerPlan, folder: ContainerFolder) -> None:
        self._platform = platform
        self._plan = plan
        self._folder = folder
        self._process: AlgorithmProcess | None = None
        self._stopped = False
        self.port = 0
        self.pool = ConnectionPool(0)

    @property
    def running(self) -> bool:
        """Whether the process is up."""
        return self._process is not None and self._process.running

    @property
    def stopped(self) -> bool:
        """Whether it was stopped on purpose."""
        return self._stopped

    @property
    def pid(self) -> int | None:
        """The process id of the supervisor, for those who look from outside."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Fetch the model, start the process, wait until it is healthy.

        Raises:
            JobFailed: when the model cannot be fetched or the server does not become healthy.
        """
        container = self._plan.container
        fetch_model(self._platform.storage(container.role_arn), container, self._folder)
        self.launch()

    def launch(self) -> None:
        """Start the process on a model that is there, and wait until it is healthy.

        Raises:
            JobFailed: when the server does not become healthy.
        """
        deadline = time.monotonic() + self._plan.health_check_s
        # Another program may take the port between our choice and the server's bind.
        for _ in range(_ATTEMPTS):
            self._spawn()
            if self._became_healthy(deadline):
                return
            killed_for = self._process.killed_for if self._process is not None else None
            if killed_for is not None:
                raise JobFailed(killed_for)
            if self._stopped:
                raise JobFailed("The model server was stopped while it started.")
        self.stop()
        raise JobFailed(
            "The primary container did not start: the process ended before it answered /ping. "
            f"Please check CloudWatch logs ({self._plan.log_group})."
        )

    def stop(self) -> None:
        """End the process and forget its files."""
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
        self.pool = ConnectionPool(self.port)
        plan = self._plan
        environment = {
            **plan.container.environment,
            **plan.environment,
            **self._folder.environment(),
            "AWS_REGION": self._platform.ground.region,
            "SAGEMAKER_BIND_TO_PORT": str(self.port),
        }
        write = self._platform.logs.writer(plan.log_group, plan.log_stream)
        command = AlgorithmCommand(plan.container.module, "serve", environment, plan.nice)
        self._process = AlgorithmProcess(command, plan.share, write)
        self._platform.memory.add(self._process)

    def _became_healthy(self, deadline: float) -> bool:
        """Return True when it is, False when the process ended."""
        failing_since: float | None = None
        while self.running and not self._platform.background.ended:
            status = self._ping()
            if status == 200:
                return True
            moment = time.monotonic()
            failing_since = None if status is None else failing_since or moment
            patience = self._platform.patience.unhealthy_s
            if moment > deadline or (failing_since and moment - failing_since > patience):
                self.stop()
                answer = "nothing" if status is None else f"status {status}"
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
        self.pool.close()
        if self._process is not None:
            if self._process.running and grace_s:
                self._process.stop(grace_s)
            else:
                self._process.kill()
                self._process.wait(_STOP_GRACE_S)


def instance_id() -> str:
    """Return a made-up EC2 instance id, as it stands in the names of log streams."""
    return f"i-{secrets.token_hex(8)}1"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
