"""Model `flowers`, labels for it over the API, and what is stored and told of them."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from refit.domain.inferences.inference import Inference, item_id
from refit.domain.schema import Feature, Schema
from refit.environment import environment
from refit.handlers import record_ground_truth
from refit.stores import clients, store
from refit.stores import run_artifacts as versions

from tests.integration.monitoring.traffic import add_version
from tests.support.aws_stack import CONTEXT, Stack
from tests.support.events import sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WIDTH = (Feature(name="width", type="number"),)
CLASSES = {3: ("iris", "rose"), 4: ("iris", "rose", "tulip")}
HELD_S, MAX_AGE_S = 3600, 90_000
DAY = timedelta(days=1)
FIRST, SECOND = "0f8fad5bd9cb469fa165708677289501-0", "0f8fad5bd9cb469fa165708677289501-1"


def now() -> datetime:
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def ago(seconds: float) -> str:
    return (now() - timedelta(seconds=seconds)).isoformat()


def promoted(version: int) -> None:
    store.promote(
        "flowers",
        store.Champion(
            version=version,
            run=f"run{version}",
            package_arn=f"arn:package/{version}",
            endpoint="refit-flowers",
            endpoint_config=f"refit-flowers-v{version}-01234567",
            variant=f"v{version}",
            promoted_at=store.now(),
        ),
    )
    versions.forget()


def predicted(inference_id: str, version: int = 4, rows: int = 1, ambiguous: bool = False) -> None:
    """Let a capture come, as it is written: it joins a label that is held."""
    values = {
        "model": "flowers",
        "inference_id": inference_id,
        "digest": "d",
        "prediction": "iris",
        "version": version,
        "predicted_at": ago(60),
        "source_key": "flowers/capture/a.jsonl",
        "source_line": 0,
        "source_row": 0,
        "rows": rows,
        "expires_at": 1,
    }
    values |= {"ambiguous": True} if ambiguous else {}
    clients.client("dynamodb").update_item(
        TableName=environment().inference_table,
        Key={"id": {"S": item_id("flowers", inference_id)}},
        UpdateExpression="SET "
        + ", ".join(f"#{name} = :{name}" for name in values)
        + ", seq = if_not_exists(seq, :none) + :more REMOVE held_model, held_until",
        ExpressionAttributeNames={f"#{name}": name for name in values},
        ExpressionAttributeValues={
            f":{name}": TypeSerializer().serialize(value)
            for name, value in (values | {"none": 1, "more": int(ambiguous)}).items()
        },
    )


def item(inference_id: str) -> dict[str, Any]:
    found = clients.client("dynamodb").get_item(
        TableName=environment().inference_table,
        Key={"id": {"S": item_id("flowers", inference_id)}},
    )
    read = TypeDeserializer().deserialize
    return {name: read(value) for name, value in found.get("Item", {}).items()}


def inference(inference_id: str) -> Inference:
    return Inference.from_item(item(inference_id))


def holds(inference_id: str) -> str | None:
    label = inference(inference_id).label
    return label.label if label else None


def counters() -> dict[str, Any]:
    found = clients.client("dynamodb").get_item(
        TableName=environment().model_table,
        Key={"pk": {"S": "MODEL#flowers"}, "sk": {"S": "LABELS"}},
    )
    read = TypeDeserializer().deserialize
    values = {name: read(value) for name, value in found.get("Item", {}).items()}
    return {name: value for name, value in values.items() if name not in ("pk", "sk") and value}


def counted() -> dict[str, Any]:
    return {name: value for name, value in counters().items() if name != "last_label_at"}


def post(*records: dict[str, Any], **changes: Any) -> tuple[int, Any]:
    event = sample("record_ground_truth") | changes
    if records:
        event["body"] = json.dumps({"labels": records})
    response = record_ground_truth.handler(event, CONTEXT)
    assert response["headers"]["Content-Type"] == "application/json"
    return response["statusCode"], json.loads(response["body"])


def told(*records: dict[str, Any]) -> list[str]:
    status, body = post(*records)
    assert status == 202, body
    return [result["status"] for result in body["results"]]


def record(inference_id: str, label: Any, seconds_ago: float | None = None) -> dict[str, Any]:
    at = {} if seconds_ago is None else {"observedAt": ago(seconds_ago)}
    return {"inferenceId": inference_id, "label": label, **at}


def published(printed: str) -> list[tuple[str, float]]:
    """The metrics of model flowers, one for each line of the log that has one."""
    found = []
    for line in printed.splitlines():
        entry = json.loads(line)
        for directive in entry.get("_aws", {}).get("CloudWatchMetrics", []):
            assert entry["Model"] == "flowers"
            found += [(it["Name"], entry[it["Name"]][0]) for it in directive["Metrics"]]
    return sorted(found)


def quarantined(stack: Stack) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for key in stack.keys("flowers/quarantine/ground-truth/"):
        body = boto3.client("s3").get_object(Bucket=stack.bucket, Key=key)["Body"].read()
        lines += [json.loads(line) for line in body.splitlines()]
    return lines


def rejections_told(stack: Stack) -> list[dict[str, Any]]:
    events = stack.messages(stack.bus_queue)
    return [it["detail"] for it in events if it["detail-type"] == "Ground Truth Rejected"]


@contextmanager
def meanwhile(act: Callable[[], object], times: int = 1) -> Iterator[None]:
    """Let something happen between the reading and the writing of a transaction."""
    left = [times]

    def before(**_: Any) -> None:
        if left[0]:
            left[0] -= 1
            act()

    events = clients.client("dynamodb").meta.events
    events.register("before-call.dynamodb.TransactWriteItems", before)
    try:
        yield
    finally:
        events.unregister("before-call.dynamodb.TransactWriteItems", before)
    assert left == [0]


@pytest.fixture
def flowers(stack: Stack) -> None:
    """Model `flowers`: version 4 is live, and version 3, which knows a class less, was."""
    for version, classes in CLASSES.items():
        schema = Schema(task="classification", label="kind", features=WIDTH, classes=classes)
        watched = {"held_label_s": HELD_S, "max_label_age_s": MAX_AGE_S}
        add_version("flowers", version, schema, label_age_s=1, cohort_s=1, **watched)
    promoted(4)
