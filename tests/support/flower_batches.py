"""Batches of the model `flowers`, from the dropped file to its result."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from refit.domain.naming import BatchKeys
from refit.domain.schema import Schema
from refit.handlers import finish_batch, prepare_batch, start_batch

from tests.support.aws_stack import CONTEXT, Stack
from tests.support.events import sample
from tests.support.versions import promote_version, register_version

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS = [
    {"name": "width", "type": "number"},
    {"name": "colour", "type": "category", "values": ["blue", "red"]},
]
CLASSES = ["iris", "rose", "tulip"]
FILE = b"id,width,colour\na7,1.5,red\nb8,2.5,blue\nc9,,green\n"


def schema(classes: list[str] | None = CLASSES) -> Schema:
    return Schema.model_validate(
        {
            "task": "classification" if classes else "regression",
            "label": "kind",
            "features": COLUMNS,
            "classes": classes,
            "columns": ["id", "width", "colour"],
            "left_out": {"id": "row ids, another in each row"},
        }
    )


def make_live(classes: list[str] | None = CLASSES, **monitoring: Any) -> None:
    width = {"name": "width", "type": "number", "min": None}
    colour = {"name": "colour", "type": "category", "counts": {"blue": 1, "red": 2}}
    profile = {"sampled_rows": 3, "columns": [width, colour]}
    run = register_version("flowers", 3, schema(classes), monitoring=monitoring, profile=profile)
    promote_version("flowers", 3, run)


def drop(stack: Stack, body: bytes = FILE, name: str = "january.csv") -> str:
    """Put a file, and deliver its event; return the id of its batch."""
    version = stack.put(f"flowers/batch/in/{name}", body)
    deliver(f"flowers/batch/in/{name}", version)
    return stack.services.batches.of_model("flowers")[0].batch


def deliver(key: str, version: str) -> None:
    event = sample("start_batch")
    message = json.loads(event["Records"][0]["body"])
    message["detail"]["object"] |= {"key": key, "version-id": version}
    event["Records"][0]["body"] = json.dumps(message)
    assert start_batch.handler(event, CONTEXT) == {"batchItemFailures": []}


def prepare(batch: str) -> dict[str, Any]:
    return prepare_batch.handler({"model": "flowers", "batch": batch}, CONTEXT)


def transform(stack: Stack, batch: str, answers: Sequence[str]) -> None:
    """Write what the container answers, for each part as many lines as it has rows."""
    keys, lines = BatchKeys("flowers", batch), iter(answers)
    for number, _ in enumerate(stack.keys(keys.input)):
        rows = stack.read(keys.part(number)).count(b"\n")
        stack.put(keys.part_output(number), "".join(f"{next(lines)}\n" for _ in range(rows)))


def finish(batch: str) -> dict[str, Any]:
    event = {"model": "flowers", "batch": batch, "job": "refit-flowers-batch-0"}
    return finish_batch.handler(event, CONTEXT)


def predict(stack: Stack, answers: Sequence[str], body: bytes = FILE) -> list[dict[str, str]]:
    """Predict a file; return the rows of its result."""
    batch = drop(stack, body)
    prepare(batch)
    transform(stack, batch, answers)
    finish(batch)
    return rows_of(stack.read("flowers/batch/out/january.csv"))


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


THREE = ["[0.5, 0.25, 0.25]", "[0.125, 0.75, 0.125]", "[0.25, 0.25, 0.5]"]
