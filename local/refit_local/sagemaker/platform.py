"""What all parts of the local SageMaker share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from refit_local.sagemaker.background import BackgroundThreads
from refit_local.sagemaker.faults import Faults
from refit_local.sagemaker.machine.containers import ContainerFolder
from refit_local.sagemaker.machine.images import LocalImages
from refit_local.sagemaker.machine.memory_guard import MemoryGuard
from refit_local.sagemaker.machine.shares import MachineLimits, Shares
from refit_local.sagemaker.records.instance_quotas import InstanceQuotas
from refit_local.sagemaker.records.naming import resource_arn
from refit_local.sagemaker.records.store import RecordStore
from refit_local.sagemaker.reporting.endpoint_metrics import EndpointMetrics
from refit_local.sagemaker.reporting.events import EventPublisher
from refit_local.sagemaker.reporting.logs import LogBuffer
from refit_local.sagemaker.storage import RoleStorage

if TYPE_CHECKING:
    from pathlib import Path

    from refit_local.sagemaker.host import HostServices

_MAX_MEMORY_FLOOR_BYTES = 512 * 1024**2


@dataclass(frozen=True)
class ContainerTimeouts:
    """How long the local SageMaker waits for containers.

    Attributes:
        stop_grace_s: between SIGTERM and SIGKILL of a training; 120 seconds on AWS.
        unhealthy_s: a starting model server fails after it has answered /ping with errors for
            this time.
        drain_s: requests in progress have this time when their fleet is replaced.
        invocation_s: a container must answer an invocation within this time; 60 seconds on AWS.
    """

    stop_grace_s: float = 120.0
    unhealthy_s: float = 3.0
    drain_s: float = 60.0
    invocation_s: float = 60.0


@dataclass
class Platform:
    """The state, the host, the machine and the threads of one local SageMaker."""

    folder: Path
    host: HostServices
    limits: MachineLimits
    timeouts: ContainerTimeouts
    store: RecordStore = field(init=False)
    quotas: InstanceQuotas = field(init=False)
    events: EventPublisher = field(init=False)
    logs: LogBuffer = field(init=False)
    metrics: EndpointMetrics = field(init=False)
    shares: Shares = field(init=False)
    memory: MemoryGuard = field(init=False)
    faults: Faults = field(init=False)
    images: LocalImages = field(default_factory=LocalImages.from_environment)
    background: BackgroundThreads = field(default_factory=BackgroundThreads)

    def __post_init__(self) -> None:
        self.store = RecordStore(self.folder / "records")
        self.quotas = InstanceQuotas(self.store, self.host.quota)
        self.faults = Faults(self.folder)
        self.events = EventPublisher(self.host.put_event)
        self.logs = LogBuffer(self.host.put_log_lines, self.faults.log_lag_s)
        self.metrics = EndpointMetrics(self.host.put_metric)
        self.shares = Shares(self.limits)
        floor_bytes = min(_MAX_MEMORY_FLOOR_BYTES, self.limits.reserve_memory_bytes // 4)
        self.memory = MemoryGuard(floor_bytes)
        self.background.each_tick(self.logs.flush)
        self.background.each_tick(self.metrics.flush)

    def arn(self, kind: str, name: str) -> str:
        """Return the ARN of a resource of this local SageMaker."""
        return resource_arn(self.host.region, self.host.account_id, kind, name)

    def work_folder(self, *names: str) -> ContainerFolder:
        """Return the folder of a container."""
        return ContainerFolder(self.folder.joinpath("work", *names))

    def storage(self, role_arn: str) -> RoleStorage:
        """Return access to S3 with the permissions of a role."""
        return RoleStorage(self.host, role_arn)
