"""Ingest a capture file: one inference per predicted row, and the input counts of its cohorts.

A file can be ingested again, even after a failure half-way, because known predictions change
nothing.
"""

from __future__ import annotations

import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from aws_lambda_powertools.metrics import MetricUnit

from refit.domain import metric_names
from refit.domain.errors import VersionNotRegistered
from refit.domain.inferences.capture_reader import (
    MAX_LINE_BYTES,
    CaptureUnreadable,
    capture_key_of,
)
from refit.domain.inferences.cohort_key import CohortKey
from refit.domain.inferences.prediction_change import PredictionEffect
from refit.domain.monitoring.input_counts import InputCounter
from refit.domain.naming import ModelKeys
from refit.telemetry import logger, put_metric
from refit.usecases.read_capture_file import CaptureFile, CaptureWindow
from refit.usecases.write_predictions import PredictionWriter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from refit.domain.inferences.captured_rows import CapturedRow
    from refit.usecases.services import Services

_FILE_NUMBERS = 64
"""Number of bins into which file names are hashed. A cohort records the bins of its files, which
shows whether it has one file or several."""

_UPLOADS = 4  # concurrent uploads


def ingest_captures(
    services: Services,
    key: str,
    object_version: str | None = None,
    max_line_bytes: int = MAX_LINE_BYTES,
) -> None:
    """Ingest a capture file and publish the result; ignore any other object.

    Args:
        services: the AWS services and the clock of this process.
        key: key of the object.
        object_version: version of the object; None for the latest.
        max_line_bytes: longer lines are quarantined.

    Raises:
        ObjectNotFound: when the file or an artifact of the version's run does not exist.
        ServiceThrottled: when AWS throttles requests. The file can then be ingested again.
    """
    capture_key = capture_key_of(key)
    if capture_key is None:
        logger.warning("not a capture file of a model", extra={"key": key})
        return
    model = capture_key.model
    file = CaptureFile(services.bucket, model, key, object_version, max_line_bytes)
    try:
        version = capture_key.version
        run = services.artifacts.run_of(model, version)
    except (CaptureUnreadable, VersionNotRegistered) as reason:
        file.quarantine_all(str(reason))
        ingestion = None
    else:
        ingestion = _Ingestion(services, file, model, version, run)
        ingestion.run()
    file.store_quarantine()
    if file.quarantined:
        put_metric(metric_names.CAPTURES_QUARANTINED, model, file.quarantined)
    totals = ingestion.publish() if ingestion else {"captured": 0, "ambiguous": 0}
    result = {"model": model, "file": key, **totals, "quarantined": file.quarantined}
    logger.info("captures ingested", extra=result)


class _Ingestion:
    """Writes the rows of one capture file to the table, and counts their inputs."""

    def __init__(
        self, services: Services, file: CaptureFile, model: str, version: int, run: str
    ) -> None:
        settings = services.artifacts.settings(model, run).monitoring
        self._services = services
        self._file = file
        self._model = model
        self._version = version
        self._cohort_s = settings.cohort_s
        self._kept_for = timedelta(seconds=settings.max_label_age_s)
        self._schema = services.artifacts.schema(model, run)
        self._rule = services.artifacts.decision_rule(model, run)
        self._columns = services.artifacts.columns(model, run)
        self._now = services.now()
        record = services.models.run(model, run)
        self._began_at = record.started_at if record else None
        self._inputs: dict[CohortKey, InputCounter] = {}
        self._effects: Counter[PredictionEffect] = Counter()
        self._discarded_labels = 0
        self._first_at: datetime | None = None
        self._last_at: datetime | None = None

    def run(self) -> None:
        """Write the rows, and then the counts of their inputs."""
        file_number = zlib.crc32(self._file.key.encode()) % _FILE_NUMBERS
        writer = PredictionWriter(self._services, file_number, self._kept_for)
        for cohort, changes in writer.write(self._rows()):
            self._effects.update(change.effect for change in changes)
            self._discarded_labels += sum(len(change.discarded) for change in changes)
            # Rows that were first written from another file are counted with that file.
            self._count_inputs([change.row for change in changes if change.is_first], cohort)
        with ThreadPoolExecutor(_UPLOADS) as pool:
            for _ in pool.map(self._store_inputs, self._inputs):
                pass

    def _store_inputs(self, cohort: CohortKey) -> None:
        key = ModelKeys(self._model).input_counts(self._version, cohort.start, self._file.digest)
        self._services.bucket.put(key, self._inputs[cohort].counts().to_bytes())

    def _rows(self) -> Iterator[tuple[CohortKey, CapturedRow]]:
        window = CaptureWindow(self._now, self._kept_for, self._began_at)
        for row in self._file.rows(self._version, self._schema, self._rule, window):
            at = row.prediction.at
            yield CohortKey.at(self._model, self._version, at, self._cohort_s), row

    def _count_inputs(self, rows: Sequence[CapturedRow], cohort: CohortKey) -> None:
        if not rows:
            return
        confidences = [row.prediction.confidence for row in rows]
        inputs = self._inputs.setdefault(cohort, InputCounter(self._columns))
        inputs.add(
            np.array([row.values for row in rows], dtype=np.float64),
            np.array([row.answer for row in rows], dtype=np.float64),
            None if None in confidences else np.array(confidences, dtype=np.float64),
        )
        times = [row.prediction.at for row in rows]
        self._first_at = min([*times, self._first_at or times[0]])
        self._last_at = max([*times, self._last_at or times[0]])

    def publish(self) -> dict[str, int]:
        """Publish the result; return the number of new and of ambiguous predictions."""
        if self._last_at:
            self._services.labels.advance_last_capture(self._model, self._last_at)
        captured = self._effects[PredictionEffect.NEW] + self._effects[PredictionEffect.JOINED]
        if captured and self._first_at:
            put_metric(metric_names.CAPTURED, self._model, captured)
            lag_s = max((self._now - self._first_at).total_seconds(), 0)
            put_metric(metric_names.CAPTURE_LAG, self._model, lag_s, MetricUnit.Seconds)
        ambiguous = self._effects[PredictionEffect.AMBIGUOUS]
        if ambiguous:
            put_metric(metric_names.AMBIGUOUS, self._model, ambiguous)
        if self._discarded_labels:
            put_metric(metric_names.LABELS_REJECTED, self._model, self._discarded_labels)
        return {"captured": captured, "ambiguous": ambiguous}
