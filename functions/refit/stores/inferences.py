"""Write captured predictions to InferenceTable, and count predictions and labels.

Every item is written on the condition that it has not changed since it was read, and the counters
of the cohort are updated in the same transaction. So each prediction and each label is counted
exactly once, no matter how often a file or a batch is delivered, and even if this process does not
receive DynamoDB's response. stores/labels.py writes the labels; stores/inference_items.py defines
the format of the items.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from boto3.dynamodb.conditions import Attr

from refit.domain.inferences.cohort_key import CohortKey
from refit.domain.inferences.count_change import summed
from refit.domain.inferences.prediction_change import PredictionEffect
from refit.stores.cohort_items import block_of
from refit.stores.dynamodb import MAX_TRANSACTION_WRITES, transact_each
from refit.stores.inference_items import (
    counted_map,
    inference_key,
    is_unchanged,
    label_element,
    load_inferences,
    prediction_attributes,
)
from refit.stores.retries import TRANSACTION_CONFLICTS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from datetime import timedelta

    from boto3.dynamodb.conditions import ConditionBase

    from refit.domain.inferences.count_change import CountChange
    from refit.domain.inferences.inference import Inference
    from refit.domain.inferences.prediction_change import PredictionChange
    from refit.stores.dynamodb import Table, Write
    from refit.stores.labels import LabelStore
    from refit.stores.monitoring import MonitoringStore
    from refit.stores.retries import RetryPolicy
    from refit.stores.shards import Shards

MAX_PREDICTIONS = MAX_TRANSACTION_WRITES - 2
"""Predictions per transaction, which also writes the counters of the cohort and of the labels."""

MAX_COUNTERS = 200
"""Counters of one item that one transaction updates: an UpdateExpression has at most 4 KB."""

_CounterItem: TypeAlias = tuple[CohortKey, int | None]
"""Cohort and block of classes."""

T = TypeVar("T")

_NO_COHORT = CohortKey("", 0, datetime.min.replace(tzinfo=UTC), 0)


@dataclass(frozen=True)
class CaptureTarget:
    """Where the predictions of a capture file are counted, and how long they are kept.

    Attributes:
        file_number: bin, out of 64, into which the name of the capture file is hashed.
    """

    cohort: CohortKey
    file_number: int
    kept_for: timedelta


class InferenceStore:
    """Stores captured predictions, and counts predictions and labels."""

    def __init__(
        self,
        table: Table,
        monitoring: MonitoringStore,
        labels: LabelStore,
        shards: Shards,
        policy: RetryPolicy = TRANSACTION_CONFLICTS,
        max_writes: int = MAX_TRANSACTION_WRITES,
    ) -> None:
        self._table = table
        self._monitoring = monitoring
        self._labels = labels
        self._shards = shards
        self._policy = policy
        self._max_writes = max_writes

    def load(self, model: str, inference_ids: Collection[str]) -> dict[str, Inference]:
        """Return the inferences that exist, by id."""
        return load_inferences(self._table, model, inference_ids)

    def write_predictions(
        self, changes: Sequence[PredictionChange], target: CaptureTarget
    ) -> tuple[list[PredictionChange], list[PredictionChange]]:
        """Write predictions and count them, in one transaction.

        Args:
            changes: at most `MAX_PREDICTIONS` changes of different inferences, each with an effect.
            target: where the predictions are counted.

        Returns:
            The changes that were written, and those whose inference has changed meanwhile.

        Raises:
            ServiceThrottled: when all attempts conflicted with other transactions. Nothing was
                written, unless the connection was lost before the response.
        """

        def writes_of(pending: Sequence[PredictionChange]) -> list[Write]:
            writes = [self._prediction_write(change, target) for change in pending]
            return writes + self._prediction_counters(pending, target)

        return self._transact(changes, writes_of)

    def _prediction_write(self, change: PredictionChange, target: CaptureTarget) -> Write:
        # Building the requests by hand would save 20 of the 260 µs of CPU time per captured record
        # (8 %, benchmarks/capture.py with 20,000 records). That does not justify a second format.
        model, row = target.cohort.model, change.row
        key = inference_key(model, row.inference_id)
        if change.effect is PredictionEffect.NEW:
            item = {
                **key,
                "model": model,
                "inference_id": row.inference_id,
                "seq": 1,
                **prediction_attributes(row.prediction, target.kept_for),
            }
            return self._table.put_request(item, condition=Attr("id").not_exists())
        assert change.before is not None
        if change.effect is PredictionEffect.JOINED:
            return self._table.update_request(
                key,
                set=_joined_attributes(change, target.kept_for),
                condition=is_unchanged(change.before),
            )
        assert change.before.prediction is not None
        return self._table.update_request(
            key,
            set={"ambiguous": True, "uncounted": 1, "seq": change.before.seq + 1},
            condition=Attr("seq").eq(change.before.seq)
            & Attr("digest").eq(change.before.prediction.digest),
        )

    def _prediction_counters(
        self, changes: Sequence[PredictionChange], target: CaptureTarget
    ) -> list[Write]:
        predictions = sum(change.adds_prediction for change in changes)
        joined = sum(change.effect is PredictionEffect.JOINED for change in changes)
        writes = []
        if predictions:
            sums = {target.cohort: {"predictions": predictions}}
            writes += self._monitoring.additions(target.cohort.model, sums, [target.file_number])
        if joined:
            discarded = sum(len(change.discarded) for change in changes)
            counts = {"held": -joined, "rejected": discarded}
            writes.append(self._labels.addition(target.cohort.model, counts))
        return writes

    def count(
        self, changes: Sequence[CountChange]
    ) -> Iterator[tuple[list[CountChange], list[CountChange]]]:
        """Count labelled predictions in as many transactions as necessary.

        Yields:
            After each transaction, the changes that were counted, and those whose inference has
            changed meanwhile.

        Raises:
            ServiceThrottled: when all attempts of a transaction conflicted with others. Its changes
                were not counted, unless the connection was lost before the response.
        """
        for group in transaction_groups(changes, self._max_writes):
            yield self._transact(group, self._count_writes)

    def _transact(
        self, changes: Sequence[T], writes_of: Callable[[Sequence[T]], list[Write]]
    ) -> tuple[list[T], list[T]]:
        return transact_each(
            self._table.client, changes, writes_of, self._policy, self._shards.move
        )

    def _count_writes(self, changes: Sequence[CountChange]) -> list[Write]:
        marks = [self._mark(change) for change in changes]
        model = changes[0].inference.model
        return marks + self._monitoring.additions(model, summed(changes))

    def _mark(self, change: CountChange) -> Write:
        inference = change.inference
        is_counted_as_before: ConditionBase = Attr("counted").not_exists()
        if inference.counted.seq:
            is_counted_as_before = Attr("counted.seq").eq(inference.counted.seq)
        return self._table.update_request(
            inference_key(inference.model, inference.inference_id),
            set={"counted": counted_map(change.counted)},
            remove=["uncounted"],
            condition=Attr("seq").eq(inference.seq) & is_counted_as_before,
        )


def _joined_attributes(change: PredictionChange, kept_for: timedelta) -> dict[str, object]:
    """Return the attributes that join a prediction with its held labels."""
    values = prediction_attributes(change.row.prediction, kept_for)
    values |= {"held_model": None, "held_until": None}
    if not change.kept:
        values |= {"labels": None, "uncounted": None}
    elif change.discarded:
        values["labels"] = [label_element(label) for label in change.kept]
    return values


def transaction_groups(
    changes: Iterable[CountChange], max_writes: int
) -> Iterator[list[CountChange]]:
    """Divide changes into transactions.

    A transaction has one write for each change, for each item of counters, and for the number of
    labelled predictions.
    """
    group: list[CountChange] = []
    counters: dict[_CounterItem, set[str]] = defaultdict(set)
    for change in sorted(changes, key=_position):
        _merge(counters, change)
        widest = max(map(len, counters.values()), default=0)
        if len(group) + 1 + len(counters) + 1 > max_writes or widest > MAX_COUNTERS:
            if group:
                yield group
            group, counters = [], defaultdict(set)
            _merge(counters, change)
        group.append(change)
    if group:
        yield group


def _position(change: CountChange) -> tuple[CohortKey, list[int]]:
    """Return where a change is sorted: changes of the same items follow each other."""
    blocks = {block_of(name) for sums in change.sums.values() for name in sums} - {None}
    return min(change.sums, default=_NO_COHORT), sorted(block or 0 for block in blocks)


def _merge(counters: dict[_CounterItem, set[str]], change: CountChange) -> None:
    for cohort, sums in change.sums.items():
        for name in sums:
            counters[cohort, block_of(name)].add(name)
