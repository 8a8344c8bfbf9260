"""Carry one transform job out: start a model server, send each object to it, upload the outputs.

Source  docs/sagemaker-contract.md, "Batch transform"
"""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from refit_local.sagemaker.jobs.job_run import JobRun
from refit_local.sagemaker.jobs.transform_client import (
    DEFAULT_PAYLOAD_MB,
    TransformClient,
    transform_settings,
)
from refit_local.sagemaker.machine.instances import InstanceType, instance_type
from refit_local.sagemaker.models.model_server import ModelServerProcess, ServerPlan, instance_id
from refit_local.sagemaker.models.models import ModelContainer
from refit_local.sagemaker.records.job_kinds import TRANSFORM
from refit_local.sagemaker.reporting.logs import TRANSFORM_GROUP
from refit_local.sagemaker.storage import ListedObject, RoleStorage, joined
from refit_local.sagemaker.wire.errors import JobFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from refit_local.sagemaker.machine.shares import Share
    from refit_local.sagemaker.platform import Platform
    from refit_local.sagemaker.records.store import Record

_NICE = 5
_BATCH_STRATEGY = {"MultiRecord": "MULTI_RECORD", "SingleRecord": "SINGLE_RECORD"}
# A transform job sends a few MB at a time, so it needs far less memory than its instance type has.
_BUDGET_DIVISOR = 4


class TransformRun(JobRun):
    """One transform job that is being carried out."""

    kind = TRANSFORM

    def __init__(self, platform: Platform, job: Record) -> None:
        super().__init__(platform, job)
        self._server: ModelServerProcess | None = None
        self._log_stream = f"{self._name}/{instance_id()}"

    def _share_request(self) -> InstanceType:
        requested = instance_type(self._job["TransformResources"]["InstanceType"])
        budget = self._platform.limits.budget_bytes() // _BUDGET_DIVISOR
        return InstanceType(requested.name, requested.vcpus, min(requested.memory_bytes, budget))

    def _carry_out(self, share: Share) -> None:
        container = ModelContainer(**self._job["_container"])
        storage = self._platform.storage(container.role_arn)
        source = self._job["TransformInput"]["DataSource"]["S3DataSource"]
        objects = storage.objects(source["S3Uri"], source["S3DataType"])
        self._server = self._start_server(container, share)
        settings = transform_settings(self._job, self._server.port)
        failures = []
        with ThreadPoolExecutor(settings.concurrent_requests) as executor:
            client = TransformClient(self._job, settings, self._server.port, executor, self._halted)
            for item in objects:
                if self._halted():
                    return
                try:
                    self._transform(storage, item, client)
                except JobFailed as failure:
                    self._log_failure(item, failure)
                    failures.append((item, failure.reason))
        if self._halted():
            return
        if failures:
            item, reason = failures[0]
            count = f" ({len(failures)} of {len(objects)} objects failed)"
            raise JobFailed(f"{reason} [{item.uri}]{count if len(objects) > 1 else ''}")
        self._finish("Completed")

    def _start_server(self, container: ModelContainer, share: Share) -> ModelServerProcess:
        plan = ServerPlan(
            container, share, self._environment(), TRANSFORM_GROUP, self._log_stream, _NICE
        )
        folder = self._platform.work_folder(self.kind.resource, self._job["_key"], "server")
        # Assigned before the start, so that a shutdown can kill a server that is starting.
        self._server = ModelServerProcess(self._platform, plan, folder)
        self._server.start()
        return self._server

    def _environment(self) -> dict[str, str]:
        """Return the variables by which a container knows that it serves a transform job."""
        job = self._job
        return {
            **job.get("Environment", {}),
            "SAGEMAKER_BATCH": "true",
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(job.get("MaxPayloadInMB", DEFAULT_PAYLOAD_MB)),
            "SAGEMAKER_BATCH_STRATEGY": _BATCH_STRATEGY[job.get("BatchStrategy", "MultiRecord")],
            "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": str(job.get("MaxConcurrentTransforms", 1)),
        }

    def _transform(self, storage: RoleStorage, item: ListedObject, client: TransformClient) -> None:
        """Transform one object; its output is uploaded whole or not at all."""
        input_path, output_path = self._folder.base / "in", self._folder.base / "out"
        storage.download(item, input_path)
        with self._opened(input_path) as stream, output_path.open("wb") as output:
            for predictions in client.predict(stream):
                output.write(predictions)
        if not self._halted():
            target = self._job["TransformOutput"]["S3OutputPath"]
            storage.upload(output_path, f"{joined(target, item.relative_path)}.out")

    @contextmanager
    def _opened(self, path: Path) -> Iterator[BinaryIO]:
        if self._job["TransformInput"]["CompressionType"] != "Gzip":
            with path.open("rb") as stream:
                yield stream
            return
        try:
            with gzip.open(path) as stream:
                yield cast("BinaryIO", stream)
        except (gzip.BadGzipFile, EOFError) as error:
            raise JobFailed(f"ClientError: the input is not valid gzip data: {error}") from error

    def _log_failure(self, item: ListedObject, failure: JobFailed) -> None:
        stream = f"{self._log_stream}/data-log"
        line = f"{item.bucket}/{item.key}: {failure.reason}"
        self._platform.logs.write(TRANSFORM_GROUP, stream, line)

    def _on_failure(self, failure: JobFailed) -> None:
        if self._service_ended.is_set():
            return
        if self._stop.is_set():
            self._finish("Stopped")
        else:
            super()._on_failure(failure)

    def _kill_processes(self) -> None:
        if self._server is not None:
            self._server.kill()

    def _end_processes(self) -> None:
        if self._server is not None:
            self._server.stop()
