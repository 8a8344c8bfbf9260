"""One transform job from its first to its last state (contract B6)."""

from __future__ import annotations

import gzip
import http.client
import json
import shutil
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from refit_local.sagemaker.jobs.batching import MEGABYTE, FieldFilter, MiniBatch, mini_batches
from refit_local.sagemaker.machine.instances import InstanceType, instance
from refit_local.sagemaker.models.model_server import ModelServerProcess, ServerPlan, instance_id
from refit_local.sagemaker.records.naming import TRANSFORM_JOB, now
from refit_local.sagemaker.reporting.logs import TRANSFORM_GROUP
from refit_local.sagemaker.storage import ListedObject, RoleStorage, joined
from refit_local.sagemaker.wire.errors import JobFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from refit_local.sagemaker.machine.shares import Share
    from refit_local.sagemaker.models.models import ModelContainer
    from refit_local.sagemaker.platform import Platform
    from refit_local.sagemaker.records.store import Record

_NICE = 5
_LAST = ("Completed", "Failed", "Stopped")
_DEFAULT_PAYLOAD_MB = 6
_DEFAULT_TIMEOUT_S = 600
_DEFAULT_RETRIES = 3
_BATCH_STRATEGY = {"MultiRecord": "MULTI_RECORD", "SingleRecord": "SINGLE_RECORD"}
# A transform sends a few MB at a time, so it needs far less than its instance has.
_SHARE_OF_BUDGET = 4
_LOST = "InternalServerError: the local SageMaker was shut down while the job was running."


@dataclass(frozen=True)
class _Settings:
    """What holds for every request: given > of /execution-parameters > default."""

    multi_record: bool
    max_bytes: int
    concurrent: int
    timeout_s: int
    retries: int


class TransformRun:
    """Carries one transform job out, in a thread of its own."""

    def __init__(self, platform: Platform, job: Record, container: ModelContainer | None) -> None:
        self._platform = platform
        self._job = job
        self._name: str = job["TransformJobName"]
        self._container = container
        self._stop = threading.Event()
        self._cut_off = threading.Event()
        self._over = False
        self._server: ModelServerProcess | None = None
        self._stream = f"{self._name}/{instance_id()}"
        self._folder = platform.work_folder("transform", job["_key"])
        processing = job["DataProcessing"]
        self._input_filter = FieldFilter(processing["InputFilter"])
        self._output_filter = FieldFilter(processing["OutputFilter"])
        self._joins = processing["JoinSource"] == "Input"

    def run(self) -> None:
        """Do the job. Whatever happens, it ends in a last state and leaves nothing running."""
        try:
            wanted = instance(self._job["TransformResources"]["InstanceType"])
            budget = self._platform.limits.budget_bytes() // _SHARE_OF_BUDGET
            modest = InstanceType(wanted.type, wanted.vcpus, min(wanted.memory_bytes, budget))
            with self._platform.shares.job(modest, lambda: None, self._halted) as share:
                if share is not None and self._container is not None:
                    self._carry_out(share, self._container)
            if self._stop.is_set():
                self._finish("Stopped")
            elif not self._cut_off.is_set():
                self._finish("Completed")
        except JobFailed as failure:
            if not self._cut_off.is_set():
                self._finish("Stopped" if self._stop.is_set() else "Failed", failure.reason)
        finally:
            if self._server is not None:
                self._server.stop()
            if not self._over:
                self.abandon()
            shutil.rmtree(self._folder.base, ignore_errors=True)

    def request_stop(self) -> None:
        """Move to Stopping; the job's thread does the rest."""
        self._move("Stopping")
        self._stop.set()

    def end(self) -> None:
        """Kill the model server because the service ends; the job's thread sees to the rest."""
        self._cut_off.set()
        if self._server is not None:
            self._server.kill()

    def abandon(self) -> None:
        """Fail the job because the service ended under it."""
        self._finish("Failed", _LOST)

    def _halted(self) -> bool:
        return self._stop.is_set() or self._cut_off.is_set()

    def _carry_out(self, share: Share, container: ModelContainer) -> None:
        self._platform.store.change(TRANSFORM_JOB, self._name, TransformStartTime=now())
        storage = self._platform.storage(container.role_arn)
        source = self._job["TransformInput"]["DataSource"]["S3DataSource"]
        objects = storage.objects(source["S3Uri"], source["S3DataType"])
        plan = ServerPlan(
            container, share, self._environment(), TRANSFORM_GROUP, self._stream, _NICE
        )
        folder = self._platform.work_folder("transform", self._job["_key"], "server")
        self._server = ModelServerProcess(self._platform, plan, folder)
        self._server.start()
        settings = self._settings(self._server.port)
        failures = []
        with ThreadPoolExecutor(settings.concurrent) as senders:
            for item in objects:
                if self._halted():
                    return
                try:
                    self._transform(storage, item, settings, senders)
                except JobFailed as failure:
                    log = f"{self._stream}/data-log"
                    line = f"{item.bucket}/{item.key}: {failure.reason}"
                    self._platform.logs.write(TRANSFORM_GROUP, log, line)
                    failures.append((item, failure.reason))
        if failures and not self._halted():
            item, reason = failures[0]
            more = f" ({len(failures)} of {len(objects)} objects failed)"
            raise JobFailed(f"{reason} [{item.uri}]{more if len(objects) > 1 else ''}")

    def _environment(self) -> dict[str, str]:
        """The variables that tell a container it serves a transform job."""
        environment = {**self._job.get("Environment", {}), "SAGEMAKER_BATCH": "true"}
        payload_mb = self._job.get("MaxPayloadInMB", _DEFAULT_PAYLOAD_MB)
        environment["SAGEMAKER_MAX_PAYLOAD_IN_MB"] = str(payload_mb)
        strategy = self._job.get("BatchStrategy", "MultiRecord")
        environment["SAGEMAKER_BATCH_STRATEGY"] = _BATCH_STRATEGY[strategy]
        concurrent = self._job.get("MaxConcurrentTransforms", 1)
        environment["SAGEMAKER_MAX_CONCURRENT_TRANSFORMS"] = str(concurrent)
        return environment

    def _settings(self, port: int) -> _Settings:
        told = _execution_parameters(port)
        strategy = self._job.get("BatchStrategy") or told.get("BatchStrategy", "MULTI_RECORD")
        payload_mb = self._job.get("MaxPayloadInMB", told.get("MaxPayloadInMB"))
        concurrent = self._job.get("MaxConcurrentTransforms") or told.get("MaxConcurrentTransforms")
        client = self._job.get("ModelClientConfig", {})
        return _Settings(
            multi_record=strategy in ("MultiRecord", "MULTI_RECORD"),
            max_bytes=int(payload_mb or _DEFAULT_PAYLOAD_MB) * MEGABYTE,
            concurrent=int(concurrent or 1),
            timeout_s=client.get("InvocationsTimeoutInSeconds", _DEFAULT_TIMEOUT_S),
            retries=client.get("InvocationsMaxRetries", _DEFAULT_RETRIES),
        )

    def _transform(
        self,
        storage: RoleStorage,
        item: ListedObject,
        settings: _Settings,
        senders: ThreadPoolExecutor,
    ) -> None:
        """Transform one object; its output is written whole or not at all."""
        given, made = self._folder.base / "in", self._folder.base / "out"
        storage.download(item, given)
        source = self._job["TransformInput"]
        with self._opened(given) as stream, made.open("wb") as output:
            batches = mini_batches(
                stream,
                split=source["SplitType"] == "Line",
                multi_record=settings.multi_record,
                max_bytes=settings.max_bytes,
            )
            for result in self._in_order(batches, settings, senders):
                output.write(result)
        if not self._halted():
            storage.upload(made, f"{joined(self._target(), item.below)}.out")

    def _in_order(
        self, batches: Iterator[MiniBatch], settings: _Settings, senders: ThreadPoolExecutor
    ) -> Iterator[bytes]:
        """Send batches concurrently, no more at once than asked for; yield results in order."""
        under_way: deque[Future[bytes]] = deque()
        try:
            for batch in batches:
                if self._halted():
                    return
                under_way.append(senders.submit(self._predict, batch, settings))
                if len(under_way) >= settings.concurrent:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()

    def _predict(self, batch: MiniBatch, settings: _Settings) -> bytes:
        records = batch.records
        if not self._input_filter.keeps_all:
            records = [f"{self._input_filter.apply(_text(r))}\n".encode() for r in records]
        body = self._post(b"".join(records), settings)
        if self._joins or not self._output_filter.keeps_all:
            return self._reshaped(batch.records, body)
        if self._job["TransformOutput"]["AssembleWith"] == "Line" and not body.endswith(b"\n"):
            return body + b"\n"
        return body

    def _reshaped(self, records: list[bytes], body: bytes) -> bytes:
        """Join predictions to their records and keep the wanted columns."""
        predictions = body.decode("utf-8").splitlines()
        if self._joins:
            if len(predictions) != len(records):
                raise JobFailed(
                    f"ClientError: Fail to join data: {len(records)} records got "
                    f"{len(predictions)} predictions"
                )
            pairs = zip(records, predictions, strict=True)
            predictions = [f"{_text(record)},{prediction}" for record, prediction in pairs]
        return "".join(f"{self._output_filter.apply(line)}\n" for line in predictions).encode()

    def _post(self, body: bytes, settings: _Settings) -> bytes:
        headers = {}
        if content_type := self._job["TransformInput"].get("ContentType"):
            headers["Content-Type"] = content_type
        if accept := self._job["TransformOutput"].get("Accept"):
            headers["Accept"] = accept
        problem = ""
        for _ in range(settings.retries + 1):
            if self._halted() or self._server is None:
                raise JobFailed("The job was stopped.")
            try:
                status, answer = _exchange(self._server.port, headers, body, settings.timeout_s)
            except (OSError, http.client.HTTPException) as error:
                problem = f"the model server did not answer: {error}"
                continue
            if 200 <= status < 300:
                return answer
            text = answer[:500].decode("utf-8", "replace").strip()
            problem = f"Bad HTTP status received from algorithm: {status}: {text}"
            if status < 500:
                break
        raise JobFailed(f"AlgorithmError: {problem}")

    @contextmanager
    def _opened(self, path: Path) -> Iterator[BinaryIO]:
        if self._job["TransformInput"]["CompressionType"] != "Gzip":
            with path.open("rb") as stream:
                yield stream
            return
        try:
            with gzip.open(path) as stream:
                yield stream  # type: ignore[misc]
        except (gzip.BadGzipFile, EOFError) as error:
            raise JobFailed(f"ClientError: the input is not valid gzip data: {error}") from error

    def _target(self) -> str:
        path: str = self._job["TransformOutput"]["S3OutputPath"]
        return path

    def _move(self, status: str, **more: Any) -> None:
        store = self._platform.store
        with store.lock:
            record = store.get(TRANSFORM_JOB, self._name)
            if record is None or record["TransformJobStatus"] in (*_LAST, status):
                return
            changed = store.change(
                TRANSFORM_JOB,
                self._name,
                TransformJobStatus=status,
                LastModifiedTime=now(),
                **more,
            )
        if changed is not None:
            self._platform.events.transform_job(changed)

    def _finish(self, status: str, reason: str | None = None) -> None:
        self._over = True
        self._platform.logs.flush()
        more: dict[str, Any] = {"TransformEndTime": now()}
        if status == "Failed" and reason is not None:
            more["FailureReason"] = reason
        self._move(status, **more)


def _text(record: bytes) -> str:
    try:
        return record.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise JobFailed(f"ClientError: a record is not UTF-8 text: {error}") from error


def _exchange(port: int, headers: dict[str, str], body: bytes, timeout_s: int) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("POST", "/invocations", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _execution_parameters(port: int) -> dict[str, Any]:
    """Ask the container for its preferences; it may have none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/execution-parameters")
        answer = connection.getresponse()
        text = answer.read()
        told = json.loads(text) if answer.status == 200 else {}
    except (OSError, http.client.HTTPException, ValueError):
        return {}
    finally:
        connection.close()
    return told if isinstance(told, dict) else {}
