"""Model `digits`, capture files of its predictions, and the stored and published results."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import numpy as np
import pytest
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError
from refit.domain.inferences.capture_writer import EndpointCall, capture_line
from refit.domain.inferences.inference import NOTHING_COUNTED, Inference, Label
from refit.domain.inferences.label_change import LabelChange
from refit.domain.inferences.label_outcome import LabelOutcome, LabelStatus
from refit.domain.monitoring.baseline import Baseline, ClassBaseline
from refit.domain.monitoring.input_counts import InputCounter, InputCounts, columns_of, merged
from refit.domain.schema import Feature, Schema
from refit.handlers import ingest_captures
from refit.handlers.wiring import services

from tests.support.aws_stack import CONTEXT, REGION, Stack
from tests.support.events import sample
from tests.support.stores import do_not_wait, label_counters_item
from tests.support.versions import promote_version, register_version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NOW = datetime.now(UTC).replace(microsecond=0)
AT = NOW - timedelta(minutes=10)
FOLDER = "digits/capture/refit-digits/v1/2026/11/20/12/"
MONITORING = {"cohort_s": 86_400 * 7, "label_age_s": 60}
SCHEMA = Schema(
    task="classification",
    label="label",
    features=(Feature(name="f0", type="number"),),
    classes=("cat", "dog"),
)
BASELINE = Baseline(
    task="classification",
    rows_of="new",
    rows=2000,
    errors=100,
    classes={
        "cat": ClassBaseline(support=1000, missed=50),
        "dog": ClassBaseline(support=1000, missed=50),
    },
    quality={"accuracy": 0.95, "log_loss": 0.2},
    predicted={"cat": 1000, "dog": 1000},
)
PROFILE = {
    "sampled_rows": 3200,
    "columns": [
        {
            "name": "f0",
            "type": "number",
            "min": 0.0,
            "max": 1.0,
            "histogram": {
                "edges": [number / 32 for number in range(1, 32)],
                "counts": [100] * 32,
            },
        }
    ],
}


def add_digits(
    version: int,
    monitoring: Mapping[str, Any] = MONITORING,
    schema: Schema = SCHEMA,
    baseline: Baseline = BASELINE,
) -> None:
    """Make a version live that reads one number and predicts cat or dog."""
    run = register_version("digits", version, schema, baseline, monitoring, PROFILE)
    promote_version("digits", version, run)
    do_not_wait(services())


def line(
    call: str, asked: str = "0.5", answered: str = "0.25", at: datetime = AT, variant: str = "v1"
) -> bytes:
    rows = asked.count("\n") + 1
    made = EndpointCall(call, rows, asked.encode(), answered.encode(), "text/csv", variant, at)
    return capture_line("digits", "refit-digits", made)


def delivered(*keys: str) -> list[str]:
    """Deliver messages to the handler; return the ids of those that failed."""
    (record,) = sample("ingest_captures")["Records"]
    body = json.loads(record["body"])
    records = []
    for key in keys:
        body["detail"]["object"] = {"key": key, "size": 1}
        records.append(record | {"messageId": key, "body": json.dumps(body)})
    try:
        answer = ingest_captures.handler({"Records": records}, CONTEXT)
    except BatchProcessingError:
        return list(keys)
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def captured(stack: Stack, *lines: bytes, name: str = "a.jsonl", folder: str = FOLDER) -> None:
    stack.put(folder + name, b"".join(lines))
    assert delivered(folder + name) == []


def items(stack: Stack) -> dict[str, dict[str, Any]]:
    """Return all items of InferenceTable by their keys."""
    pages = boto3.client("dynamodb", REGION).get_paginator("scan")
    keys = [
        {"id": item["id"]["S"]}
        for page in pages.paginate(TableName=stack.inference_table)
        for item in page["Items"]
    ]
    return {item["id"]: item for item in services().inference_table.get_many(keys)}


def counters() -> dict[str, Any]:
    return label_counters_item(services(), "digits")


def predictions() -> list[int]:
    return [cohort.predictions for cohort in services().monitoring.cohorts("digits", 1)]


def quarantined(stack: Stack, folder: str = "capture") -> list[dict[str, Any]]:
    return [
        json.loads(entry)
        for key in stack.keys(f"digits/quarantine/{folder}/")
        for entry in services().bucket.read(key).splitlines()
    ]


def input_counts(stack: Stack) -> InputCounts:
    keys = stack.keys("digits/monitoring/v1/")
    found = merged([InputCounts.from_bytes(services().bucket.read(key)) for key in keys])
    assert found is not None
    return found


def counted_plainly(values: Sequence[float], p_dog: Sequence[float]) -> InputCounts:
    counter = InputCounter(columns_of(PROFILE, BASELINE))
    shares = np.array(p_dog)
    counter.add(
        np.array(values).reshape(-1, 1),
        (shares > 0.5).astype(np.float64),
        np.maximum(shares, 1 - shares),
    )
    return counter.counts()


def label(inference_id: str, text: str = "dog", event_size: int | None = None) -> None:
    """Record a label for an inference that is not known yet."""
    held = Label(text, NOW, NOW, event_size)
    after = Inference("digits", inference_id, 1, None, False, (held,), NOTHING_COUNTED)
    outcomes = (LabelOutcome(LabelStatus.HELD),)
    change = LabelChange(inference_id, None, after, outcomes)
    _, conflicted = services().labels.write("digits", [change], timedelta(days=1))
    assert conflicted == []


def published(printed: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for entry in map(json.loads, printed.splitlines()):
        for directive in entry.get("_aws", {}).get("CloudWatchMetrics", []):
            assert entry["Model"] == "digits"
            found |= {metric["Name"]: entry[metric["Name"]][0] for metric in directive["Metrics"]}
    return found


@pytest.fixture
def digits(stack: Stack) -> Stack:
    """Model `digits`, whose version 1 is live."""
    add_digits(1)
    return stack
