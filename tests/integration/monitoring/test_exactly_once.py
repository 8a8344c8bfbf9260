"""The counters are correct for any order, repetition and failure of the stream's batches.

A seeded random driver writes predictions, labels, corrections, contradictory labels and second
predictions, in any order and while batches are being counted. The records of the stream are
repeated, reordered and split at random. Batches fail before or after any write takes effect,
conflict with each other, and are retried. In the end every record has been delivered at least once,
and the counters are compared with a simple count of all events.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from contextlib import contextmanager
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError
from refit.domain.errors import ServiceThrottled
from refit.domain.schema import Feature, Schema
from refit.handlers import count_labels
from refit.handlers.wiring import services

from tests.support.aws_stack import CONTEXT, forget_services
from tests.support.joined import rows_that_hold
from tests.support.stores import do_not_wait
from tests.support.traffic import NOON, Traffic, add_version, observed_label, prediction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit.domain.inferences.inference import Label, Prediction

    from tests.support.aws_stack import Stack
    from tests.support.traffic import Story

FEATURES = (Feature(name="f0", type="number"),)
CLASSES = ("cat", "dog", "owl")
SCHEMAS = {
    "classification": Schema(
        task="classification", label="label", features=FEATURES, classes=CLASSES
    ),
    "regression": Schema(task="regression", label="label", features=FEATURES),
}
# The live version has one more class than the versions that predict, so such a label can arrive.
LIVE_SCHEMAS = SCHEMAS | {
    "classification": SCHEMAS["classification"].model_copy(update={"classes": (*CLASSES, "yak")})
}
ERROR_BOUND = 1.5
AGES = {1: 300, 2: 900}
LENGTHS = {1: 3600, 2: 600}
WRITES = {
    "dynamodb": ("TransactWriteItems", "BatchGetItem", "UpdateItem"),
    "s3": ("PutObject",),
    "sqs": ("SendMessage",),
}


class ProcessEnded(Exception):
    """Raised to end the counting process at an arbitrary point."""


class Driver:
    """Writes random predictions and labels, and delivers their stream with failures."""

    def __init__(self, seed: int, task: str) -> None:
        self.random = Random(seed)
        self.task = task
        self.traffic = Traffic("zoo", LIVE_SCHEMAS[task], LENGTHS)
        self.undelivered: set[str] = set()
        self.clock = NOON
        self.depth = 0
        self.injects_failures = False
        for version in (1, 2):
            add_version(
                "zoo",
                version,
                SCHEMAS[task],
                ERROR_BOUND if task == "regression" else None,
                cohort_s=LENGTHS[version],
                label_age_s=AGES[version],
            )
        do_not_wait(services())
        for service, operations in WRITES.items():
            events = services().client(service).meta.events
            for operation in operations:
                events.register(f"before-call.{service}.{operation}", self._before)
                events.register(f"after-call.{service}.{operation}", self._after)

    # Predictions and labels

    def write_event(self) -> None:
        self.clock += timedelta(seconds=self.random.choice([1, 20, 400]))
        inference_id = self.random.choice("abcdef")
        known = len(self.traffic.deliverable())
        with self._without_failures():
            if self.random.random() < 0.35:
                self.traffic.predict(inference_id, self._prediction())
            else:
                self.traffic.label(inference_id, self._label())
        self.undelivered |= set(map(number_of, self.traffic.deliverable()[known:]))

    def _prediction(self) -> Prediction:
        at = self.clock - timedelta(seconds=self.random.choice([0, 5, 100, 4000]))
        version, digest = self.random.choice([1, 2]), self.random.choice(["d1", "d1", "d2"])
        if self.task == "regression":
            text = self.random.choice(["1", "2.5", "-3"])
            return prediction(text, version, None, at, digest)
        shares = [self.random.choice([0.0, 0.25, 1.0]) for _ in CLASSES]
        shares = [share / sum(shares) for share in shares] if any(shares) else None
        text = self.random.choice(CLASSES)
        return prediction(text, version, shares, at, digest)

    def _label(self) -> Label:
        texts = ["1", "2", "4.25"] if self.task == "regression" else [*CLASSES, "yak"]
        observed_s = self.random.choice([-100, -10, -1])
        return observed_label(self.random.choice(texts), self.clock, observed_s, received_s=0)

    # Deliveries of the stream

    def deliver(self) -> None:
        """Deliver a batch; records that failed, and all of an aborted batch, stay undelivered."""
        known = self.traffic.deliverable()
        if not known:
            return
        waiting = [entry for entry in known if number_of(entry) in self.undelivered]
        batch = self.random.sample(waiting, self.random.randint(0, len(waiting)))
        batch += self.random.choices(known, k=self.random.randint(0, 3))
        batch += self.random.choices(self.traffic.stream, k=self.random.randint(0, 1))
        if self.random.random() < 0.5:
            self.random.shuffle(batch)
        self.depth += 1
        injects_failures, self.injects_failures = self.injects_failures, True
        try:
            failed = handed_over(batch)
        except (ProcessEnded, ServiceThrottled):
            failed = {number_of(entry) for entry in batch}
        finally:
            self.depth -= 1
            self.injects_failures = injects_failures
        self.undelivered -= {number_of(entry) for entry in batch} - failed

    def deliver_the_rest(self) -> None:
        waiting = [entry for entry in self.traffic.stream if number_of(entry) in self.undelivered]
        with self._without_failures():
            assert handed_over(waiting) == set()

    @contextmanager
    def _without_failures(self) -> Iterator[None]:
        before, self.injects_failures = self.injects_failures, False
        yield
        self.injects_failures = before

    def _before(self, model: Any, **_: Any) -> None:
        if not self.injects_failures:
            return
        kind = self.random.random()
        if kind < 0.25 and self.depth < 3:
            # Meanwhile a prediction or label arrives, or another process counts a batch.
            self.random.choice([self.write_event, self.deliver])()
        elif kind < 0.35 and model.name == "TransactWriteItems":
            reason = {"CancellationReasons": [{"Code": "TransactionConflict"}]}
            code = {"Error": {"Code": "TransactionCanceledException"}}
            raise ClientError(code | reason, model.name)
        else:
            self._fail_at_random()

    def _after(self, **_: Any) -> None:
        if self.injects_failures:
            self._fail_at_random()

    def _fail_at_random(self) -> None:
        kind = self.random.random()
        if kind < 0.06:
            raise ProcessEnded
        if kind < 0.12:
            raise ConnectionClosedError(endpoint_url="https://dynamodb")


def number_of(entry: dict[str, Any]) -> str:
    return str(entry["dynamodb"]["SequenceNumber"])


def handed_over(batch: list[dict[str, Any]]) -> set[str]:
    answer = count_labels.handler({"Records": batch}, CONTEXT)
    return {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}


# The expected counters, computed without the code under test


def joined(stories: dict[str, Story]) -> dict[str, Story]:
    return {
        key: story
        for key, story in stories.items()
        if story.prediction and story.labels and not story.ambiguous
    }


def newest(labels: list[Label]) -> str:
    return max((label.observed_at, label.label) for label in labels)[1]


def plain_count(stories: dict[str, Story], task: str) -> dict[tuple[int, datetime], dict[str, Any]]:
    found: dict[tuple[int, datetime], Counter[str]] = {}
    for story in stories.values():
        made = story.prediction
        if made is None:
            continue
        since = made.at - NOON + timedelta(days=1)
        length = timedelta(seconds=LENGTHS[made.version])
        cohort = found.setdefault((made.version, made.at - since % length), Counter())
        cohort["predictions"] += 1
        if story.ambiguous or not story.labels:
            continue
        cohort["labelled"] += 1
        cohort["delay"] += max((story.labels[0].received_at - made.at).total_seconds(), 0)
        _count_plainly(cohort, made, newest(story.labels), task, "")
        closed = made.at + timedelta(seconds=AGES[made.version])
        in_time = [label for label in story.labels if label.received_at <= closed]
        if in_time:
            cohort["t labelled"] += 1
            _count_plainly(cohort, made, newest(in_time), task, "t ")
    return {
        key: {name: value for name, value in counts.items() if value}
        for key, counts in found.items()
    }


def _count_plainly(counts: Counter[str], made: Prediction, actual: str, task: str, of: str) -> None:
    if task == "regression":
        error = float(made.text) - float(actual)
        counts[f"{of}errors"] += abs(error) > ERROR_BOUND
        if not of:
            counts["error"] += error
            counts["absolute"] += abs(error)
            counts["square"] += error**2
        return
    counts[f"{of}errors"] += made.text != actual
    counts[f"{of}{actual} for {made.text}"] += 1
    if made.probabilities and not of:
        shares = dict(zip(CLASSES, struct.unpack("<3f", made.probabilities), strict=True))
        counts["loss"] -= math.log(max(shares.get(actual, 0), 1e-15))
        counts["losses"] += 1


def counters(task: str) -> dict[tuple[int, datetime], dict[str, Any]]:
    """Return the counters in the table, with the names that `plain_count` uses."""
    found = {}
    for version in (1, 2):
        for cohort in services().monitoring.cohorts("zoo", version):
            shown, matured = cohort.shown, cohort.matured
            values: dict[str, Any] = {
                "predictions": cohort.predictions,
                "labelled": shown.labelled,
                "errors": shown.errors,
                "delay": shown.delay_sum,
                "loss": shown.loss_sum,
                "losses": shown.loss_n,
                "error": shown.error_sum,
                "absolute": shown.abs_sum,
                "square": shown.square_sum,
                "t labelled": matured.labelled,
                "t errors": matured.errors,
            }
            texts = (*CLASSES, "yak")
            for (actual, predicted), count in shown.confusion.items():
                values[f"{texts[actual]} for {CLASSES[predicted]}"] = count
            by_class = {texts[code]: counts for code, counts in matured.classes.items()}
            values["t classes"] = by_class if task == "classification" else None
            kept = {name: value for name, value in values.items() if value}
            if kept:
                found[version, cohort.start] = kept
    return found


def in_classes(counts: dict[str, Any]) -> dict[str, Any]:
    """Return a plain count with the confusion at the label age as labelled and errors by class."""
    plain, classes = {}, {}
    for name, value in counts.items():
        if name.startswith("t ") and " for " in name:
            actual, _, predicted = name[2:].partition(" for ")
            labelled, errors = classes.get(actual, (0, 0))
            classes[actual] = labelled + value, errors + value * (actual != predicted)
        else:
            plain[name] = pytest.approx(value, abs=1e-4)
    return plain | ({"t classes": classes} if classes else {})


@pytest.fixture
def table(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table without a stream, because moto would copy the stream in each transaction."""
    services().client("dynamodb").create_table(
        TableName="without-a-stream",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    monkeypatch.setenv("INFERENCE_TABLE", "without-a-stream")
    forget_services()


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("seed", range(8))
def test_each_joined_prediction_is_counted_exactly_once(seed: int, task: str) -> None:
    driver = Driver(seed, task)
    for _ in range(36):
        driver.write_event()
        if driver.random.random() < 0.5:
            driver.deliver()
    driver.deliver_the_rest()

    stories = driver.traffic.stories
    plain = plain_count(stories, task)
    assert counters(task) == {key: in_classes(counts) for key, counts in plain.items()}
    assert {
        row.inference_id: (row.label, row.prediction, row.version)
        for row in rows_that_hold(driver.traffic.ledger())
    } == {
        key: (newest(story.labels), story.prediction.text, story.prediction.version)
        for key, story in joined(stories).items()
        if story.prediction
    }
    items = [driver.traffic.item(inference_id) for inference_id in stories]
    assert not [item for item in items if {"uncounted", "digest"} <= item.keys()]
