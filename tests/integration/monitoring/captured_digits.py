"""Model `digits`, capture files of its answers, and what is stored and told of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import numpy as np
import pytest
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError
from boto3.dynamodb.types import TypeDeserializer
from refit.domain.inferences.capture_line import Invocation, capture_line
from refit.domain.inferences.ground_truth import Change, Outcome, Status
from refit.domain.inferences.inference import NOTHING_COUNTED, Inference, Label
from refit.domain.monitoring.input_counts import InputCounter, InputCounts, columns_of, merged
from refit.handlers import ingest_captures as capture
from refit.stores import cohorts, labels

from tests.integration.monitoring.live_model import BASELINE, PROFILE, go_live
from tests.support.aws_stack import CONTEXT, REGION, Stack
from tests.support.events import sample

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = datetime.now(UTC).replace(microsecond=0)
AT = NOW - timedelta(minutes=10)
FOLDER = "digits/capture/refit-digits/v1/2026/11/20/12/"
SETTINGS = {"monitoring": {"cohort_s": 86_400 * 7, "label_age_s": 60}}


def line(
    call: str, asked: str = "0.5", answered: str = "0.25", at: datetime = AT, variant: str = "v1"
) -> bytes:
    made = Invocation(call, asked.encode(), answered.encode(), "text/csv", variant, at)
    return capture_line("digits", "refit-digits", made)


def delivered(*keys: str) -> list[str]:
    """Hand messages over; return the ids of those that failed."""
    (record,) = sample("ingest_captures")["Records"]
    body = json.loads(record["body"])
    records = []
    for key in keys:
        body["detail"]["object"] = {"key": key, "size": 1}
        records.append(record | {"messageId": key, "body": json.dumps(body)})
    try:
        answer = capture.handler({"Records": records}, CONTEXT)
    except BatchProcessingError:
        return list(keys)
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def captured(stack: Stack, *lines: bytes, name: str = "a.jsonl", folder: str = FOLDER) -> None:
    stack.put(folder + name, b"".join(lines))
    assert delivered(folder + name) == []


def items(stack: Stack) -> dict[str, dict[str, Any]]:
    read = TypeDeserializer().deserialize
    pages = boto3.client("dynamodb", REGION).get_paginator("scan")
    found: dict[str, dict[str, Any]] = {}
    for page in pages.paginate(TableName=stack.inference_table):
        for item in page["Items"]:
            found[item["id"]["S"]] = {name: read(value) for name, value in item.items()}
    return found


def counters(stack: Stack) -> dict[str, Any]:
    answer = boto3.client("dynamodb", REGION).get_item(
        TableName=stack.table, Key={"pk": {"S": "MODEL#digits"}, "sk": {"S": "LABELS"}}
    )
    read = TypeDeserializer().deserialize
    return {name: read(value) for name, value in answer.get("Item", {}).items()}


def predictions() -> list[int]:
    return [cohort.predictions for cohort in cohorts.load("digits", 1)]


def quarantined(stack: Stack, folder: str = "capture") -> list[dict[str, Any]]:
    s3 = boto3.client("s3", REGION)
    return [
        json.loads(entry)
        for key in stack.keys(f"digits/quarantine/{folder}/")
        for entry in s3.get_object(Bucket=stack.bucket, Key=key)["Body"].read().splitlines()
    ]


def input_counts(stack: Stack) -> InputCounts:
    s3 = boto3.client("s3", REGION)
    parts = [
        InputCounts.from_bytes(s3.get_object(Bucket=stack.bucket, Key=key)["Body"].read())
        for key in stack.keys("digits/monitoring/v1/")
    ]
    found = merged(parts)
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


def label(inference_id: str, text: str = "dog", of: int | None = None) -> None:
    """Let a label come for an inference of which nothing is known."""
    said = Label(text, NOW, NOW, of)
    after = Inference("digits", inference_id, 1, None, False, (said,), NOTHING_COUNTED)
    change = Change(inference_id, None, after, (Outcome(Status.HELD),))
    _, lost = labels.write("digits", [change], timedelta(days=1))
    assert lost == []


def published(printed: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for entry in map(json.loads, printed.splitlines()):
        for directive in entry.get("_aws", {}).get("CloudWatchMetrics", []):
            assert entry["Model"] == "digits"
            found |= {metric["Name"]: entry[metric["Name"]][0] for metric in directive["Metrics"]}
    return found


@pytest.fixture
def digits(stack: Stack) -> Stack:
    """Model `digits`, whose version 1 reads one number and answers cat or dog."""
    go_live(1, SETTINGS)
    return stack
