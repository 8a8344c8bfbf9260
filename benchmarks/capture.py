"""Measure the ingestion of a capture file: records per second, time and memory of the handler.

    .venv/bin/python benchmarks/capture.py                     100,000 records of 64 features
    .venv/bin/python benchmarks/capture.py --records 10000 --features 784
    .venv/bin/python benchmarks/capture.py --records 1000000 --features 2 --rows-per-event 500 \
        --skip-stack                                           the most rows of a 64 MB file

Each measurement runs in its own process on one processor, because a Lambda function with 1,769 MB
has one vCPU:
    parsing    parses the lines of the file into rows
    stand-in   runs the handler with a stub of DynamoDB transactions, which responds after
               --transaction-ms. This is the cost of the handler itself.
    stack      runs the handler with the local stack, whose tables are in one Python process
`again` is a second delivery of the same file, whose predictions are already known.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

KIB_PER_UNIT = 1 if sys.platform != "darwin" else 1 / 1024
KEY = "digits/capture/refit-digits/v1/2026/11/20/12/00-05-120-0d4c7f52.jsonl"
CLASSES = tuple(str(digit) for digit in range(10))
TIMEOUT_S, MEMORY_MB = 900, 1769


def lines(records: int, features: int, rows_per_event: int) -> Iterator[bytes]:
    from refit.domain.inferences.capture_writer import EndpointCall, capture_line

    chance = np.random.default_rng(1)
    at = datetime.now(UTC) - timedelta(minutes=5)
    for first in range(0, records, rows_per_event):
        rows = min(rows_per_event, records - first)
        inputs = chance.normal(size=(rows, features))
        asked = "\n".join(",".join(f"{value:.6g}" for value in row) for row in inputs)
        shares = chance.dirichlet([0.3] * len(CLASSES), rows).astype(np.float32)
        answered = "".join(",".join(map(str, map(float, row))) + "\n" for row in shares)
        call = f"{first:032x}"
        made = EndpointCall(call, rows, asked.encode(), answered.encode(), "text/csv", "v1", at)
        yield capture_line("digits", "refit-digits", made)


def schema(features: int) -> Any:
    from refit.domain.schema import Feature, Schema

    columns = tuple(Feature(name=f"f{number}", type="number") for number in range(features))
    return Schema(task="classification", label="label", features=columns, classes=CLASSES)


@contextmanager
def local_stack(folder: Path) -> Iterator[dict[str, str]]:
    """Start a local stack; yield the environment variables that select it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = {
        "AWS_ACCESS_KEY_ID": f"AKIA{secrets.token_hex(8).upper()}",
        "AWS_SECRET_ACCESS_KEY": secrets.token_urlsafe(30),
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    command = [sys.executable, "-m", "refit_local.stack.server", "--port", str(port)]
    with (folder / "stack.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--state", str(folder), "--region", "us-east-1"],
            env=os.environ | environment,
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with socket.socket() as probe:
                if not probe.connect_ex(("127.0.0.1", port)):
                    break
            time.sleep(0.1)
        yield environment | {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "BUCKET": "captures",
            "MODEL_TABLE": "models",
            "INFERENCE_TABLE": "inferences",
            "POWERTOOLS_LOG_LEVEL": "WARNING",
            "POWERTOOLS_METRICS_DISABLED": "true",
        }
    finally:
        server.terminate()
        server.wait(30)


def prepare(records: int, features: int, rows_per_event: int) -> int:
    """Create the tables and the bucket, and put the capture file and the artifacts of the run."""
    import boto3
    from refit.domain.naming import RunKeys
    from refit.handlers.wiring import services

    boto3.client("s3").create_bucket(Bucket="captures")
    versioning = {"Status": "Enabled"}
    boto3.client("s3").put_bucket_versioning(Bucket="captures", VersioningConfiguration=versioning)
    for table, keys in {"models": ["pk", "sk"], "inferences": ["id"]}.items():
        boto3.client("dynamodb").create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            KeySchema=[
                {"AttributeName": key, "KeyType": kind}
                for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
            ],
        )
    keys = RunKeys("digits", "run1")
    edges = np.linspace(-2, 2, 31).tolist()
    histogram = {"edges": edges, "counts": [100] * 32}
    column = {"type": "number", "min": -4.0, "max": 4.0, "histogram": histogram}
    columns = [{"name": f"f{number}", **column} for number in range(features)]
    baseline = {"task": "classification", "rows_of": "new", "rows": 1, "errors": 0, "quality": {}}
    rows = {"train": 1, "validation": 0, "test": 1, "quarantined": 0}
    manifest = {"model": "digits", "run": keys.run, "cause": "drop", "files": [], "settings": {}}
    bucket = services().bucket
    bucket.put_json(keys.profile, {"sampled_rows": 3200, "columns": columns})
    bucket.put_json(keys.schema, schema(features).as_json())
    bucket.put_json(keys.baseline, baseline)
    bucket.put_json(keys.manifest, manifest | {"rows": rows, "created_at": None})
    services().models.record_version("digits", 1, keys.run, "arn")
    content = b"".join(lines(records, features, rows_per_event))
    bucket.put(KEY, content)
    return len(content)


def parsing(records: int, features: int, rows_per_event: int, _: float) -> list[float]:
    from refit.domain.inferences.capture_reader import read_event
    from refit.domain.inferences.captured_rows import captured_rows

    known = schema(features)
    with tempfile.TemporaryFile() as file:
        file.writelines(lines(records, features, rows_per_event))
        file.seek(0)
        start_s = time.perf_counter()
        for number, line in enumerate(file):
            for _row in captured_rows(read_event(line), KEY, number, 1, known, None):
                pass
        return [time.perf_counter() - start_s]


def stand_in(_records: int, _features: int, _rows: int, transaction_ms: float) -> list[float]:
    from refit.handlers.wiring import services

    def answer(**_: Any) -> tuple[Any, dict[str, Any]]:
        time.sleep(transaction_ms / 1000)
        return SimpleNamespace(status_code=200), {}

    events = services().client("dynamodb").meta.events
    events.register("before-call.dynamodb.TransactWriteItems", answer)
    return [handled_s()]


def on_the_stack(*_: float) -> list[float]:
    return [handled_s(), handled_s()]


def handled_s() -> float:
    from refit.handlers import ingest_captures

    body = json.dumps({"detail": {"object": {"key": KEY, "size": 1}}})
    record = {"messageId": "1", "body": body, "eventSource": "aws:sqs"}
    context: Any = SimpleNamespace(
        function_name="capture",
        memory_limit_in_mb=MEMORY_MB,
        invoked_function_arn="arn",
        aws_request_id="1",
    )
    start_s = time.perf_counter()
    answer = ingest_captures.handler({"Records": [record]}, context)
    if answer["batchItemFailures"]:
        raise SystemExit("the file was not ingested; see the log for the reason")
    return time.perf_counter() - start_s


def measured(function: Any, *given: Any) -> dict[str, Any]:
    """Run a function in its own process on one processor."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        figures: dict[str, Any] = pool.apply(_measure, (function.__name__, given))
    return figures


def _measure(name: str, given: tuple[Any, ...]) -> dict[str, Any]:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    start_s = time.process_time()
    seconds = globals()[name](*given)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB_PER_UNIT / 1024
    return {"seconds": seconds, "cpu_s": time.process_time() - start_s, "peak_mb": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument("--rows-per-event", type=int, default=1)
    parser.add_argument("--transaction-ms", type=float, default=50)
    parser.add_argument("--skip-stack", action="store_true")
    options = parser.parse_args()
    file = (options.records, options.features, options.rows_per_event)
    work = (*file, options.transaction_ms)
    functions = {"parsing": parsing, "stand-in": stand_in, "stack": on_the_stack}
    if options.skip_stack:
        del functions["stack"]
    with tempfile.TemporaryDirectory() as folder, local_stack(Path(folder)) as environment:
        os.environ |= environment
        size_bytes = multiprocessing.get_context("spawn").Pool(1).apply(prepare, file)
        megabytes = size_bytes / 1e6
        print(f"{options.records:,} records of {options.features} features, {megabytes:.0f} MB")
        print(f"{'':10} {'s':>8} {'records/s':>10} {'CPU s':>7} {'peak MB':>8}")
        for name, function in functions.items():
            figures = measured(function, *work)
            for what, seconds in zip((name, "again"), figures["seconds"], strict=False):
                rate = options.records / seconds
                usage = f"{figures['cpu_s']:7.1f} {figures['peak_mb']:8.0f}" if what == name else ""
                print(f"{what:10} {seconds:8.1f} {rate:10,.0f} {usage}", flush=True)
                if seconds >= TIMEOUT_S or figures["peak_mb"] >= MEMORY_MB:
                    print(f"{what} exceeds the limits of {TIMEOUT_S} s and {MEMORY_MB} MB")


if __name__ == "__main__":
    main()
