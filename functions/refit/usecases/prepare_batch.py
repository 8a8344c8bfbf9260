"""Encode the rows of a file for the transform job that predicts them.

Preparing a batch again writes the same bytes to the same keys, unless another version has gone live
meanwhile. The transform job uses a SageMaker model of its own, because a deployment deletes that of
the version before.
"""

from __future__ import annotations

import csv
import io
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from refit.domain.errors import (
    DatasetEmpty,
    DatasetNotFound,
    DropTooLarge,
    ModelNotFound,
    ObjectNotFound,
)
from refit.domain.naming import BatchKeys, ModelKeys, RunKeys
from refit.domain.pipeline.batch import MAX_FILE_BYTES, MAX_ROWS, BatchParts, BatchStatus
from refit.tabular.batch_rows import RandomRows, encoded_rows
from refit.tabular.dataset import tables_of
from refit.tabular.predicted_rows import Reading, layout_of
from refit.tabular.prediction_table import NAMES_LINE_END
from refit.tabular.quarantine import Quarantine
from refit.tabular.readers.gunzip import GZIP_MAGIC
from refit.tabular.readers.table import DroppedFile
from refit.telemetry import logger
from refit.usecases.plan_evaluation import transform_request

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from refit.domain.model_settings import ModelSettings
    from refit.domain.pipeline.batch import Batch
    from refit.domain.pipeline.model_state import Champion
    from refit.stores.bucket import ObjectWriter
    from refit.tabular.batch_rows import EncodedRow
    from refit.usecases.services import Services

PART_BYTES = 100 * 1000**2
"""Size at which a part ends. SageMaker reads a part as a stream, so its memory does not matter."""

_FLUSHED_ROWS = 10_000


def prepare_batch(
    services: Services, model: str, batch: str, part_bytes: int = PART_BYTES
) -> dict[str, Any]:
    """Prepare a batch.

    Args:
        services: the AWS services and the clock of this process.
        model: name of the model.
        batch: id of the batch.
        part_bytes: a part ends with the row that reaches this size.

    Returns:
        `model_request`, a CreateModel request; `request`, a CreateTransformJob request without its
        name; and `stem`, the beginning of the name.

    Raises:
        ModelNotFound: when no version of the model is live, or the model was removed.
        SettingsInvalid: when model.toml is not valid.
        DatasetNotFound: when the file has been deleted.
        DropTooLarge: when the file has too many bytes or rows.
        DatasetEmpty: when there is no row.
        DatasetUnreadable: when the file is damaged, unsafe or not what its name says.
        DatasetInvalid: when its columns are not those of the model, or it is no table.
        TooManyBadRows: when more rows are refused than the settings allow.
    """
    record = services.batches.require(model, batch)
    champion = services.models.champion(model)
    if champion is None:
        raise ModelNotFound(
            f"no version of {model} is live, so {record.file} cannot be predicted",
            advice="The file is kept: put it again when a version is live",
        )
    services.batches.update(
        model, batch, status=BatchStatus.PREPARING, version=champion.version, run=champion.run
    )
    settings = services.artifacts.current_settings(model)
    keys = BatchKeys(model, batch)
    with tempfile.TemporaryDirectory() as name:
        parts = _write(services, record, champion, settings, Path(name), part_bytes)
    services.bucket.put_json(keys.prepared, parts.model_dump(mode="json"))
    services.batches.update(
        model,
        batch,
        status=BatchStatus.PREDICTING,
        rows=sum(parts.rows),
        refused=parts.refused,
        quarantine=keys.quarantine if parts.refused else None,
    )
    logger.info("batch prepared", extra={"model": model, "batch": batch, "rows": sum(parts.rows)})
    return _requests(services, keys, champion)


def _write(
    services: Services,
    record: Batch,
    champion: Champion,
    settings: ModelSettings,
    folder: Path,
    part_bytes: int,
) -> BatchParts:
    keys = BatchKeys(record.model, record.batch)
    schema = services.artifacts.schema(record.model, champion.run)
    manifest = services.artifacts.manifest(record.model, champion.run)
    reading = Reading(
        schema,
        manifest.settings.data,
        manifest.learned.delimiter if manifest.learned else None,
        row_id=settings.batch.id,
    )
    file, is_gzip = _dropped_file(services, record)
    work = folder / "tables"
    work.mkdir()
    tables = tables_of([file], work).tables
    layouts = [layout_of(table, reading) for table in tables]
    captures = manifest.settings.monitoring.capture != "off"
    # An endpoint that captures by itself would miss the requests that are answered without it.
    is_asked_by_api_only = manifest.settings.monitoring.capture != "endpoint"
    sample = RandomRows(settings.batch.capture_rows if captures else 0, int(record.batch, 16))
    refused = folder / "refused.jsonl"
    with refused.open("wb") as out:
        quarantine = Quarantine(out)
        rows = encoded_rows(zip(tables, layouts, strict=True), schema, quarantine)
        try:
            counts = _Parts(services, keys, part_bytes).write(_sampled(rows, sample))
            quarantine.check(sum(counts), settings.data.max_bad_fraction)
        finally:
            out.flush()
            if quarantine.count:
                services.bucket.upload(refused, keys.quarantine, "application/x-ndjson")
    if not sum(counts):
        raise DatasetEmpty(f"{record.file} has no row to predict")
    _write_sample(services, keys, sample)
    return BatchParts(
        run=champion.run,
        version=champion.version,
        rows=counts,
        refused=quarantine.count,
        id_column=layouts[0].row_id_name,
        is_gzip=is_gzip,
        cached_rows=settings.batch.cache_rows if is_asked_by_api_only else 0,
    )


def _dropped_file(services: Services, record: Batch) -> tuple[DroppedFile, bool]:
    """Return the file as preparation reads it, and whether it is gzip."""
    key = f"{ModelKeys(record.model).batch_input}{record.file}"
    try:
        size_bytes = services.bucket.size_bytes(key, record.file_version)
        head = services.bucket.open(key, record.file_version).read(len(GZIP_MAGIC))
    except ObjectNotFound as error:
        raise DatasetNotFound(f"{error}: put the file again") from error
    if size_bytes > MAX_FILE_BYTES:
        raise DropTooLarge(
            f"{record.file} has {size_bytes:,} bytes; a batch predicts files of up to "
            f"{MAX_FILE_BYTES:,}",
            advice="Divide the file; the results are one for each file",
        )

    def opened() -> IO[bytes]:
        return services.bucket.open(key, record.file_version)

    name = Path(record.file).name
    return DroppedFile(name, size_bytes, opened), head == GZIP_MAGIC


def _sampled(rows: Iterable[EncodedRow], sample: RandomRows) -> Iterator[EncodedRow]:
    for count, row in enumerate(rows, 1):
        if count > MAX_ROWS:
            raise DropTooLarge(
                f"the file has more than {MAX_ROWS:,} rows, which a batch does not finish in time",
                advice="Divide the file; the results are one for each file",
            )
        sample.add(row)
        yield row


def _write_sample(services: Services, keys: BatchKeys, sample: RandomRows) -> None:
    with services.bucket.writer(keys.captured) as out:
        for row in sample.rows():
            out.write(f"{row.number},{row.line}\n".encode("ascii"))


@dataclass(frozen=True)
class _Parts:
    """Writes rows in parts: their features, and beside them their numbers and ids."""

    services: Services
    keys: BatchKeys
    part_bytes: int

    def write(self, rows: Iterator[EncodedRow]) -> list[int]:
        """Write all rows; return the number of rows of each part."""
        counts: list[int] = []
        row = next(rows, None)
        while row is not None:
            number = len(counts)
            with ExitStack() as stack:
                features, names = (
                    stack.enter_context(self.services.bucket.writer(key))
                    for key in (self.keys.part(number), self.keys.part_rows(number))
                )
                count, row = self._write_part(row, rows, features, names)
            counts.append(count)
        return counts

    def _write_part(
        self,
        first: EncodedRow,
        rows: Iterator[EncodedRow],
        features: ObjectWriter,
        names: ObjectWriter,
    ) -> tuple[int, EncodedRow | None]:
        """Write rows until the part is full; return their number, and the next row."""
        count, size_bytes = 0, 0
        row: EncodedRow | None = first
        lines: list[str] = []
        buffer = io.StringIO()
        write_name = csv.writer(buffer, lineterminator=NAMES_LINE_END).writerow

        def flush() -> None:
            # Reading takes minutes, in which the model may have been removed.
            self.services.batches.require(self.keys.model, self.keys.batch)
            features.write(("\n".join(lines) + "\n").encode("ascii"))
            names.write(buffer.getvalue().encode())
            lines.clear()
            buffer.seek(0)
            buffer.truncate()

        while row is not None and size_bytes < self.part_bytes:
            lines.append(row.line)
            write_name((row.number,) if row.row_id is None else (row.number, row.row_id))
            count += 1
            size_bytes += len(row.line) + 1
            if len(lines) == _FLUSHED_ROWS:
                flush()
            row = next(rows, None)
        if lines:
            flush()
        return count, row


def _requests(services: Services, keys: BatchKeys, champion: Champion) -> dict[str, Any]:
    name = services.names(keys.model).batch(keys.batch)
    run = RunKeys(keys.model, champion.run)
    tags = [
        {"Key": "refit:model", "Value": keys.model},
        {"Key": "refit:batch", "Value": keys.batch},
    ]
    return {
        "stem": name,
        "model_request": {
            "ModelName": name,
            "ExecutionRoleArn": services.environment.jobs_role_arn,
            "Containers": [{"ModelPackageName": champion.package_arn}],
            "EnableNetworkIsolation": True,
            "Tags": tags,
        },
        "request": transform_request(services, run, keys.input, keys.output)
        | {"ModelName": name, "Tags": tags},
    }
