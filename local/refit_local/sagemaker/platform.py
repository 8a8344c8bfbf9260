"""What all parts of the local SageMaker share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from refit_local.sagemaker.background import Background
from refit_local.sagemaker.containers import ContainerFolder
from refit_local.sagemaker.events import Events
from refit_local.sagemaker.logs import Logs
from refit_local.sagemaker.metrics import EndpointMetrics
from refit_local.sagemaker.naming import resource_arn
from refit_local.sagemaker.processes import MemoryWatch
from refit_local.sagemaker.shares import MachineLimits, Shares
from refit_local.sagemaker.storage import RoleStorage
from refit_local.sagemaker.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from refit_local.sagemaker.ground import GroundServices


@dataclass(frozen=True)
class Patience:
    """How long the local SageMaker waits for containers.

    Attributes:
        stop_grace_s: between SIGTERM and SIGKILL of a training, as on AWS.
        unhealthy_s: a model server that answers /ping with errors this long will not recover.
        drain_s: requests in flight get this long when their fleet is replaced.
        invocation_s: a container must answer in this time.
    """

    stop_grace_s: float = 120.0
    unhealthy_s: float = 3.0
    drain_s: float = 60.0
    invocation_s: float = 60.0


@dataclass
class Platform:
    """State, ground, machine and threads of one local SageMaker."""

    folder: Path
    ground: GroundServices
    limits: MachineLimits
    patience: Patience
    store: Store = field(init=False)
    events: Events = field(init=False)
    logs: Logs = field(init=False)
    metrics: EndpointMetrics = field(init=False)
    shares: Shares = field(init=False)
    memory: MemoryWatch = field(init=False)
    background: Background = field(default_factory=Background)

    def __post_init__(self) -> None:
        self.store = Store(self.folder / "records")
        self.events = Events(self.ground.put_event)
        self.logs = Logs(self.ground.put_log_lines)
        self.metrics = EndpointMetrics(self.ground.put_metric)
        self.shares = Shares(self.limits)
        floor = min(512 * 1024**2, self.limits.reserve_memory_bytes // 4)
        self.memory = MemoryWatch(floor)
        self.background.each_tick(self.logs.flush)
        self.background.each_tick(self.metrics.flush)

    def arn(self, kind: str, name: str) -> str:
        """Return the ARN of a resource of this ground."""
        return resource_arn(self.ground.region, self.ground.account_id, kind, name)

    def work_folder(self, *names: str) -> ContainerFolder:
        """Return a container's folder."""
        return ContainerFolder(self.folder.joinpath("work", *names))

    def storage(self, role_arn: str) -> RoleStorage:
        """Return S3 with the rights of a role."""
        return RoleStorage(self.ground, role_arn)
