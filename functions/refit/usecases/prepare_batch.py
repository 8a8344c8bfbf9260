"""Encode the rows of a file for the transform job that predicts them.

Preparing a batch again writes the same bytes to the same keys, unless another version has gone live
meanwhile. The transform job uses a SageMaker model of its own, because a deployment deletes that of
the version before.

With `[data] features_from` a batch is prepared twice: first the pinned version of the other model
is asked about the rows, then they are prepared with its answers.
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
    EvaluationIncomplete,
    ModelNotFound,
    ObjectNotFound,
)
from refit.domain.naming import BatchKeys, ModelKeys, RunKeys
from refit.domain.pipeline.algorithms import XGBOOST, algorithm_of
from refit.domain.pipeline.batch import MAX_FILE_BYTES, MAX_ROWS, BatchParts, BatchStatus
from refit.tabular.added_columns import cells_of
from refit.tabular.batch_rows import RandomRows, encoded_rows, with_answers
from refit.tabular.dataset import tables_of
from refit.tabular.predicted_rows import Reading, layout_of
from refit.tabular.prediction_table import NAMES_LINE_END
from refit.tabular.quarantine import Quarantine
from refit.tabular.readers.gunzip import GZIP_MAGIC
from refit.tabular.readers.table import DroppedFile
from refit.telemetry import logger
from refit.usecases.package_models import model_request, package_request
from refit.usecases.plan_evaluation import transform_request

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from refit.domain.feature_source import FeatureSource
    from refit.domain.model_settings import ModelSettings
    from refit.domain.pipeline.batch import Batch
    from refit.stores.bucket import ObjectWriter
    from refit.tabular.batch_rows import EncodedRow
    from refit.usecases.services import Services

PART_BYTES = 100 * 1000**2
"""Size at which a part ends. SageMaker reads a part as a stream, so its memory does not matter."""

_FLUSHED_ROWS = 10_000


def prepare_batch(
    services: Services,
    model: str,
    batch: str,
    part_bytes: int = PART_BYTES,
    *,
    is_answered: bool = False,
) -> dict[str, Any]:
    """Prepare a batch.

    Args:
        services: the AWS services and the clock of this process.
        model: name of the model.
        batch: id of the batch.
        part_bytes: a part ends with the row that reaches this size.
        is_answered: whether the model that `[data] features_from` names has been asked.

    Returns:
        `model_request`, a CreateModel request; `request`, a CreateTransformJob request without its
        name; `stem`, the beginning of the name; and `asks_another_model`.

    Raises:
        ModelNotFound: when no version of the model is live, or the model was removed.
        SettingsInvalid: when model.toml is not valid.
        DatasetNotFound: when the file has been deleted.
        DropTooLarge: when the file has too many bytes or rows.
        DatasetEmpty: when there is no row.
        DatasetUnreadable: when the file is damaged, unsafe or not what its name says.
        DatasetInvalid: when its columns are not those of the model, or it is no table.
        TooManyBadRows: when more rows are refused than the settings allow.
        EvaluationIncomplete: when the answers do not match the rows one to one.
    """
    record = services.batches.require(model, batch)
    version = _version(services, record, is_answered=is_answered)
    services.batches.update(
        model, batch, status=BatchStatus.PREPARING, version=version.number, run=version.run
    )
    settings = services.artifacts.current_settings(model)
    keys = BatchKeys(model, batch)
    source = services.artifacts.schema(model, version.run).features_from
    stage = _Stage(services, keys, version, source, is_answered=is_answered)
    with tempfile.TemporaryDirectory() as name:
        parts = _write(stage, record, settings, Path(name), part_bytes)
    services.bucket.put_json(
        keys.questions if stage.asks else keys.prepared, parts.model_dump(mode="json")
    )
    services.batches.update(
        model,
        batch,
        status=BatchStatus.PREDICTING,
        rows=sum(parts.rows),
        refused=parts.refused,
        quarantine=keys.quarantine if parts.refused else None,
    )
    logger.info("batch prepared", extra={"model": model, "batch": batch, "rows": sum(parts.rows)})
    return _requests(stage)


@dataclass(frozen=True)
class _Version:
    """The version that predicts."""

    run: str
    number: int
    package_arn: str


def _version(services: Services, record: Batch, *, is_answered: bool) -> _Version:
    """Return the live version; after another model was asked, the version that it was asked for."""
    if is_answered and record.run and record.version:
        run = services.models.run(record.model, record.run)
        if run and run.package_arn:
            return _Version(record.run, record.version, run.package_arn)
    champion = services.models.champion(record.model)
    if champion is None:
        raise ModelNotFound(
            f"no version of {record.model} is live, so {record.file} cannot be predicted",
            advice="The file is kept: put it again when a version is live",
        )
    return _Version(champion.run, champion.version, champion.package_arn)


@dataclass(frozen=True)
class _Stage:
    """What is prepared: the questions to the model of `[data] features_from`, or the rows.

    Attributes:
        source: the pinned version of that model; None without this setting.
        is_answered: whether it has been asked.
    """

    services: Services
    keys: BatchKeys
    version: _Version
    source: FeatureSource | None
    is_answered: bool

    @property
    def asks(self) -> bool:
        """Whether the questions are prepared."""
        return self.source is not None and not self.is_answered

    def part(self, number: int) -> str:
        return self.keys.features_part(number) if self.asks else self.keys.part(number)

    def lines(self, rows: Iterator[EncodedRow]) -> Iterator[EncodedRow]:
        """Yield the rows as they are written."""
        if self.source is None:
            yield from rows
        elif self.asks:
            inputs = self.services.artifacts.feature_inputs(self.keys.model, self.version.run)
            for row in rows:
                yield row._replace(line=inputs.line(row.line.encode("ascii")).decode("ascii"))
        else:
            yield from with_answers(rows, self._answers(self.source))

    def _answers(self, source: FeatureSource) -> Iterator[bytes]:
        schema = self.services.artifacts.schema(source.model, source.run)
        asked = BatchParts.model_validate_json(self.services.bucket.read(self.keys.questions))
        for number in range(len(asked.rows)):
            key = self.keys.features_part_output(number)
            try:
                output = self.services.bucket.open(key)
            except ObjectNotFound as error:
                raise EvaluationIncomplete(f"the previous step did not write {key}") from error
            yield from cells_of(output, key, schema)


def _write(
    stage: _Stage, record: Batch, settings: ModelSettings, folder: Path, part_bytes: int
) -> BatchParts:
    services, keys, run = stage.services, stage.keys, stage.version.run
    schema = services.artifacts.schema(record.model, run).own
    manifest = services.artifacts.manifest(record.model, run)
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
            counts = _Parts(stage, part_bytes).write(_sampled(stage.lines(rows), sample))
            quarantine.check(sum(counts), settings.data.max_bad_fraction)
        finally:
            out.flush()
            if quarantine.count:
                services.bucket.upload(refused, keys.quarantine, "application/x-ndjson")
    if not sum(counts):
        raise DatasetEmpty(f"{record.file} has no row to predict")
    _write_sample(services, keys, sample)
    return BatchParts(
        run=run,
        version=stage.version.number,
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

    stage: _Stage
    part_bytes: int

    def write(self, rows: Iterator[EncodedRow]) -> list[int]:
        """Write all rows; return the number of rows of each part."""
        counts: list[int] = []
        row = next(rows, None)
        while row is not None:
            number = len(counts)
            with ExitStack() as stack:
                features, names = (
                    stack.enter_context(self.stage.services.bucket.writer(key))
                    for key in (self.stage.part(number), self.stage.keys.part_rows(number))
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
            keys = self.stage.keys
            self.stage.services.batches.require(keys.model, keys.batch)
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


def _requests(stage: _Stage) -> dict[str, Any]:
    services, keys = stage.services, stage.keys
    names = services.names(keys.model)
    role = services.environment.jobs_role_arn
    if stage.asks and stage.source is not None:
        name = names.batch_features(keys.batch)
        model = model_request(services, name, stage.source, role)
        algorithm = XGBOOST  # features are predictions of XGBoost only
        source, target = keys.features_input, keys.features_output
    else:
        name = names.batch(keys.batch)
        model = package_request(name, stage.version.package_arn, role)
        settings = services.artifacts.settings(keys.model, stage.version.run)
        algorithm = algorithm_of(settings.training)
        source, target = keys.input, keys.output
    tags = [
        {"Key": "refit:model", "Value": keys.model},
        {"Key": "refit:batch", "Value": keys.batch},
    ]
    run = RunKeys(keys.model, stage.version.run)
    return {
        "stem": name,
        "model_request": model | {"Tags": tags},
        "request": transform_request(services, run, source, target, algorithm)
        | {"ModelName": name, "Tags": tags},
        "asks_another_model": stage.asks,
    }
