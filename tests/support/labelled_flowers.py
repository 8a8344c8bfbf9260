"""Model `flowers`, labels sent to the API, and the stored and published results."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from boto3.dynamodb.conditions import Attr
from refit.domain.moments import iso, utc_now
from refit.domain.schema import Feature, Schema
from refit.handlers import record_ground_truth
from refit.handlers.wiring import services
from refit.stores.inference_items import inference_of

from tests.support.aws_stack import CONTEXT, Stack
from tests.support.events import sample
from tests.support.stores import do_not_wait, inference_item, label_counters_item
from tests.support.versions import promote_version, register_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from refit.domain.inferences.inference import Inference

WIDTH = (Feature(name="width", type="number"),)
CLASSES = {3: ("iris", "rose"), 4: ("iris", "rose", "tulip")}
HELD_S, MAX_AGE_S = 3600, 90_000
DAY = timedelta(days=1)
FIRST, SECOND = "0f8fad5bd9cb469fa165708677289501-0", "0f8fad5bd9cb469fa165708677289501-1"


def now() -> datetime:
    return utc_now()


def ago(seconds: float) -> str:
    return iso(now() - timedelta(seconds=seconds))


def predicted(inference_id: str, version: int = 4, rows: int = 1, ambiguous: bool = False) -> None:
    """Write a captured prediction, which joins held labels."""
    table = services().inference_table
    key = {"id": f"flowers#{inference_id}"}
    known = table.get(key)
    values: dict[str, Any] = {
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
        "seq": (int(known["seq"]) if known else 1) + ambiguous,
    }
    values |= {"ambiguous": True} if ambiguous else {}
    unchanged = Attr("seq").eq(known["seq"]) if known else Attr("id").not_exists()
    removed = ["held_model", "held_until"]
    assert table.apply(table.update_request(key, set=values, remove=removed, condition=unchanged))


def item(inference_id: str) -> dict[str, Any]:
    return inference_item(services(), "flowers", inference_id)


def inference(inference_id: str) -> Inference:
    return inference_of(item(inference_id))


def holds(inference_id: str) -> str | None:
    label = inference(inference_id).label
    return label.label if label else None


def counters() -> dict[str, Any]:
    values = label_counters_item(services(), "flowers")
    return {name: value for name, value in values.items() if value}


def counted() -> dict[str, Any]:
    return {name: value for name, value in counters().items() if name != "last_label_at"}


def post(*records: dict[str, Any], **changes: Any) -> tuple[int, Any]:
    event = sample("record_ground_truth") | changes
    if records:
        event["body"] = json.dumps({"labels": records})
    response = record_ground_truth.handler(event, CONTEXT)
    assert response["headers"]["Content-Type"] == "application/json"
    return response["statusCode"], json.loads(response["body"])


def statuses_of(*records: dict[str, Any]) -> list[str]:
    """Post records; return the status of each."""
    status, body = post(*records)
    assert status == 202, body
    return [result["status"] for result in body["results"]]


def record(inference_id: str, label: Any, seconds_ago: float | None = None) -> dict[str, Any]:
    at = {} if seconds_ago is None else {"observedAt": ago(seconds_ago)}
    return {"inferenceId": inference_id, "label": label, **at}


def published(printed: str) -> list[tuple[str, float]]:
    """Return the metrics of model flowers in the lines of the log."""
    found = []
    for line in printed.splitlines():
        entry = json.loads(line)
        for directive in entry.get("_aws", {}).get("CloudWatchMetrics", []):
            assert entry["Model"] == "flowers"
            metrics = directive["Metrics"]
            found += [(metric["Name"], entry[metric["Name"]][0]) for metric in metrics]
    return sorted(found)


def quarantined(stack: Stack) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for key in stack.keys("flowers/quarantine/ground-truth/")
        for line in services().bucket.read(key).splitlines()
    ]


def rejections_published(stack: Stack) -> list[dict[str, Any]]:
    events = stack.messages(stack.bus_queue)
    return [event["detail"] for event in events if event["detail-type"] == "Ground Truth Rejected"]


@contextmanager
def meanwhile(act: Callable[[], object], times: int = 1) -> Iterator[None]:
    """Call a function before the next transactions are written, after their items were read."""
    remaining = [times]

    def before(**_: Any) -> None:
        if remaining[0]:
            remaining[0] -= 1
            act()

    events = services().client("dynamodb").meta.events
    events.register("before-call.dynamodb.TransactWriteItems", before)
    try:
        yield
    finally:
        events.unregister("before-call.dynamodb.TransactWriteItems", before)
    assert remaining == [0]


@pytest.fixture
def flowers(stack: Stack) -> None:
    """Model `flowers`: version 4 is live; version 3, with one class less, was live before."""
    monitoring = {
        "label_age_s": 1,
        "cohort_s": 1,
        "held_label_s": HELD_S,
        "max_label_age_s": MAX_AGE_S,
    }
    for version, classes in CLASSES.items():
        schema = Schema(task="classification", label="kind", features=WIDTH, classes=classes)
        run = register_version("flowers", version, schema, monitoring=monitoring)
    promote_version("flowers", 4, run)
    do_not_wait(services())
