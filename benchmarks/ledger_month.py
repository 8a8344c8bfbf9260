"""Measure a retraining after a month of steady labels, without AWS and without the local stack.

    .venv/bin/python benchmarks/ledger_month.py                  30 days of 100,000 labels
    .venv/bin/python benchmarks/ledger_month.py --days 3 --labels 10000

The use cases run on a simulated clock, with a stand-in for S3 on the local disk that counts
requests: CountLabels writes a slice for each minute and shard of the stream, CompactLedger runs
every hour, and then a retraining is planned and prepared. `S3 at 30 ms` is the time of the requests
on AWS, with as many at the same time as the code sends; it is not part of the seconds.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import multiprocessing
import pickle
import random
import resource
import sys
import tempfile
import time
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

KIB_PER_UNIT = 1 if sys.platform != "darwin" else 1 / 1024
MODEL, FEATURES, SHARDS, CLASSES = "digits", 10, 4, ("0", "1")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
CHAMPION, RETRAINING = "0123456789ab", "0f1e2d3c4b5a"
STOCK = [
    ",".join(f"{chance:.6f}" for chance in map(random.Random(seed).uniform, [0] * 9, [1] * 9))
    for seed in range(1000)
]
CAPTURED = (
    '{"captureData": {"endpointInput": {"observedContentType": "text/csv", "mode": "INPUT", '
    '"data": "%s", "encoding": "CSV"}, "endpointOutput": {"observedContentType": "text/csv", '
    '"mode": "OUTPUT", "data": "0.5", "encoding": "CSV"}}, "eventMetadata": {"eventId": "%s", '
    '"inferenceTime": "2026-01-02T03:04:05Z"}, "eventVersion": "0"}\n'
)
REQUEST_S, AT_A_TIME = 0.03, {"GetObject": 8}


class DiskS3:
    """The operations of S3 that the use cases call; objects are files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.objects: dict[str, dict[str, Any]] = {}
        self.keys: list[str] = []
        self.requests: Counter[str] = Counter()
        self.uploads: dict[str, list[bytes]] = {}
        self.now = BEGIN
        for number in range(256):
            (folder / f"{number:02x}").mkdir(exist_ok=True)

    def path(self, key: str) -> Path:
        name = hashlib.sha1(key.encode(), usedforsecurity=False).hexdigest()
        return self.folder / name[:2] / name

    def store(self, key: str, data: bytes) -> None:
        self.path(key).write_bytes(data)
        if key not in self.objects:
            insort(self.keys, key)
        self.objects[key] = {
            "Key": key,
            "VersionId": "v1",
            "Size": len(data),
            "LastModified": self.now,
            "IsLatest": True,
            "ETag": "e",
        }

    def put_object(self, Key: str, Body: bytes, **_: Any) -> dict[str, Any]:
        self.requests["PutObject"] += 1
        self.store(Key, Body)
        return {}

    def get_object(self, Key: str, **_: Any) -> dict[str, Any]:
        self.requests["GetObject"] += 1
        if Key not in self.objects:
            from botocore.exceptions import ClientError

            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": Key}}, "GetObject")
        return {"Body": io.BytesIO(self.path(Key).read_bytes()), "VersionId": "v1"}

    def copy(self, source: dict[str, str], _: str, key: str) -> None:
        self.requests["CopyObject"] += 1
        self.store(key, self.path(source["Key"]).read_bytes())

    def create_multipart_upload(self, Key: str, **_: Any) -> dict[str, str]:
        self.requests["UploadPart"] += 1
        self.uploads[Key] = []
        return {"UploadId": Key}

    def upload_part(self, Key: str, Body: bytes, **_: Any) -> dict[str, str]:
        self.requests["UploadPart"] += 1
        self.uploads[Key].append(Body)
        return {"ETag": "e"}

    def complete_multipart_upload(self, Key: str, **_: Any) -> None:
        self.requests["UploadPart"] += 1
        self.store(Key, b"".join(self.uploads.pop(Key)))

    def get_paginator(self, _: str) -> Any:
        return SimpleNamespace(paginate=self.pages)

    def pages(self, Prefix: str, KeyMarker: str = "", **_: Any) -> Any:
        begin = max(bisect_left(self.keys, Prefix), bisect_right(self.keys, KeyMarker))
        keys = self.keys[begin : bisect_left(self.keys, Prefix + "\x7f")]
        for start in range(0, max(len(keys), 1), 1000):
            self.requests["ListObjectVersions"] += 1
            yield {"Versions": [self.objects[key] for key in keys[start : start + 1000]]}

    def save(self) -> None:
        (self.folder / "objects").write_bytes(pickle.dumps(self.objects))

    @classmethod
    def load(cls, folder: Path) -> DiskS3:
        bucket = cls(folder)
        bucket.objects = pickle.loads((folder / "objects").read_bytes())
        bucket.keys = sorted(bucket.objects)
        return bucket

    def taken(self) -> str:
        """Return the requests since the last call, and their time on AWS."""
        seconds = sum(
            count * REQUEST_S / AT_A_TIME.get(name, 1) for name, count in self.requests.items()
        )
        text = ", ".join(f"{count:,} {name}" for name, count in sorted(self.requests.items()))
        self.requests.clear()
        return f"{text or 'none'} (S3 at 30 ms: {seconds:.1f} s)"


def services_on(bucket: DiskS3, live: bool) -> Any:
    from refit.environment import Environment
    from refit.usecases.services import Services

    variables = {"BUCKET": "b", "MODEL_TABLE": "m", "INFERENCE_TABLE": "i", "NAME_PREFIX": "refit"}
    services = Services(Environment(variables), lambda _: bucket, lambda: bucket.now)
    champion = SimpleNamespace(version=1, run=CHAMPION) if live else None
    models = SimpleNamespace(
        models=lambda: [MODEL],
        state=lambda _: SimpleNamespace(removing_since=None),
        champion=lambda _: champion,
        run=lambda *_: SimpleNamespace(started_at=None),
        run_of_version=lambda *_: CHAMPION,
        update_run=lambda *_, **__: True,
        acceptance_used_by=lambda *_: None,
    )
    inferences = SimpleNamespace(count=lambda changes: [(changes, [])], load=lambda *_: {})
    monitoring = SimpleNamespace(claim_check=lambda *_: False)
    vars(services).update(models=models, inferences=inferences, monitoring=monitoring)
    return services


def prepare_champion(bucket: DiskS3) -> None:
    from refit.domain.naming import ModelKeys, RunKeys
    from refit.domain.pipeline.manifest import Drop, ObjectVersion
    from refit.usecases.prepare_data import prepare_data

    chance = random.Random(0)
    rows = (f"{index % 2},{features_of(chance)}" for index in range(20_000))
    header = ",".join(["label", *(f"f{index}" for index in range(FEATURES))])
    key = f"{ModelKeys(MODEL).raw}a.csv"
    bucket.store(key, "\n".join([header, *rows, ""]).encode())
    bucket.store(ModelKeys(MODEL).settings, b'[data]\nlabel = "label"\n')
    entry = bucket.objects[key]
    file = ObjectVersion(key=key, version="v1", size=entry["Size"], last_modified=BEGIN)
    drop = Drop(model=MODEL, run=CHAMPION, cause="drop", files=(file,))
    services = services_on(bucket, live=False)
    services.bucket.put_json(RunKeys(MODEL, CHAMPION).drop, drop.model_dump(mode="json"))
    prepare_data(services, MODEL, CHAMPION)
    baseline = {"task": "classification", "rows_of": "new", "rows": 1, "errors": 0, "quality": {}}
    services.bucket.put_json(RunKeys(MODEL, CHAMPION).baseline, baseline)


def features_of(chance: random.Random) -> str:
    """Return the values of a row: a number of its own, and others from a small stock."""
    return f"{chance.random():.9f},{chance.choice(STOCK)}"


def capture(bucket: DiskS3, key: str, count: int, chance: random.Random) -> None:
    lines = [CAPTURED % (features_of(chance), f"{key}-{index}") for index in range(count)]
    bucket.store(key, "".join(lines).encode())


def label_minute(services: Any, bucket: DiskS3, count: int, chance: random.Random) -> None:
    """Capture and label predictions of one minute; each shard of the stream is a batch."""
    from refit.domain.inferences.inference import (
        NOTHING_COUNTED,
        Inference,
        Label,
        Prediction,
        Source,
    )
    from refit.usecases.count_labels import count_labels

    key = f"{MODEL}/capture/refit-{MODEL}/v1/{bucket.now:%Y/%m/%d/%H/%M}.jsonl"
    capture(bucket, key, count, chance)
    batches: list[list[Inference]] = [[] for _ in range(SHARDS)]
    for index in range(count):
        made = Prediction(
            CLASSES[index % 2], 0.5, None, 1, bucket.now, Source(key, index, 0), 1, "d"
        )
        label = Label(CLASSES[index // 2 % 2], bucket.now, bucket.now + timedelta(seconds=30))
        name = f"{chance.getrandbits(128):032x}"
        inference = Inference(MODEL, name, 2, made, False, (label,), NOTHING_COUNTED)
        batches[index % SHARDS].append(inference)
    for batch in filter(None, batches):
        assert not count_labels(services, MODEL, batch)


def live_through(bucket: DiskS3, days: int, labels: int) -> None:
    from refit.usecases.compact_ledger import compact_ledgers

    services, chance = services_on(bucket, live=True), random.Random(1)
    compacting_s, requests = 0.0, Counter[str]()
    start_s = time.perf_counter()
    bucket.requests.clear()
    for minute in range(days * 1440):
        bucket.now = BEGIN + timedelta(minutes=minute)
        count = labels * (minute % 1440 + 1) // 1440 - labels * (minute % 1440) // 1440
        label_minute(services, bucket, count, chance)
        if minute % 60 == 59:
            written, bucket.requests = bucket.requests, Counter()
            began_s = time.perf_counter()
            compact_ledgers(services)
            compacting_s += time.perf_counter() - began_s
            requests, bucket.requests = requests + bucket.requests, written
    show(f"labels      {time.perf_counter() - start_s - compacting_s:8.1f} s   {bucket.taken()}")
    bucket.requests = requests
    show(f"compaction  {compacting_s:8.1f} s   {bucket.taken()}")


def plan(bucket: DiskS3) -> None:
    from refit.domain.naming import ModelKeys, RunKeys
    from refit.domain.pipeline.manifest import Drop
    from refit.usecases.retrain import slices_to_read

    services = services_on(bucket, live=True)
    manifest = services.artifacts.manifest(MODEL, CHAMPION)
    bucket.requests.clear()
    started_s = time.perf_counter()
    slices = slices_to_read(services, MODEL, manifest.slices)
    drop = Drop(
        model=MODEL, run=RETRAINING, cause="drift", files=manifest.files, slices=slices
    ).model_dump(mode="json")
    services.bucket.put_json(RunKeys(MODEL, RETRAINING).drop, drop)
    seconds = time.perf_counter() - started_s
    size = bucket.objects[RunKeys(MODEL, RETRAINING).drop]["Size"]
    show(f"planning    {seconds:8.1f} s   {bucket.taken()}; {peak_mb():.0f} MB")
    show(f"            {len(slices):,} objects in a drop.json of {size / 1e6:.2f} MB")
    single = sum(key.startswith(ModelKeys(MODEL).labelled_slices) for key in bucket.objects)
    show(f"            without compaction: {single:,} slices, {single // 1000 + 1:,} lists")


def prepare(bucket: DiskS3) -> None:
    from refit.usecases.prepare_data import prepare_data

    services = services_on(bucket, live=True)
    started_s, cpu_s = time.perf_counter(), time.process_time()
    prepare_data(services, MODEL, RETRAINING)
    seconds, cpu_s = time.perf_counter() - started_s, time.process_time() - cpu_s
    manifest = services.artifacts.manifest(MODEL, RETRAINING)
    show(f"preparation {seconds:8.1f} s   {bucket.taken()}; {peak_mb():.0f} MB")
    rows = sum(manifest.rows.model_dump().values())
    show(f"            {cpu_s:.1f} s of CPU time; {rows:,} rows")
    show(f"            labelled rows: {manifest.labelled.total:,}; lost: {manifest.lost() or 0}")


def show(line: str) -> None:
    print(line, file=sys.__stdout__, flush=True)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB_PER_UNIT / 1024


def in_own_process(step: Any, folder: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=run_step, args=(step, folder))
    process.start()
    process.join()
    assert process.exitcode == 0


def run_step(step: Any, folder: Path) -> None:
    bucket = DiskS3.load(folder)
    bucket.now = max(entry["LastModified"] for entry in bucket.objects.values())
    with redirect_stdout(io.StringIO()):
        step(bucket)
    bucket.save()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--labels", type=int, default=100_000, help="labels of a day")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, redirect_stdout(io.StringIO()):
        bucket = DiskS3(Path(name))
        prepare_champion(bucket)
        live_through(bucket, options.days, options.labels)
        bucket.save()
        in_own_process(plan, Path(name))
        in_own_process(prepare, Path(name))


if __name__ == "__main__":
    main()
