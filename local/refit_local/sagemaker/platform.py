"""What all parts of the local SageMaker share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from refit_local.sagemaker.background import BackgroundThreads
from refit_local.sagemaker.machine.containers import ContainerFolder
from refit_local.sagemaker.machine.processes import MemoryGuard
from refit_local.sagemaker.machine.shares import MachineLimits, Shares
from refit_local.sagemaker.records.naming import resource_arn
from refit_local.sagemaker.records.store import RecordStore
from refit_local.sagemaker.reporting.endpoint_metrics import EndpointMetrics
from refit_local.sagemaker.reporting.events import EventPublisher
from refit_local.sagemaker.reporting.logs import LogBuffer
from refit_local.sagemaker.storage import RoleStorage

if TYPE_CHECKING:
    from pathlib import Path

    from refit_local.sagemaker.host import HostServices


@dataclass(frozen=True)
class ContainerTimeouts:
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
    ground: HostServices
    limits: MachineLimits
    patience: ContainerTimeouts
    store: RecordStore = field(init=False)
    events: EventPublisher = field(init=False)
    logs: LogBuffer = field(init=False)
    metrics: EndpointMetrics = field(init=False)
    shares: Shares = field(init=False)
    memory: MemoryGuard = field(init=False)
    background: BackgroundThreads = field(default_factory=BackgroundThreads)

    def __post_init__(self) -> None:
        self.store = RecordStore(self.folder / "records")
        self.events = EventPublisher(self.ground.put_event)
        self.logs = LogBuffer(self.ground.put_log_lines)
        self.metrics = EndpointMetrics(self.ground.put_metric)
        self.shares = Shares(self.limits)
        floor = min(512 * 1024**2, self.limits.reserve_memory_bytes // 4)
        self.memory = MemoryGuard(floor)
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
