"""One training job from its first to its last state: download, train, upload (contract A1, B1)."""

from __future__ import annotations

import shutil
import threading
import time
from typing import TYPE_CHECKING, Any

from refit_local.sagemaker.jobs.training_metrics import MetricLines
from refit_local.sagemaker.machine.containers import ContainerFolder, algorithm_module, pack
from refit_local.sagemaker.machine.instances import instance
from refit_local.sagemaker.machine.processes import AlgorithmCommand, AlgorithmProcess
from refit_local.sagemaker.machine.shares import Share, enough_disk
from refit_local.sagemaker.records.naming import TRAINING_JOB, now
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
_LAST = ("Completed", "Failed", "Stopped")
_LOST = (
    "InternalServerError: the local SageMaker was shut down while the job was running. "
    "Please start the job again under a new name."
)


class TrainingRun:
    """Carries one training job out, in a thread of its own."""

    def __init__(self, platform: Platform, job: Record) -> None:
        self._platform = platform
        self._job = job
        self._name: str = job["TrainingJobName"]
        self._stop = threading.Event()
        self._cut_off = threading.Event()
        self._over = False
        self._process: AlgorithmProcess | None = None
        self._metrics = MetricLines()
        self._folder: ContainerFolder = platform.work_folder("training", job["_key"])
        self._checkpoints_seen: dict[Path, tuple[int, int]] = {}

    def run(self) -> None:
        """Do the job. Whatever happens, it ends in a last state and leaves nothing running."""
        try:
            wanted = instance(self._job["ResourceConfig"]["InstanceType"])
            with self._platform.shares.job(wanted, self._wait_in_line, self._halted) as share:
                if share is not None:
                    self._carry_out(share)
            if not self._over and self._stop.is_set():
                self._finish("Stopped", "Stopped", "Training job stopped")
        except JobFailed as failure:
            self._finish("Failed", "Failed", failure.reason, FailureReason=failure.reason)
        finally:
            if self._process is not None and self._process.running:
                self._process.kill()
                self._process.wait(10)
            if not self._over:
                self.abandon()
            shutil.rmtree(self._folder.base, ignore_errors=True)

    def request_stop(self) -> None:
        """Move to Stopping; the job's thread does the rest."""
        self._move("Stopping", "Stopping the training job", status="Stopping")
        self._stop.set()

    def end(self) -> None:
        """Kill the algorithm because the service ends; the job's thread sees to the rest."""
        self._cut_off.set()
        if self._process is not None:
            self._process.kill()

    def abandon(self) -> None:
        """Fail the job because the service ended under it."""
        self._finish("Failed", "Failed", _LOST, FailureReason=_LOST)

    def _halted(self) -> bool:
        return self._stop.is_set() or self._cut_off.is_set()

    def _wait_in_line(self) -> None:
        self._move("Pending", "Waiting for other jobs to give back the memory this one needs")

    def _carry_out(self, share: Share) -> None:
        started_at = now()
        self._platform.store.change(TRAINING_JOB, self._name, TrainingStartTime=started_at)
        limit_s = self._job["StoppingCondition"]["MaxRuntimeInSeconds"]
        deadline = time.monotonic() + limit_s
        storage = self._platform.storage(self._job["RoleArn"])
        self._move("Downloading", "Downloading input data")
        self._folder.prepare()
        self._folder.write_training_config(self._job)
        self._download(storage)
        if self._halted():
            return
        self._move("Training", "Training image download completed. Training in progress.")
        self._process = self._start(share)
        outcome = self._wait(self._process, deadline, storage)
        if self._cut_off.is_set():
            return
        self._upload_checkpoints(storage)
        self._upload_output(storage)
        if self._process.killed_for is not None:
            raise JobFailed(self._process.killed_for)
        if outcome is None:
            self._save_stopped(storage, ran_out=not self._stop.is_set())
            return
        if outcome != 0:
            raise JobFailed(self._folder.failure_reason(outcome))
        self._move("Uploading", "Uploading generated training model")
        self._upload_model(storage)
        self._finish("Completed", "Completed", "Training job completed")

    def _download(self, storage: RoleStorage) -> None:
        for channel in self._job.get("InputDataConfig", []):
            folder = self._folder.channel(channel["ChannelName"])
            folder.mkdir(parents=True, exist_ok=True)
            source = channel["DataSource"]["S3DataSource"]
            objects = storage.objects(source["S3Uri"], source["S3DataType"])
            enough_disk(folder, sum(item.size for item in objects))
            for item in objects:
                if self._halted():
                    return
                storage.download(item, local_path(folder, item.below))
        if "CheckpointConfig" in self._job:
            self._download_checkpoints(storage)

    def _start(self, share: Share) -> AlgorithmProcess:
        environment = {
            **self._job.get("Environment", {}),
            **self._folder.environment(),
            "TRAINING_JOB_NAME": self._name,
            "TRAINING_JOB_ARN": self._job["TrainingJobArn"],
            "AWS_REGION": self._platform.ground.region,
        }
        module = algorithm_module(self._job["AlgorithmSpecification"]["TrainingImage"])
        write = self._platform.logs.writer(TRAINING_GROUP, self._job["_log_stream"])

        def on_line(line: str) -> None:
            write(line)
            self._metrics.read(line)

        process = AlgorithmProcess(
            AlgorithmCommand(module, "train", environment, _NICE), share, on_line
        )
        self._platform.memory.add(process)
        return process

    def _wait(self, process: AlgorithmProcess, deadline: float, storage: RoleStorage) -> int | None:
        """Return the exit code, or None when the job was stopped or its time was up."""
        checkpoints_at = time.monotonic() + _CHECKPOINT_INTERVAL_S
        while (code := process.wait(_POLL_S)) is None:
            if self._halted() or time.monotonic() > deadline:
                cut_off = self._cut_off.is_set()
                process.stop(0 if cut_off else self._platform.patience.stop_grace_s)
                return None
            if time.monotonic() > checkpoints_at:
                self._upload_checkpoints(storage)
                checkpoints_at = time.monotonic() + _CHECKPOINT_INTERVAL_S
        return code

    def _save_stopped(self, storage: RoleStorage, *, ran_out: bool) -> None:
        """What the algorithm saved before it ended is kept, as on AWS."""
        if any(self._folder.model.iterdir()):
            self._move("Uploading", "Uploading generated training model")
            self._upload_model(storage)
        if ran_out:
            message = "Training job stopped: MaxRuntimeInSeconds was exceeded"
            self._finish("Stopped", "MaxRuntimeExceeded", message)
        else:
            self._finish("Stopped", "Stopped", "Training job stopped")

    def _upload_model(self, storage: RoleStorage) -> None:
        target = self._job["ModelArtifacts"]["S3ModelArtifacts"]
        if target.endswith("/"):
            for path in sorted(self._folder.model.rglob("*")):
                if path.is_file():
                    below = path.relative_to(self._folder.model).as_posix()
                    storage.upload(path, joined(target, below))
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

    def _download_checkpoints(self, storage: RoleStorage) -> None:
        for item in storage.existing(self._job["CheckpointConfig"]["S3Uri"]):
            path = local_path(self._folder.checkpoints, item.below)
            storage.download(item, path)
            self._checkpoints_seen[path] = _stamp(path)

    def _upload_checkpoints(self, storage: RoleStorage) -> None:
        if "CheckpointConfig" not in self._job:
            return
        folder = self._folder.checkpoints
        for path in sorted(folder.rglob("*")):
            if path.is_file() and self._checkpoints_seen.get(path) != _stamp(path):
                self._checkpoints_seen[path] = _stamp(path)
                below = path.relative_to(folder).as_posix()
                storage.upload(path, joined(self._job["CheckpointConfig"]["S3Uri"], below))

    def _move(self, secondary: str, message: str, status: str | None = None, **more: Any) -> None:
        """Go to a secondary status: the transition before it ends, an event says so."""
        store = self._platform.store
        with store.lock:
            record = store.get(TRAINING_JOB, self._name)
            if record is None or record["TrainingJobStatus"] in _LAST:
                return
            if record["TrainingJobStatus"] == status == "Stopping":
                return
            # A job that is stopping does not go back to being in progress.
            if record["TrainingJobStatus"] == "Stopping" and status is None:
                secondary = "Stopping"
            moment = now()
            transitions = record["SecondaryStatusTransitions"]
            transitions[-1].setdefault("EndTime", moment)
            transition = {"Status": secondary, "StartTime": moment, "StatusMessage": message}
            if status in _LAST:
                transition["EndTime"] = moment
            changed = store.change(
                TRAINING_JOB,
                self._name,
                SecondaryStatus=secondary,
                SecondaryStatusTransitions=[*transitions, transition],
                TrainingJobStatus=status or record["TrainingJobStatus"],
                LastModifiedTime=moment,
                **more,
            )
        if changed is not None:
            self._platform.events.training_job(changed)

    def _finish(self, status: str, secondary: str, message: str, **more: Any) -> None:
        self._over = True
        self._platform.logs.flush()
        record = self._platform.store.get(TRAINING_JOB, self._name) or {}
        ended_at = now()
        if "TrainingStartTime" in record:
            seconds = max(1, round(ended_at - record["TrainingStartTime"]))
            more |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
        if final := self._metrics.final():
            more["FinalMetricDataList"] = final
        self._move(secondary, message, status, TrainingEndTime=ended_at, **more)


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size
