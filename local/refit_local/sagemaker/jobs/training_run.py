"""Carry one training job out: download the channels, train, upload the model.

Source  docs/sagemaker-contract.md, "Training jobs" and "Training container"; of interrupted spot
        instances: botocore's model of DescribeTrainingJob, SecondaryStatus, and SageMaker Developer
        Guide, "Managed Spot Training in Amazon SageMaker AI". Not documented: whether the restart
        has a log stream of its own (here it has not)
"""

from __future__ import annotations

import math
import shutil
import time
from typing import TYPE_CHECKING, Any

from refit_local.sagemaker.jobs.job_run import JobRun, JobStep
from refit_local.sagemaker.jobs.training_metrics import MetricLines
from refit_local.sagemaker.machine.containers import pack
from refit_local.sagemaker.machine.instances import InstanceType, instance_type
from refit_local.sagemaker.machine.processes import AlgorithmCommand, AlgorithmProcess
from refit_local.sagemaker.machine.shares import Share, check_disk_space
from refit_local.sagemaker.records.job_kinds import TRAINING
from refit_local.sagemaker.reporting.logs import TRAINING_GROUP
from refit_local.sagemaker.storage import RoleStorage, joined, local_path
from refit_local.sagemaker.wire.errors import JobFailed

if TYPE_CHECKING:
    from pathlib import Path

    from refit_local.sagemaker.platform import Platform
    from refit_local.sagemaker.records.store import Record

_POLL_S = 0.1
_CHECKPOINT_INTERVAL_S = 3.0
_NICE = 10
_PENDING = JobStep("Pending", "Waiting for memory that other jobs use")
_DOWNLOADING = JobStep("Downloading", "Downloading input data")
_TRAINING = JobStep("Training", "Training image download completed. Training in progress.")
_INTERRUPTED = JobStep("Interrupted", "The managed spot training instances were interrupted")
_STARTING_AGAIN = JobStep("Starting", "Preparing the instances for training")
_UPLOADING = JobStep("Uploading", "Uploading generated training model")
_MAX_RUNTIME_EXCEEDED = JobStep(
    "MaxRuntimeExceeded", "Training job stopped: MaxRuntimeInSeconds was exceeded"
)


class _Interrupted(Exception):
    """The spot instance of the job is taken away."""


class TrainingRun(JobRun):
    """One training job that is being carried out."""

    kind = TRAINING
    stopping_step = JobStep("Stopping", "Stopping the training job")

    def __init__(self, platform: Platform, job: Record) -> None:
        super().__init__(platform, job)
        self._process: AlgorithmProcess | None = None
        self._metrics = self._metric_lines()
        self._checkpoints = CheckpointSync(
            self._folder.checkpoints, job.get("CheckpointConfig", {}).get("S3Uri")
        )

    def values_of(self, metric: str) -> list[float]:
        """Return a metric after each round, e.g. `validation:auc`."""
        return self._metrics.values_of(metric)

    def _metric_lines(self) -> MetricLines:
        algorithm = self._job["AlgorithmSpecification"]
        is_own = self._platform.images.is_own(algorithm["TrainingImage"])
        return MetricLines(algorithm["MetricDefinitions"] if is_own else None)

    def _share_request(self) -> InstanceType:
        return instance_type(self._job["ResourceConfig"]["InstanceType"])

    def _on_wait(self) -> None:
        self._move(step=_PENDING)

    def _carry_out(self, share: Share) -> None:
        deadline = time.monotonic() + self._job["StoppingCondition"]["MaxRuntimeInSeconds"]
        storage = self._platform.storage(self._job["RoleArn"])
        while True:
            try:
                self._train(share, deadline, storage)
                return
            except _Interrupted:
                self._checkpoints.upload(storage)
                self._move(step=_INTERRUPTED)
            # The new instance has an empty disk, and the training begins again.
            shutil.rmtree(self._folder.base)
            self._metrics = self._metric_lines()
            self._checkpoints.forget()
            self._move(step=_STARTING_AGAIN)

    def _train(self, share: Share, deadline: float, storage: RoleStorage) -> None:
        """Train on one instance, and finish the job unless it is to halt.

        Raises:
            JobFailed: when the job cannot go on.
            _Interrupted: when the spot instance is taken away.
        """
        self._move(step=_DOWNLOADING)
        self._folder.prepare()
        self._folder.write_training_config(self._job)
        self._download(storage)
        if self._halted():
            return
        self._move(step=_TRAINING)
        self._process = self._start(share)
        exit_code = self._wait(self._process, deadline, storage)
        if self._service_ended.is_set():
            return
        self._checkpoints.upload(storage)
        self._upload_output(storage)
        if self._process.killed_for is not None:
            raise JobFailed(self._process.killed_for)
        if exit_code is None:
            self._save_stopped(storage)
            return
        if exit_code != 0:
            raise JobFailed(self._folder.failure_reason(exit_code))
        self._move(step=_UPLOADING)
        self._upload_model(storage)
        self._finish("Completed")

    def _download(self, storage: RoleStorage) -> None:
        for channel in self._job.get("InputDataConfig", []):
            folder = self._folder.channel(channel["ChannelName"])
            folder.mkdir(parents=True, exist_ok=True)
            source = channel["DataSource"]["S3DataSource"]
            objects = storage.objects(source["S3Uri"], source["S3DataType"])
            check_disk_space(folder, sum(item.size for item in objects))
            for item in objects:
                if self._halted():
                    return
                storage.download(item, local_path(folder, item.relative_path))
        self._checkpoints.download(storage)

    def _start(self, share: Share) -> AlgorithmProcess:
        environment = {
            **self._job.get("Environment", {}),
            **self._folder.environment(),
            "TRAINING_JOB_NAME": self._name,
            "TRAINING_JOB_ARN": self._job["TrainingJobArn"],
            "AWS_REGION": self._platform.host.region,
        }
        image = self._job["AlgorithmSpecification"]["TrainingImage"]
        commands = self._platform.images.commands(image)
        write = self._platform.logs.writer(TRAINING_GROUP, self._job["_log_stream"])

        def on_line(line: str) -> None:
            write(line)
            self._metrics.read(line)

        command = AlgorithmCommand(commands.train, environment, _NICE, commands.folder)
        process = AlgorithmProcess(command, share, on_line)
        self._platform.memory.add(process)
        return process

    def _wait(self, process: AlgorithmProcess, deadline: float, storage: RoleStorage) -> int | None:
        """Return the exit code, or None when the job was stopped or exceeded its runtime.

        Raises:
            _Interrupted: when an interruption of a spot instance is ordered.
        """
        next_upload = time.monotonic() + _CHECKPOINT_INTERVAL_S
        interrupted_at = self._ordered_interruption()
        while (exit_code := process.wait(_POLL_S)) is None:
            if time.monotonic() > interrupted_at and not self._halted():
                process.stop(self._platform.timeouts.stop_grace_s)
                raise _Interrupted
            if self._halted() or time.monotonic() > deadline:
                service_ended = self._service_ended.is_set()
                process.stop(0 if service_ended else self._platform.timeouts.stop_grace_s)
                return None
            if time.monotonic() > next_upload:
                self._checkpoints.upload(storage)
                next_upload = time.monotonic() + _CHECKPOINT_INTERVAL_S
        return exit_code

    def _ordered_interruption(self) -> float:
        """Return when the spot instance is taken away; never without an order."""
        if not self._job.get("EnableManagedSpotTraining"):
            return math.inf
        seconds = self._platform.faults.take_failure("SpotInterruption", self._name)
        return math.inf if seconds is None else time.monotonic() + float(seconds)

    def _save_stopped(self, storage: RoleStorage) -> None:
        """Keep what the algorithm saved before it was stopped, as on AWS."""
        if any(self._folder.model.iterdir()):
            self._move(step=_UPLOADING)
            self._upload_model(storage)
        self._finish("Stopped", step=None if self._stop.is_set() else _MAX_RUNTIME_EXCEEDED)

    def _upload_model(self, storage: RoleStorage) -> None:
        target = self._job["ModelArtifacts"]["S3ModelArtifacts"]
        if target.endswith("/"):
            for path in sorted(self._folder.model.rglob("*")):
                if path.is_file():
                    relative_path = path.relative_to(self._folder.model).as_posix()
                    storage.upload(path, joined(target, relative_path))
            return
        archive = self._folder.base / "model.tar.gz"
        pack(self._folder.model, archive)
        storage.upload(archive, target)

    def _upload_output(self, storage: RoleStorage) -> None:
        data = self._folder.output / "data"
        if any(data.iterdir()):
            archive = self._folder.base / "output.tar.gz"
            pack(data, archive)
            path = self._job["OutputDataConfig"]["S3OutputPath"]
            storage.upload(archive, joined(path, self._name, "output", archive.name))

    def _kill_processes(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _end_processes(self) -> None:
        if self._process is not None and self._process.running:
            self._process.kill()
            self._process.wait(10)

    def _finish(
        self, status: str, reason: str | None = None, step: JobStep | None = None, **members: Any
    ) -> None:
        record = self._platform.store.get(self.kind.resource, self._name) or {}
        if "TrainingStartTime" in record:
            seconds = max(1, round(time.time() - record["TrainingStartTime"]))
            members |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
        if metrics := self._metrics.final(self._job.get("_objective")):
            members["FinalMetricDataList"] = metrics
        last_step = step or JobStep(status, reason or f"Training job {status.lower()}")
        super()._finish(status, reason, last_step, **members)


class CheckpointSync:
    """Keeps a checkpoint folder and its S3 prefix in step; without a URI it does nothing."""

    def __init__(self, folder: Path, uri: str | None) -> None:
        self._folder = folder
        self._uri = uri
        self._synced: dict[Path, tuple[int, int]] = {}

    def forget(self) -> None:
        """Begin on an empty disk."""
        self._synced.clear()

    def download(self, storage: RoleStorage) -> None:
        """Fetch the checkpoints of an earlier job.

        Raises:
            JobFailed: when the role may not read them.
        """
        if self._uri is None:
            return
        for item in storage.existing(self._uri):
            path = local_path(self._folder, item.relative_path)
            storage.download(item, path)
            self._synced[path] = _version(path)

    def upload(self, storage: RoleStorage) -> None:
        """Upload the files that are new or changed since the last call.

        Raises:
            JobFailed: when the role may not write them.
        """
        if self._uri is None:
            return
        for path in sorted(self._folder.rglob("*")):
            if path.is_file() and self._synced.get(path) != _version(path):
                self._synced[path] = _version(path)
                relative_path = path.relative_to(self._folder).as_posix()
                storage.upload(path, joined(self._uri, relative_path))


def _version(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size
