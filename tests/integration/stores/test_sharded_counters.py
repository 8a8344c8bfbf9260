"""Counters that are spread over items, and read as one cohort."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from boto3.dynamodb.conditions import Key
from refit.domain.inferences.captured_rows import CapturedRow
from refit.domain.inferences.cohort_key import CohortKey
from refit.domain.inferences.count_change import count_change, summed
from refit.domain.inferences.inference import NOTHING_COUNTED, Inference, Label
from refit.domain.inferences.label_outcome import LabelOutcome, LabelStatus
from refit.domain.inferences.prediction_change import prediction_change
from refit.domain.model_settings import MonitoringSettings
from refit.domain.schema import Feature, Schema
from refit.stores.cohort_items import cohorts_of, counter_items
from refit.stores.dynamodb import MAX_TRANSACTION_WRITES, transact
from refit.stores.inferences import CaptureTarget, InferenceStore, transaction_groups
from refit.stores.labels import LabelStore
from refit.stores.monitoring import MonitoringStore
from refit.stores.shards import SHARDS, Shards

from tests.support.aws_clients import CancelledTransactions, RequestLog
from tests.support.stores import NO_WAIT
from tests.support.traffic import prediction

if TYPE_CHECKING:
    from tests.support.aws_stack import Stack

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SETTINGS = MonitoringSettings(cohort_s=3600, label_age_s=3600)


class OneShard(Shards):
    """Always adds to the given shard."""

    def __init__(self, shard: int) -> None:
        super().__init__()
        self.shard = shard

    def current(self) -> int:
        return self.shard


def cohort(hours: int = 0, version: int = 1) -> CohortKey:
    return CohortKey("digits", version, NOON + hours * HOUR, 3600)


def add(stack: Stack, shard: int, key: CohortKey, *files: int, **sums: int) -> None:
    store = MonitoringStore(stack.services.model_table, OneShard(shard))
    transact(stack.services.client("dynamodb"), store.additions("digits", {key: sums}, files))


def items(stack: Stack) -> list[dict[str, Any]]:
    return list(stack.services.model_table.query(Key("pk").eq("MODEL#digits")))


def test_a_cohort_is_the_sum_of_its_shards(stack: Stack) -> None:
    for shard in range(SHARDS):
        add(stack, shard, cohort(), shard % 3, predictions=2, labelled=1)
    (counters,) = stack.services.monitoring.cohorts("digits", 1)
    assert (counters.predictions, counters.shown.labelled) == (2 * SHARDS, SHARDS)
    assert counters.files == {0, 1, 2}
    assert counters.seconds == 3600
    assert stack.services.monitoring.labelled_rows("digits") == SHARDS
    assert stack.services.monitoring.labelled_rows_since("digits", 1, NOON) == SHARDS


def test_a_correction_subtracts_in_another_shard_than_it_was_added_to(stack: Stack) -> None:
    add(stack, 3, cohort(), labelled=5, errors=2, **{"s|1|n": 3, "s|1|k": 2, "s|2|n": 2})
    add(stack, 9, cohort(), errors=-1, **{"s|1|n": -1, "s|1|k": -1, "s|2|n": 1})
    (counters,) = stack.services.monitoring.cohorts("digits", 1)
    assert (counters.shown.labelled, counters.shown.errors) == (5, 1)
    assert counters.shown.classes == {1: (2, 1), 2: (3, 0)}


def test_a_cohort_that_is_read_between_a_count_and_its_correction_has_no_negative_counts(
    stack: Stack,
) -> None:
    """A query does not read all shards at one moment."""
    add(stack, 0, cohort(), labelled=-1, errors=-1, **{"s|1|n": -1, "s|1|k": -1})
    (counters,) = stack.services.monitoring.cohorts("digits", 1)
    assert (counters.shown.labelled, counters.shown.errors) == (0, 0)
    assert counters.shown.classes == {}


def test_a_writer_keeps_its_shard_until_it_meets_another_writer(stack: Stack) -> None:
    services = stack.services
    shards = Shards()
    monitoring = MonitoringStore(services.model_table, shards)
    first = shards.current()
    for _ in range(5):
        transact(
            services.client("dynamodb"), monitoring.additions("digits", {cohort(): {"labelled": 1}})
        )
    assert [item["sk"][-3:] for item in items(stack)] == [f"#{first:02d}"] * 2

    class Recorded(Shards):
        moves = 0

        def move(self) -> None:
            self.moves += 1
            super().move()

    recorded = Recorded()
    client = CancelledTransactions(
        services.client("dynamodb"),
        ["None", "TransactionConflict"],
        ["None", "TransactionConflict"],
    )
    inferences = type(services.inference_table)(client, services.inference_table.name)
    labels = LabelStore(inferences, services.model_table, recorded, NO_WAIT)
    recorded.current()
    before = recorded.moves
    held = Inference("digits", "h", 1, None, False, (), NOTHING_COUNTED)
    assert labels.expire("digits", [held], NOON) == []
    assert recorded.moves == before + 2


def test_a_file_that_is_delivered_twice_is_counted_once_whatever_the_shards(stack: Stack) -> None:
    services = stack.services
    row = CapturedRow("a", prediction("dog", at=NOON), [], 0.0)
    change = prediction_change(row, None)
    target = CaptureTarget(cohort(), 7, timedelta(days=90))
    results = []
    for shard in (1, 9):
        shards = OneShard(shard)
        monitoring = MonitoringStore(services.model_table, shards)
        labels = LabelStore(services.inference_table, services.model_table, shards)
        store = InferenceStore(services.inference_table, monitoring, labels, shards, NO_WAIT)
        results.append(store.write_predictions([change], target))
    assert results == [([change], []), ([], [change])]
    (counters,) = services.monitoring.cohorts("digits", 1)
    assert counters.predictions == 1


def test_the_counters_of_labels_are_the_sums_and_latest_times_of_their_shards(
    stack: Stack,
) -> None:
    services = stack.services
    outcomes = [LabelOutcome(LabelStatus.REPEAT), LabelOutcome(LabelStatus.REJECTED)]
    for shard, minutes in ((1, 10), (5, 30), (9, 20)):
        labels = LabelStore(services.inference_table, services.model_table, OneShard(shard))
        labels.count_outcomes("digits", outcomes)
        labels.advance_last_capture("digits", NOON + timedelta(minutes=minutes))
        write = labels.addition("digits", {"new": 1}, NOON + timedelta(minutes=minutes + 1))
        services.model_table.apply(write)
    counters = services.labels.load_counters("digits")
    assert (counters.repeat, counters.rejected, counters.new) == (3, 3, 3)
    assert counters.last_capture_at == NOON + timedelta(minutes=30)
    assert counters.last_label_at == NOON + timedelta(minutes=31)


def many_classes(count: int) -> Schema:
    return Schema(
        label="label",
        task="classification",
        classes=tuple(f"class {code:04d}" for code in range(count)),
        features=(Feature(name="f", type="number"),),
    )


@pytest.mark.parametrize("classes", [500, 5000])
def test_a_model_with_many_classes_is_counted_exactly_in_small_items(
    stack: Stack, classes: int
) -> None:
    """A confusion of 500 classes has 250,000 counters, and an item at most 400 KB."""
    services = stack.services
    schema = many_classes(classes)
    assert schema.classes is not None
    known = {(code, code + 1) for code in range(0, 200, 2)}
    changes = []
    for index in range(1500):
        actual, answer = index % classes, (index + index % 3) % classes
        found = Inference(
            "digits",
            str(index),
            1,
            prediction(schema.classes[answer], at=NOON),
            False,
            (Label(schema.classes[actual], NOON, NOON + timedelta(seconds=60)),),
            NOTHING_COUNTED,
        )
        change = count_change(found, schema, SETTINGS, None, known)
        assert change is not None
        changes.append(change)
    stored: dict[str, Counter[str]] = defaultdict(Counter)
    for group in transaction_groups(changes, MAX_TRANSACTION_WRITES):
        writes = services.monitoring.additions("digits", summed(group))
        assert len(group) + len(writes) <= MAX_TRANSACTION_WRITES
        for write in writes:
            assert len(write["Update"]["UpdateExpression"]) <= 4096
        for _, sk, numbers in counter_items(summed(group), 0):
            stored[sk].update(numbers)
    (counters,) = cohorts_of([{"sk": sk, **stored[sk]} for sk in sorted(stored)])
    assert counters.shown.labelled == counters.matured.labelled == 1500
    assert counters.shown.errors == counters.matured.errors == 1000
    labelled = dict.fromkeys(range(min(classes, 1500)), 0)
    wrong = dict(labelled)
    for index in range(1500):
        labelled[index % classes] += 1
        wrong[index % classes] += index % 3 > 0
    expected = {code: (labelled[code], wrong[code]) for code in labelled}
    assert counters.shown.classes == counters.matured.classes == expected
    assert counters.shown.confusion.keys() <= known, "of many classes, the listed pairs are counted"
    assert sum(counters.shown.confusion.values()) > 0
    assert max(map(size_of, stored.values())) <= 6_000


def size_of(counters: Counter[str]) -> int:
    """Return the bytes of the counters in DynamoDB: the name, and a byte for two digits and one."""
    return sum(len(name) + len(str(number)) // 2 + 2 for name, number in counters.items())


def judged(stack: Stack, settled_until: datetime, now: datetime, run: str = "r") -> list[int]:
    cohorts = stack.services.monitoring.recent_cohorts("digits", 1, run, settled_until, now)
    return [each.predictions for each in cohorts]


def test_a_check_reads_settled_cohorts_once_an_hour(stack: Stack) -> None:
    for hours in range(5):
        add(stack, 0, cohort(hours), predictions=hours + 1)
    settled = NOON + 3 * HOUR
    now = NOON + 5 * HOUR
    assert judged(stack, settled, now) == [1, 2, 3, 4, 5]
    add(stack, 1, cohort(1), predictions=100)
    add(stack, 1, cohort(4), predictions=10)
    with RequestLog(stack.services.client("dynamodb"), "dynamodb", "Query") as log:
        assert judged(stack, settled, now + HOUR / 2) == [1, 2, 3, 4, 15]
    (query,) = log.requests
    assert query["ConsistentRead"] is False
    values = [value.get("S") for value in query["ExpressionAttributeValues"].values()]
    assert "COHORT#0000000001#2026-11-20T15:00:00" in values, "only cohorts that are not settled"
    assert judged(stack, settled + HOUR, now + HOUR) == [1, 102, 3, 4, 15]


def test_settled_cohorts_of_a_removed_model_are_not_those_of_its_successor(stack: Stack) -> None:
    add(stack, 0, cohort(), predictions=1)
    now = NOON + 5 * HOUR
    assert judged(stack, NOON + HOUR, now, run="first") == [1]
    stack.services.models.delete_items("digits")
    assert judged(stack, NOON + HOUR, now, run="second") == []


def test_an_old_cohort_stays_readable_one_by_one(stack: Stack) -> None:
    """Each hour of 13 months can be read, however many came later."""
    hours = [24 * day for day in range(396)]
    for hour in hours:
        add(stack, hour % SHARDS, cohort(hour), predictions=1)
    found = stack.services.monitoring.cohorts("digits", 1)
    assert [each.start for each in found] == [NOON + hour * HOUR for hour in hours]
