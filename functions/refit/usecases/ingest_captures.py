"""How a capture file becomes inferences: read as a stream, written in transactions, counted once.

`consume` may be called again with the same file, as often as it breaks off: what is known changes
nothing. All transactions of a cohort add to the same counters, so they go one after the other;
those of other cohorts go at the same time, and the file is read on meanwhile.
"""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict, deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from aws_lambda_powertools.metrics import MetricUnit

from refit.domain import metric_names
from refit.domain.errors import DatasetNotFound, ServiceThrottled, VersionNotRegistered
from refit.domain.inferences.arrival import Arrival, Effect, arrival_of
from refit.domain.inferences.captured import CaptureKey, CaptureUnreadable
from refit.domain.inferences.ground_truth_records import LabelRecord
from refit.domain.inferences.tally import CohortKey, cohort_start
from refit.domain.monitoring.baseline import Baseline
from refit.domain.monitoring.input_counts import Columns, InputCounter, columns_of
from refit.domain.naming import ModelKeys, RunKeys
from refit.stores import inferences, labels, s3
from refit.stores import run_artifacts as versions
from refit.telemetry import count
from refit.usecases.read_captures import CaptureFile
from refit.usecases.record_labels import quarantined

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from refit.domain.inferences.captured_rows import CapturedRow
    from refit.domain.inferences.inference import Inference
    from refit.domain.schema import Schema

_ROUNDS = 10
"""Who meets others on the same items so often leaves the file to its next delivery."""

_FILE_NUMBERS = 64  # a cohort knows its files by numbers below this
_WRITERS = 4
_AHEAD = 8  # transactions that wait for their writer
_MOST_BATCHES = 100  # cohorts whose next transaction is not full yet


@dataclass(frozen=True)
class Terms:
    """What holds for the predictions of a version: by the run that made it, so always alike."""

    schema: Schema
    cohort_s: int
    remembered: timedelta
    columns: Columns


@dataclass(frozen=True)
class Consumed:
    """What became of a file.

    Attributes:
        captured: predictions that are new.
        ambiguous: inferences for which a second, different prediction came.
        quarantined: lines and rows that cannot be used.
    """

    captured: int
    ambiguous: int
    quarantined: int


def consume(place: CaptureKey, key: str, object_version: str | None, now: datetime) -> Consumed:
    """Take a capture file, and publish what became of it.

    Args:
        place: what its key says.
        key: of the object.
        object_version: None for the newest.
        now: this moment.

    Raises:
        DatasetNotFound: when the file is gone, or what the version's run left behind.
        ServiceThrottled: when DynamoDB takes no more for now. What was written stays, and is known
            when the file comes again.
    """
    file = CaptureFile(place.model, key, object_version)
    try:
        version = place.version
        terms = _terms(place.model, version)
    except (CaptureUnreadable, VersionNotRegistered) as reason:
        file.refuse_all(str(reason))
        consumption = None
    else:
        consumption = _Consumption(place.model, version, terms, file, now)
        consumption.take(file.rows(version, terms.schema, now, terms.remembered))
    file.store_refused()
    if file.refused:
        count(metric_names.CAPTURES_QUARANTINED, place.model, file.refused)
    captured, ambiguous = consumption.tell() if consumption else (0, 0)
    return Consumed(captured, ambiguous, file.refused)


@lru_cache(maxsize=64)
def _terms(model: str, version: int) -> Terms:
    run = versions.run_of(model, version)
    keys = RunKeys(model, run)
    watched = versions.monitoring_of(model, run)
    return Terms(
        schema=versions.schema_of(model, run),
        cohort_s=watched.cohort_s,
        remembered=timedelta(seconds=watched.max_label_age_s),
        columns=columns_of(s3.get_json(keys.profile), _baseline(keys)),
    )


def _baseline(keys: RunKeys) -> Baseline | None:
    try:
        return Baseline.model_validate_json(s3.get_bytes(keys.baseline))
    except DatasetNotFound:
        return None  # made by a version of Refit that wrote no baseline


class _Batch:
    """Rows of one cohort that are written together.

    Attributes:
        rows: by inference id: a transaction never names an item twice.
        others: rows that say something else than the one there; one of them makes it ambiguous.
    """

    def __init__(self) -> None:
        self.rows: dict[str, CapturedRow] = {}
        self.others: dict[str, CapturedRow] = {}

    def add(self, row: CapturedRow) -> None:
        first = self.rows.setdefault(row.inference_id, row)
        if first.prediction.digest != row.prediction.digest:
            self.others.setdefault(row.inference_id, row)


class _Consumption:
    """The rows of one file on their way into the table."""

    def __init__(
        self, model: str, version: int, terms: Terms, file: CaptureFile, now: datetime
    ) -> None:
        self._model = model
        self._version = version
        self._terms = terms
        self._file = file
        self._number = zlib.crc32(file.key.encode()) % _FILE_NUMBERS
        self._now = now
        self._batches: dict[CohortKey, _Batch] = {}
        self._turns: defaultdict[CohortKey, Lock] = defaultdict(Lock)
        self._ahead: deque[tuple[CohortKey, Future[list[Arrival]]]] = deque()
        self._inputs: dict[CohortKey, InputCounter] = {}
        self._effects: Counter[Effect] = Counter()
        self._dropped = 0
        self._first_at: datetime | None = None
        self._last_at: datetime | None = None

    def take(self, rows: Iterable[CapturedRow]) -> None:
        """Write rows and count them, and then what they asked."""
        with ThreadPoolExecutor(_WRITERS) as pool:
            for row in rows:
                start = cohort_start(row.prediction.at, self._terms.cohort_s)
                cohort = CohortKey(self._model, self._version, start, self._terms.cohort_s)
                batch = self._batches.setdefault(cohort, _Batch())
                batch.add(row)
                if len(batch.rows) == inferences.MOST_ARRIVALS:
                    self._send(pool, cohort)
                elif len(self._batches) > _MOST_BATCHES:
                    self._send(pool, next(iter(self._batches)))
            for cohort in list(self._batches):
                self._send(pool, cohort)
            self._settle(0)
            for _ in pool.map(self._store_inputs, self._inputs):
                pass

    def _send(self, pool: ThreadPoolExecutor, cohort: CohortKey) -> None:
        batch = self._batches.pop(cohort)
        target = inferences.Target(cohort, self._number, self._terms.remembered)
        task = pool.submit(_written, batch, target, self._turns[cohort])
        self._ahead.append((cohort, task))
        self._settle(_AHEAD)

    def _settle(self, left: int) -> None:
        """Wait until so few transactions are ahead; take down what the others did."""
        while len(self._ahead) > left:
            cohort, task = self._ahead.popleft()
            arrivals = task.result()
            self._effects.update(arrival.effect for arrival in arrivals)
            self._dropped += sum(len(arrival.dropped) for arrival in arrivals)
            # What another file brought before is counted there.
            self._count([arrival.row for arrival in arrivals if arrival.is_first], cohort)

    def _count(self, rows: Sequence[CapturedRow], cohort: CohortKey) -> None:
        if not rows:
            return
        confidences = [row.prediction.confidence for row in rows]
        inputs = self._inputs.setdefault(cohort, InputCounter(self._terms.columns))
        inputs.add(
            np.array([row.values for row in rows], dtype=np.float64),
            np.array([row.answer for row in rows], dtype=np.float64),
            None if None in confidences else np.array(confidences, dtype=np.float64),
        )
        times = [row.prediction.at for row in rows]
        self._first_at = min([*times, self._first_at or times[0]])
        self._last_at = max([*times, self._last_at or times[0]])

    def _store_inputs(self, cohort: CohortKey) -> None:
        key = ModelKeys(self._model).input_counts(self._version, cohort.start, self._file.digest)
        s3.put_bytes(key, self._inputs[cohort].counts().to_bytes())

    def tell(self) -> tuple[int, int]:
        """Publish what was written; return how many were captured, and how many made ambiguous."""
        if self._last_at:
            inferences.raise_last_capture(self._model, self._last_at)
        captured = self._effects[Effect.NEW] + self._effects[Effect.JOINED]
        if captured and self._first_at:
            count(metric_names.CAPTURED, self._model, captured)
            lag_s = max((self._now - self._first_at).total_seconds(), 0)
            count(metric_names.CAPTURE_LAG, self._model, lag_s, MetricUnit.Seconds)
        ambiguous = self._effects[Effect.AMBIGUOUS]
        if ambiguous:
            count(metric_names.AMBIGUOUS, self._model, ambiguous)
        if self._dropped:
            count(metric_names.LABELS_REJECTED, self._model, self._dropped)
        return captured, ambiguous


def _written(batch: _Batch, target: inferences.Target, turn: Lock) -> list[Arrival]:
    """Write a batch when it is its cohort's turn; return what its rows did."""
    with turn:
        done = _written_rows(list(batch.rows.values()), target)
        return done + _written_rows(list(batch.others.values()), target)


def _written_rows(rows: list[CapturedRow], target: inferences.Target) -> list[Arrival]:
    """Decide on each row and write it; again where another came first."""
    model = target.cohort.model
    known: dict[str, Inference] = {}
    done: list[Arrival] = []
    for _ in range(_ROUNDS):
        decided = [arrival_of(row, known.get(row.inference_id)) for row in rows]
        done += [arrival for arrival in decided if arrival.effect is Effect.NOTHING]
        ahead = [arrival for arrival in decided if arrival.effect is not Effect.NOTHING]
        if not ahead:
            return done
        _keep_dropped(model, ahead)
        try:
            written, lost = inferences.write(ahead, target)
        except ServiceThrottled:
            written, lost = [], ahead  # it may have been written all the same: look
        done += written
        rows = [arrival.row for arrival in lost]
        known = labels.load(model, [row.inference_id for row in rows])
    raise ServiceThrottled(f"others kept writing the same items, {len(rows)} of {model}")


def _keep_dropped(model: str, arrivals: Iterable[Arrival]) -> None:
    """Put labels to quarantine that were held for an event with another number of rows.

    Before they are dropped: should this break off, they are there twice, never nowhere.
    """
    for arrival in arrivals:
        if not arrival.dropped:
            continue
        rows = arrival.row.prediction.rows
        lines = []
        for label in arrival.dropped:
            observed_at = label.observed_at.isoformat()
            record = LabelRecord(arrival.row.inference_id, label.label, observed_at)
            reason = f"{label.of} labels were listed for its event, and it has {rows} rows"
            lines.append({"reason": reason, "record": record.as_sent()})
        quarantined(model, lines, arrival.dropped[0].received_at)
