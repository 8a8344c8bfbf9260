"""Write each row of a capture file to InferenceTable exactly once.

Transactions run concurrently while the file is being read. Each writer has its own shard of the
counters (stores/shards.py). Rows with the same id may be in two transactions at the same time: then
one of them is repeated, with what the other has written.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from refit.domain.errors import ServiceThrottled
from refit.domain.inferences.label_records import LabelRecord
from refit.domain.inferences.prediction_change import PredictionEffect, prediction_change
from refit.stores.inferences import MAX_PREDICTIONS, CaptureTarget
from refit.stores.retries import WRITE_CONFLICTS
from refit.usecases.quarantine_labels import quarantine_labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import timedelta

    from refit.domain.inferences.captured_rows import CapturedRow
    from refit.domain.inferences.cohort_key import CohortKey
    from refit.domain.inferences.inference import Inference
    from refit.domain.inferences.prediction_change import PredictionChange
    from refit.usecases.services import Services

_WRITERS = 4
_MAX_WAITING = 8  # transactions that wait for a writer
_MAX_BATCHES = 100  # cohorts with a transaction that is not full yet


class PredictionBatch:
    """Rows of one cohort that are written together.

    Attributes:
        rows: rows by inference id, because a transaction must not write an item twice.
        contradictions: rows that differ from the row with the same id in `rows`. One such row makes
            an inference ambiguous.
    """

    def __init__(self) -> None:
        self.rows: dict[str, CapturedRow] = {}
        self.contradictions: dict[str, CapturedRow] = {}

    def add(self, row: CapturedRow) -> None:
        first = self.rows.setdefault(row.inference_id, row)
        if first.prediction.digest != row.prediction.digest:
            self.contradictions.setdefault(row.inference_id, row)


class PredictionWriter:
    """Writes rows in one transaction per batch, and runs up to four transactions at a time."""

    def __init__(self, services: Services, file_number: int, kept_for: timedelta) -> None:
        self._services = services
        self._store = services.inferences
        self._file_number = file_number
        self._kept_for = kept_for
        self._batches: dict[CohortKey, PredictionBatch] = {}
        self._waiting: deque[tuple[CohortKey, Future[list[PredictionChange]]]] = deque()

    def write(
        self, rows: Iterable[tuple[CohortKey, CapturedRow]]
    ) -> Iterator[tuple[CohortKey, list[PredictionChange]]]:
        """Write rows with their cohorts; yield the changes of each batch.

        Raises:
            ServiceThrottled: when DynamoDB throttles requests, or the inferences keep changing.
        """
        with ThreadPoolExecutor(_WRITERS) as pool:
            for cohort, row in rows:
                batch = self._batches.setdefault(cohort, PredictionBatch())
                batch.add(row)
                if len(batch.rows) == MAX_PREDICTIONS:
                    self._submit(pool, cohort)
                elif len(self._batches) > _MAX_BATCHES:
                    self._submit(pool, next(iter(self._batches)))
                yield from self._finished(_MAX_WAITING)
            for cohort in list(self._batches):
                self._submit(pool, cohort)
            yield from self._finished(0)

    def _submit(self, pool: ThreadPoolExecutor, cohort: CohortKey) -> None:
        batch = self._batches.pop(cohort)
        target = CaptureTarget(cohort, self._file_number, self._kept_for)
        task = pool.submit(self._write_batch, batch, target)
        self._waiting.append((cohort, task))

    def _finished(self, max_waiting: int) -> Iterator[tuple[CohortKey, list[PredictionChange]]]:
        while len(self._waiting) > max_waiting:
            cohort, batch = self._waiting.popleft()
            yield cohort, batch.result()

    def _write_batch(self, batch: PredictionBatch, target: CaptureTarget) -> list[PredictionChange]:
        changes = self._write_rows(list(batch.rows.values()), target)
        return changes + self._write_rows(list(batch.contradictions.values()), target)

    def _write_rows(self, rows: list[CapturedRow], target: CaptureTarget) -> list[PredictionChange]:
        """Decide on each row and write it; decide again if its inference has changed."""
        if not rows:
            return []
        model = target.cohort.model
        known: dict[str, Inference] = {}
        finished: list[PredictionChange] = []
        for _ in WRITE_CONFLICTS.attempts():
            changes = [prediction_change(row, known.get(row.inference_id)) for row in rows]
            nothing = PredictionEffect.NOTHING
            finished += [change for change in changes if change.effect is nothing]
            pending = [change for change in changes if change.effect is not nothing]
            if not pending:
                return finished
            self._quarantine_discarded(model, pending)
            try:
                written, conflicted = self._store.write_predictions(pending, target)
            except ServiceThrottled:
                written, conflicted = [], pending  # read them again: they may have been written
            finished += written
            rows = [change.row for change in conflicted]
            known = self._store.load(model, [row.inference_id for row in rows])
        raise ServiceThrottled(f"inferences of {model} kept changing while they were written")

    def _quarantine_discarded(self, model: str, changes: Iterable[PredictionChange]) -> None:
        """Quarantine held labels of an event with another number of rows.

        Labels are quarantined before they are discarded. A failure in between leaves them in both
        places, so none is lost.
        """
        for change in changes:
            if not change.discarded:
                continue
            rows = change.row.prediction.rows
            lines = []
            for label in change.discarded:
                observed_at = label.observed_at.isoformat()
                record = LabelRecord(change.row.inference_id, label.label, observed_at)
                reason = (
                    f"{label.event_size} labels were listed for its event, which has {rows} rows"
                )
                lines.append({"reason": reason, "record": record.as_sent()})
            quarantine_labels(self._services, model, lines, change.discarded[0].received_at)
