"""Join the predictions of a batch with its rows, and capture a sample of them.

The result is written as a stream. A batch can be finished again, even after a failure half-way: the
sample, the ids and the time of the captured predictions are the same.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from refit.domain import metric_names
from refit.domain.errors import EvaluationIncomplete, ObjectNotFound
from refit.domain.inferences.capture_writer import EndpointCall, capture_line
from refit.domain.moments import iso
from refit.domain.naming import BatchKeys, ModelKeys, ResourceNames
from refit.domain.pipeline.algorithms import algorithm_of
from refit.domain.pipeline.batch import CAPTURED_ROWS_PER_FILE, BatchParts, BatchStatus
from refit.domain.vocabulary import EventName
from refit.tabular.prediction_table import PredictionTable, answered_rows, header
from refit.telemetry import logger, put_metric
from refit.usecases.cache_predictions import CachedRows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from refit.domain.pipeline.batch import Batch
    from refit.tabular.prediction_table import AnsweredRow
    from refit.usecases.services import Services

_FLUSHED_ROWS = 10_000
_BLOCK_BYTES = 1024**2
_GZIP_WINDOW = 31  # zlib's code for gzip


def finish_batch(services: Services, model: str, batch: str, job: str) -> dict[str, Any]:
    """Write the result and the summary of a batch; return the summary.

    Args:
        services: the AWS services and the clock of this process.
        model: name of the model.
        batch: id of the batch.
        job: name of the transform job.

    Raises:
        ModelNotFound: when the model was removed.
        EvaluationIncomplete: when the predictions do not match the rows one to one.
    """
    record = services.batches.require(model, batch)
    keys = BatchKeys(model, batch)
    services.batches.update(model, batch, status=BatchStatus.FINISHING)
    at = services.batches.finished_rows_at(model, batch)
    parts = BatchParts.model_validate_json(services.bucket.read(keys.prepared))
    captured = _write_result(services, record, parts, at)
    for name in services.names(model).batch_models(batch):
        services.endpoints.delete_model(name)
    now = services.now()
    summary = {
        "model": model,
        "version": parts.version,
        "run": parts.run,
        "batch": batch,
        "file": f"{ModelKeys(model).batch_input}{record.file}",
        "fileVersion": record.file_version,
        "output": keys.result(record.file),
        "rows": sum(parts.rows),
        "refused": parts.refused,
        "quarantine": keys.quarantine if parts.refused else None,
        "captured": captured,
        "cached": min(parts.cached_rows, sum(parts.rows)),
        "transformJob": job,
        "startedAt": iso(record.started_at),
        "finishedAt": iso(now),
        "seconds": round((now - record.started_at).total_seconds(), 1),
    }
    services.bucket.put_json(keys.summary(record.file), summary)
    services.messaging.publish(
        EventName.BATCH_FINISHED, {**summary, "status": BatchStatus.SUCCEEDED}
    )
    put_metric(metric_names.BATCH_PREDICTIONS, model, sum(parts.rows))
    services.batches.update(
        model,
        batch,
        status=BatchStatus.SUCCEEDED,
        finished_at=iso(now),
        output=keys.result(record.file),
    )
    logger.info("batch finished", extra=summary)
    return summary


def _write_result(services: Services, record: Batch, parts: BatchParts, at: datetime) -> int:
    """Write the result and the captured predictions; return the number of these."""
    keys = BatchKeys(record.model, record.batch)
    schema = services.artifacts.schema(record.model, parts.run)
    table = PredictionTable(parts.version)
    table.add_header(header(schema, parts.id_column))
    sample = _Captures(services, record, parts.version, at)
    cached = CachedRows(services, keys, parts)
    content_type = "application/gzip" if parts.is_gzip else "text/csv"
    compressor = zlib.compressobj(wbits=_GZIP_WINDOW) if parts.is_gzip else None
    with services.bucket.writer(keys.result(record.file), content_type) as out:

        def flush() -> None:
            # Writing takes minutes, in which the model may have been removed.
            services.batches.require(record.model, record.batch)
            content = table.take()
            out.write(compressor.compress(content) if compressor else content)

        for count, row in enumerate(_answered(services, keys, parts), 1):
            table.add(row, sample.capture(row))
            cached.add(row)
            if count % _FLUSHED_ROWS == 0:
                flush()
        flush()
        if compressor:
            out.write(compressor.flush())
    sample.store()
    cached.finish()
    return sample.count


def _answered(services: Services, keys: BatchKeys, parts: BatchParts) -> Iterator[AnsweredRow]:
    schema = services.artifacts.schema(keys.model, parts.run)
    rule = services.artifacts.decision_rule(keys.model, parts.run)
    form = algorithm_of(services.artifacts.settings(keys.model, parts.run).training).batch_form
    for number, rows in enumerate(parts.rows):
        output = keys.part_output(number)
        yield from answered_rows(
            _opened(services, keys.part_rows(number)),
            _opened(services, output),
            output,
            rows,
            schema,
            rule,
            form,
        )


def _opened(services: Services, key: str) -> IO[bytes]:
    try:
        return services.bucket.open(key)
    except ObjectNotFound as error:
        raise EvaluationIncomplete(f"the previous step did not write {key}") from error


@dataclass(frozen=True)
class _SampledRow:
    number: int
    features: bytes


class _Captures:
    """Captures the sampled rows in the format of online predictions, some in each file."""

    def __init__(self, services: Services, record: Batch, version: int, at: datetime) -> None:
        self._services = services
        self._record = record
        self._variant = ResourceNames.variant(version)
        self._endpoint = services.names(record.model).endpoint
        self._at = at
        self._sample = self._sampled_rows()
        self._next = next(self._sample, None)
        self._lines: list[bytes] = []
        self._files = 0
        self.count = 0

    def capture(self, row: AnsweredRow) -> str | None:
        """Capture a row if it is sampled; return its inference id, or None."""
        sampled = self._next
        if sampled is None or sampled.number != row.number:
            return None
        self._next = next(self._sample, None)
        inference_id = f"{self._record.batch}-{row.number}"
        call = EndpointCall(
            id=inference_id,
            rows=1,
            body=sampled.features,
            answer=",".join(map(repr, row.answer)).encode(),
            content_type="text/csv",
            variant=self._variant,
            at=self._at,
        )
        self._lines.append(capture_line(self._record.model, self._endpoint, call))
        self.count += 1
        if len(self._lines) == CAPTURED_ROWS_PER_FILE:
            self.store()
        return inference_id

    def store(self) -> None:
        """Write the rows that were captured since the last call."""
        if not self._lines:
            return
        folder = f"{ModelKeys(self._record.model).capture}{self._endpoint}/{self._variant}/"
        name = f"batch-{self._record.batch}-{self._files:05d}.jsonl"
        key = f"{folder}{self._at:%Y/%m/%d/%H}/{name}"
        self._services.bucket.put(key, b"".join(self._lines), "application/jsonlines")
        self._files += 1
        self._lines.clear()

    def _sampled_rows(self) -> Iterator[_SampledRow]:
        stream = _opened(self._services, BatchKeys(self._record.model, self._record.batch).captured)
        rest = b""
        while block := stream.read(_BLOCK_BYTES):
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                number, _, features = line.partition(b",")
                yield _SampledRow(int(number), features)
