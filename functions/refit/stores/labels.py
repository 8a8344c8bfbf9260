"""Write labels to InferenceTable, and count them in ModelTable.

Items:
    InferenceTable  an inference (stores/inference_items.py). Until its prediction is captured, its
                    labels are held: `held_model` and `held_until` are keys of the index HeldLabels.
    ModelTable      MODEL#<model> LABELS#<shard>: `held` (now); totals of new, repeat, corrected,
                    rejected, held_total and expired; last_label_at, last_capture_at. The counters
                    of a model are the sums, and the latest times, of its shards.

A label is written on the condition that its inference has not changed since it was read, and the
counters are updated in the same transaction.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from boto3.dynamodb.conditions import Attr, Key

from refit.domain.inferences.label_change import LabelChange
from refit.domain.inferences.label_outcome import LabelStatus
from refit.domain.moments import iso
from refit.stores.dynamodb import MAX_TRANSACTION_WRITES, transact_each
from refit.stores.inference_items import (
    inference_key,
    is_unchanged,
    label_element,
    load_inferences,
)
from refit.stores.models import model_pk
from refit.stores.retries import TRANSACTION_CONFLICTS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from boto3.dynamodb.conditions import ConditionBase

    from refit.domain.inferences.inference import Inference
    from refit.domain.inferences.label_outcome import LabelOutcome
    from refit.stores.dynamodb import Item, Table, Write
    from refit.stores.retries import RetryPolicy
    from refit.stores.shards import Shards

MAX_CHANGES = MAX_TRANSACTION_WRITES - 1
"""Inferences per transaction, which also writes the counters."""

_KEPT_AFTER_DEADLINE = timedelta(days=30)
"""DynamoDB deletes held labels this long after their deadline, if they have not been expired."""

_COUNTERS_PREFIX = "LABELS"
_COUNTERS = {status: status.value for status in LabelStatus} | {LabelStatus.HELD: "held_total"}


@dataclass(frozen=True)
class LabelCounters:
    """Number of labels of a model by outcome, and when its latest label and capture arrived.

    Attributes:
        held: number of labels that are held now; the other numbers are totals.
    """

    held: int
    expired: int
    new: int
    repeat: int
    corrected: int
    rejected: int
    last_label_at: datetime | None
    last_capture_at: datetime | None


class LabelStore:
    """Stores the labels of inferences, and counts them."""

    def __init__(
        self,
        inferences: Table,
        models: Table,
        shards: Shards,
        policy: RetryPolicy = TRANSACTION_CONFLICTS,
    ) -> None:
        self._inferences = inferences
        self._models = models
        self._shards = shards
        self._policy = policy

    def load(self, model: str, inference_ids: Collection[str]) -> dict[str, Inference]:
        """Return the inferences that exist, by id."""
        return load_inferences(self._inferences, model, inference_ids)

    def write(
        self, model: str, changes: Sequence[LabelChange], held_for: timedelta
    ) -> tuple[list[LabelChange], list[LabelChange]]:
        """Write labels and count them in as many transactions as necessary.

        Args:
            model: name of the model.
            changes: at most one change per inference. A change without effect is only counted.
            held_for: how long a label is held for its prediction.

        Returns:
            The changes that were written or counted, and those whose inference has changed
            meanwhile.

        Raises:
            ServiceThrottled: when all attempts of a transaction conflicted with others. Earlier
                transactions remain.
        """

        def writes_of(pending: Sequence[LabelChange]) -> list[Write]:
            writes = [self._label_write(model, change, held_for) for change in pending]
            return [*writes, self._written_counters(model, pending)]

        repeated = [change for change in changes if not change.changes_inference]
        pending = [change for change in changes if change.changes_inference]
        written, conflicted = self._transact(pending, writes_of)
        if repeated:
            self.count_outcomes(
                model, [outcome for change in repeated for outcome in change.outcomes]
            )
        return repeated + written, conflicted

    def count_outcomes(self, model: str, outcomes: Iterable[LabelOutcome]) -> None:
        """Count records that change no inference.

        The write is a transaction of its own, because a transaction has a token: when its answer is
        lost, botocore sends it again and it counts once. This costs one write unit more.
        """
        counts = Counter(_COUNTERS[outcome.status] for outcome in outcomes)

        def writes_of(_: object) -> list[Write]:
            return [self.addition(model, counts)]

        transact_each(self._models.client, [counts], writes_of, self._policy, self._shards.move)

    def load_counters(self, model: str) -> LabelCounters:
        """Return the counters of a model; for an unknown model they are empty."""
        condition = Key("pk").eq(model_pk(model)) & Key("sk").begins_with(_COUNTERS_PREFIX)
        shards = list(self._models.query(condition, consistent=False))

        def moment(name: str) -> datetime | None:
            times = [datetime.fromisoformat(shard[name]) for shard in shards if name in shard]
            return max(times, default=None)

        def number(name: str) -> int:
            return int(sum(shard.get(name, 0) for shard in shards))

        return LabelCounters(
            held=number("held"),
            expired=number("expired"),
            new=number("new"),
            repeat=number("repeat"),
            corrected=number("corrected"),
            rejected=number("rejected"),
            last_label_at=moment("last_label_at"),
            last_capture_at=moment("last_capture_at"),
        )

    def advance_last_capture(self, model: str, at: datetime) -> None:
        """Record the time of a captured prediction, unless its shard has a later time."""
        recorded = Attr("last_capture_at")
        self._models.apply(
            self._models.update_request(
                self._counters_key(model),
                set={"last_capture_at": iso(at)},
                condition=recorded.not_exists() | recorded.lt(iso(at)),
            )
        )

    def overdue(self, model: str, now: datetime) -> Iterator[str]:
        """Yield the ids of inferences whose held labels are past their deadline, earliest first.

        The index is eventually consistent, so an inference may have changed already.
        """
        condition = Key("held_model").eq(model) & Key("held_until").lte(iso(now))
        for item in self._inferences.query(condition, index="HeldLabels"):
            yield item["id"].partition("#")[2]

    def expire(self, model: str, held: Sequence[Inference], now: datetime) -> list[Inference]:
        """Delete held labels; return those that were still held and past their deadline."""

        def writes_of(pending: Sequence[LabelChange]) -> list[Write]:
            writes = [self._deletion(model, change, now) for change in pending]
            counts = {"held": -len(pending), "expired": len(pending)}
            return [*writes, self.addition(model, counts)]

        changes = [LabelChange(inference.inference_id, inference, None) for inference in held]
        deleted, _ = self._transact(changes, writes_of)
        return [change.before for change in deleted if change.before]

    def uncounted(self, model: str | None = None) -> Iterator[tuple[str, str]]:
        """Yield model and id of each inference that CountLabels should have counted, or soon will.

        Scans the table of all models. Without `model` it yields those of all models.
        """
        uncounted = Attr("uncounted").exists() & Attr("digest").exists()
        if model is not None:
            uncounted = _is_of_model(model) & uncounted
        for item in self._inferences.scan(uncounted, "id"):
            owner, _, inference_id = item["id"].partition("#")
            yield owner, inference_id

    def count_again(self, model: str, inference_id: str) -> bool:
        """Give the stream a new record of an inference; return False if it has been counted.

        A write that changes nothing has no record, so the value of `uncounted` is increased. Only
        its existence has a meaning.
        """
        return self._inferences.apply(
            self._inferences.update_request(
                inference_key(model, inference_id),
                increment={"uncounted": 1},
                condition=Attr("uncounted").exists(),
            )
        )

    def ids(self, model: str) -> Iterator[str]:
        """Yield the ids of all inferences of a model. Scans the table of all models."""
        for item in self._inferences.scan(_is_of_model(model), "id"):
            yield item["id"].partition("#")[2]

    def delete_all(self, model: str) -> None:
        """Delete all inferences of a model: predictions and labels. Scans the table."""
        self._inferences.delete_many(inference_key(model, id_) for id_ in self.ids(model))

    def addition(
        self, model: str, counts: Mapping[str, int], last_label_at: datetime | None = None
    ) -> Write:
        """Return the write that adds to the counters of a model, for use in a transaction.

        Args:
            model: name of the model.
            counts: numbers to add, by the name of the counter; zeros are left out.
            last_label_at: time of receipt to record. The latest write sets it, because small clock
                differences do not matter and a maximum would need a condition.
        """
        nonzero = {name: number for name, number in counts.items() if number}
        last = {"last_label_at": iso(last_label_at)} if last_label_at else {}
        return self._models.update_request(self._counters_key(model), set=last, add=nonzero)

    def _transact(
        self,
        changes: Sequence[LabelChange],
        writes_of: Callable[[Sequence[LabelChange]], list[Write]],
    ) -> tuple[list[LabelChange], list[LabelChange]]:
        written, conflicted = list[LabelChange](), list[LabelChange]()
        for start in range(0, len(changes), MAX_CHANGES):
            group = changes[start : start + MAX_CHANGES]
            some_written, some_conflicted = transact_each(
                self._inferences.client, group, writes_of, self._policy, self._shards.move
            )
            written += some_written
            conflicted += some_conflicted
        return written, conflicted

    def _label_write(self, model: str, change: LabelChange, held_for: timedelta) -> Write:
        after = change.after
        assert after is not None
        values: Item = {
            "labels": [label_element(label) for label in after.labels],
            "seq": after.seq,
            "uncounted": 1,
        }
        if after.prediction is None:
            deadline = after.labels[-1].received_at + held_for
            values |= {
                "model": model,
                "inference_id": after.inference_id,
                "held_model": model,
                "held_until": iso(deadline),
                "expires_at": int((deadline + _KEPT_AFTER_DEADLINE).timestamp()),
            }
        return self._inferences.update_request(
            inference_key(model, after.inference_id),
            set=values,
            condition=is_unchanged(change.before),
        )

    def _written_counters(self, model: str, changes: Sequence[LabelChange]) -> Write:
        outcomes = [outcome for change in changes for outcome in change.outcomes]
        counts = Counter(_COUNTERS[outcome.status] for outcome in outcomes)
        counts["held"] = sum(change.before is None for change in changes)
        latest = max(change.after.labels[-1].received_at for change in changes if change.after)
        return self.addition(model, counts, latest)

    def _deletion(self, model: str, change: LabelChange, now: datetime) -> Write:
        return self._inferences.delete_request(
            inference_key(model, change.inference_id),
            condition=is_unchanged(change.before) & Attr("held_until").lte(iso(now)),
        )

    def _counters_key(self, model: str) -> Item:
        sk = f"{_COUNTERS_PREFIX}#{self._shards.current():02d}"
        return {"pk": model_pk(model), "sk": sk}


def _is_of_model(model: str) -> ConditionBase:
    return Attr("id").begins_with(inference_key(model, "")["id"])
