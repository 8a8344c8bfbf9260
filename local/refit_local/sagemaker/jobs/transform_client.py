"""Send the records of a transform job to its model server and shape the predictions.

Source  docs/sagemaker-contract.md, "Batch transform"
"""

from __future__ import annotations

import http.client
import json
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from refit_local.sagemaker.jobs.batching import MEGABYTE, FieldFilter, MiniBatch, mini_batches
from refit_local.sagemaker.wire.errors import JobFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future, ThreadPoolExecutor

    from refit_local.sagemaker.records.store import Record

DEFAULT_PAYLOAD_MB = 6
_DEFAULT_TIMEOUT_S = 600
_DEFAULT_RETRIES = 3
_PARAMETERS_TIMEOUT_S = 5.0
_SHOWN_ERROR_BYTES = 500


@dataclass(frozen=True)
class TransformSettings:
    """How records are put into requests and requests are sent.

    Attributes:
        multi_record: put as many records into a request as fit; otherwise one.
        max_payload_bytes: the largest body of a request.
        concurrent_requests: how many requests are sent at once.
        timeout_s: how long a request may take.
        retries: how often a request is repeated after no answer or a 5xx answer.
    """

    multi_record: bool
    max_payload_bytes: int
    concurrent_requests: int
    timeout_s: int
    retries: int


def transform_settings(job: Record, port: int) -> TransformSettings:
    """Return the settings of the job, else of the container's /execution-parameters, else AWS's."""
    parameters = _execution_parameters(port)
    strategy = job.get("BatchStrategy") or parameters.get("BatchStrategy", "MULTI_RECORD")
    payload_mb = job.get("MaxPayloadInMB", parameters.get("MaxPayloadInMB"))
    concurrent = job.get("MaxConcurrentTransforms") or parameters.get("MaxConcurrentTransforms")
    client_config = job.get("ModelClientConfig", {})
    return TransformSettings(
        multi_record=strategy in ("MultiRecord", "MULTI_RECORD"),
        max_payload_bytes=int(payload_mb or DEFAULT_PAYLOAD_MB) * MEGABYTE,
        concurrent_requests=int(concurrent or 1),
        timeout_s=client_config.get("InvocationsTimeoutInSeconds", _DEFAULT_TIMEOUT_S),
        retries=client_config.get("InvocationsMaxRetries", _DEFAULT_RETRIES),
    )


class TransformClient:
    """Predicts the records of one object after another.

    Args:
        job: the record of the transform job.
        settings: how records are sent.
        port: the port of the model server on 127.0.0.1.
        executor: runs the requests; it must have `settings.concurrent_requests` threads.
        halted: whether the job is to halt.
    """

    def __init__(
        self,
        job: Record,
        settings: TransformSettings,
        port: int,
        executor: ThreadPoolExecutor,
        halted: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._port = port
        self._executor = executor
        self._halted = halted
        self._splits_lines = job["TransformInput"]["SplitType"] == "Line"
        self._assembles_lines = job["TransformOutput"]["AssembleWith"] == "Line"
        self._headers = _headers(job)
        processing = job["DataProcessing"]
        self._input_filter = FieldFilter(processing["InputFilter"])
        self._output_filter = FieldFilter(processing["OutputFilter"])
        self._joins_input = processing["JoinSource"] == "Input"

    def predict(self, stream: BinaryIO) -> Iterator[bytes]:
        """Yield the output of an object in the order of its records; ends early when halted.

        Raises:
            JobFailed: when a record does not fit a request, or the server does not predict it.
        """
        batches = mini_batches(
            stream,
            split=self._splits_lines,
            multi_record=self._settings.multi_record,
            max_bytes=self._settings.max_payload_bytes,
        )
        pending: deque[Future[bytes]] = deque()
        try:
            for batch in batches:
                if self._halted():
                    return
                pending.append(self._executor.submit(self._predict_batch, batch))
                if len(pending) >= self._settings.concurrent_requests:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()

    def _predict_batch(self, batch: MiniBatch) -> bytes:
        records = batch.records
        if not self._input_filter.keeps_all:
            records = [f"{self._input_filter.apply(_text(r))}\n".encode() for r in records]
        predictions = self._post(b"".join(records))
        if self._joins_input or not self._output_filter.keeps_all:
            return self._reshaped(batch.records, predictions)
        if self._assembles_lines and not predictions.endswith(b"\n"):
            return predictions + b"\n"
        return predictions

    def _reshaped(self, records: list[bytes], body: bytes) -> bytes:
        """Join the predictions to their records and keep the columns of the output filter."""
        lines = body.decode("utf-8").splitlines()
        if self._joins_input:
            if len(lines) != len(records):
                raise JobFailed(
                    f"ClientError: Fail to join data: {len(records)} records got "
                    f"{len(lines)} predictions"
                )
            pairs = zip(records, lines, strict=True)
            lines = [f"{_text(record)},{prediction}" for record, prediction in pairs]
        return "".join(f"{self._output_filter.apply(line)}\n" for line in lines).encode()

    def _post(self, body: bytes) -> bytes:
        problem = ""
        for _ in range(self._settings.retries + 1):
            if self._halted():
                raise JobFailed("The job was stopped.")
            try:
                status, answer = _request(
                    self._port,
                    "POST",
                    "/invocations",
                    self._settings.timeout_s,
                    body,
                    self._headers,
                )
            except (OSError, http.client.HTTPException) as error:
                problem = f"the model server did not answer: {error}"
                continue
            if 200 <= status < 300:
                return answer
            text = answer[:_SHOWN_ERROR_BYTES].decode("utf-8", "replace").strip()
            problem = f"Bad HTTP status received from algorithm: {status}: {text}"
            if status < 500:
                break
        raise JobFailed(f"AlgorithmError: {problem}")


def _headers(job: Record) -> dict[str, str]:
    given = {
        "Content-Type": job["TransformInput"].get("ContentType"),
        "Accept": job["TransformOutput"].get("Accept"),
    }
    return {name: value for name, value in given.items() if value}


def _text(record: bytes) -> str:
    try:
        return record.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise JobFailed(f"ClientError: a record is not UTF-8 text: {error}") from error


def _execution_parameters(port: int) -> dict[str, Any]:
    """Return the preferences of the container; a container may have none."""
    try:
        status, body = _request(port, "GET", "/execution-parameters", _PARAMETERS_TIMEOUT_S)
        parameters = json.loads(body) if status == 200 else {}
    except (OSError, http.client.HTTPException, ValueError):
        return {}
    return parameters if isinstance(parameters, dict) else {}


def _request(
    port: int,
    method: str,
    path: str,
    timeout_s: float,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
