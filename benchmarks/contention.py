"""Measure consumers that write the counters of one model at the same time, on the local stack.

    .venv/bin/python benchmarks/contention.py                1, 4 and 16 consumers
    .venv/bin/python benchmarks/contention.py --seconds 20

Each consumer is a process. It writes 20 predictions, labels them and counts the labels, as the
Lambda functions do, in three transactions that add to one cohort and to the counters of the labels.
`one item` stores the counters of a cohort in one item, `shards` in as many as the functions use.
`cancelled` is the number of transactions that DynamoDB cancelled, for each one that succeeded;
`given up` is the number of batches whose attempts were used up, which their queue delivers again.
The local stack is one Python process, so its processor limits the throughput of many consumers.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL, BATCH = "digits", 20
CONSUMERS = (1, 4, 16)
MODELS, INFERENCES = "models", "inferences"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
KEYS = {"AWS_ACCESS_KEY_ID": "AKIACONTENTION000001", "AWS_SECRET_ACCESS_KEY": "contention"}


@contextmanager
def emulator() -> Iterator[str]:
    """Run the services of the local stack; yield their URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as state:
        command = [sys.executable, "-m", "refit_local.stack.server", "--port", str(port)]
        server = subprocess.Popen(
            [*command, "--state", state],
            env={**os.environ, **KEYS},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while True:
                with suppress(OSError):
                    urllib.request.urlopen(f"{url}/_ministack/health").close()
                    break
                time.sleep(0.1)
            yield url
        finally:
            server.terminate()
            server.wait()


def client_of(url: str) -> Any:
    import boto3

    keys = {name.lower(): value for name, value in KEYS.items()}
    return boto3.client("dynamodb", endpoint_url=url, region_name="us-east-1", **keys)


def create_tables(url: str) -> None:
    client = client_of(url)
    for table, names in ((MODELS, ("pk", "sk")), (INFERENCES, ("id",))):
        client.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
            KeySchema=[
                {"AttributeName": name, "KeyType": kind}
                for name, kind in zip(names, ("HASH", "RANGE"), strict=False)
            ],
        )


class Consumer:
    """Writes, labels and counts predictions of its own."""

    def __init__(self, url: str, shards: int, cohort: int) -> None:
        from refit.domain.inferences.cohort_key import CohortKey
        from refit.domain.model_settings import MonitoringSettings
        from refit.domain.schema import Feature, Schema
        from refit.stores.dynamodb import Table
        from refit.stores.inferences import InferenceStore
        from refit.stores.labels import LabelStore
        from refit.stores.monitoring import MonitoringStore
        from refit.stores.shards import Shards

        client = client_of(url)
        client.meta.events.register("after-call.dynamodb.TransactWriteItems", self._answered)
        models, inferences = Table(client, MODELS), Table(client, INFERENCES)
        chosen = Shards(shards)
        self.labels = LabelStore(inferences, models, chosen)
        monitoring = MonitoringStore(models, chosen)
        self.inferences = InferenceStore(inferences, monitoring, self.labels, chosen)
        self.settings = MonitoringSettings(cohort_s=3600, label_age_s=3600)
        self.schema = Schema(
            label="label",
            task="classification",
            classes=tuple("0123456789"),
            features=(Feature(name="f", type="number"),),
        )
        self.at = NOON + timedelta(hours=cohort)
        self.cohort = CohortKey(MODEL, 1, self.at, 3600)
        self.done = self.cancelled = self.given_up = 0

    def _answered(self, http_response: Any, **_: Any) -> None:
        if http_response.status_code == 200:
            self.done += 1
        else:
            self.cancelled += 1

    def batch(self, name: str) -> None:
        from refit.domain.errors import ServiceThrottled

        try:
            self._predict(name)
            self._label(name)
            self._count(name)
        except ServiceThrottled:
            self.given_up += 1

    def _ids(self, name: str) -> list[str]:
        return [f"{name}-{index}" for index in range(BATCH)]

    def _predict(self, name: str) -> None:
        from refit.domain.inferences.captured_rows import CapturedRow
        from refit.domain.inferences.inference import Prediction, Source
        from refit.domain.inferences.prediction_change import prediction_change
        from refit.stores.inferences import CaptureTarget

        source = Source("digits/capture/a.jsonl", 0, 0)
        changes = []
        for index, inference_id in enumerate(self._ids(name)):
            made = Prediction(str(index % 10), 0.9, None, 1, self.at, source, 1, "d")
            changes.append(prediction_change(CapturedRow(inference_id, made, [], 0.0), None))
        self.inferences.write_predictions(
            changes, CaptureTarget(self.cohort, 1, timedelta(days=90))
        )

    def _label(self, name: str) -> None:
        from refit.domain.inferences.label_change import label_change
        from refit.domain.inferences.label_records import Observation, Receipt

        received = self.at + timedelta(minutes=1)
        receipt = Receipt(MODEL, received, received, timedelta(days=365))
        known = self.labels.load(MODEL, self._ids(name))
        changes = [
            label_change(
                [Observation(inference_id, str(index % 7), received, None, None)],
                known,
                self.schema,
                receipt,
            )
            for index, inference_id in enumerate(self._ids(name))
        ]
        self.labels.write(MODEL, changes, timedelta(days=7))

    def _count(self, name: str) -> None:
        from refit.domain.inferences.count_change import count_change

        known = self.labels.load(MODEL, self._ids(name)).values()
        changes = [count_change(each, self.schema, self.settings, None) for each in known]
        for _ in self.inferences.count([change for change in changes if change]):
            pass


def consume(
    url: str, shards: int, number: int, cohort: int, start_s: float, seconds: float, results: Any
) -> None:
    consumer = Consumer(url, shards, cohort)
    time.sleep(max(0.0, start_s - time.time()))
    batches = 0
    while time.time() < start_s + seconds:
        consumer.batch(f"{cohort}-{number}-{batches}")
        batches += 1
    results.put((consumer.done, consumer.cancelled, consumer.given_up))


def measured(url: str, shards: int, consumers: int, cohort: int, seconds: float) -> list[int]:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    start_s = time.time() + 3 + 0.5 * consumers
    processes = [
        context.Process(
            target=consume, args=(url, shards, number, cohort, start_s, seconds, results)
        )
        for number in range(consumers)
    ]
    for process in processes:
        process.start()
    totals = [results.get() for _ in processes]
    for process in processes:
        process.join()
    return [sum(column) for column in zip(*totals, strict=True)]


def main() -> None:
    from refit.stores.shards import SHARDS

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10)
    seconds = parser.parse_args().seconds
    print("consumers  counters    transactions/s  cancelled  given up")
    with emulator() as url:
        create_tables(url)
        for cohort, consumers in enumerate(CONSUMERS):
            for offset, (name, shards) in enumerate((("one item", 1), ("shards", SHARDS))):
                run = measured(url, shards, consumers, 2 * cohort + offset, seconds)
                done, cancelled, given_up = run
                rate, share = done / seconds, cancelled / max(done, 1)
                print(f"{consumers:9}  {name:10}  {rate:14.1f}  {share:9.2f}  {given_up:8}")


if __name__ == "__main__":
    main()
