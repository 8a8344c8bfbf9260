"""Versions of a model and their traffic: predictions and labels, written as in production.

Everything that is written is also recorded twice: as records of the table's stream, and as a simple
list of events (`Story`), from which tests compute the expected results.
"""

from __future__ import annotations

import base64
import json
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from refit.domain.inferences.captured_rows import CapturedRow
from refit.domain.inferences.cohort_key import CohortKey
from refit.domain.inferences.inference import Label, Prediction, Source
from refit.domain.inferences.label_change import label_change
from refit.domain.inferences.label_outcome import LabelStatus
from refit.domain.inferences.label_records import Observation, Receipt
from refit.domain.inferences.prediction_change import PredictionEffect, prediction_change
from refit.domain.naming import ModelKeys
from refit.handlers.wiring import services
from refit.stores.inferences import CaptureTarget

from tests.support.versions import plain_baseline, register_version

if TYPE_CHECKING:
    from refit.domain.schema import Schema

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def add_version(
    model: str, version: int, schema: Schema, error_bound: float | None = None, **monitoring: int
) -> None:
    """Register a version, with the artifacts of its run that counting requires."""
    baseline = plain_baseline(schema, error_bound)
    register_version(model, version, schema, baseline, monitoring)


def prediction(
    text: str,
    version: int = 1,
    probabilities: list[float] | None = None,
    at: datetime = NOON,
    digest: str = "d",
) -> Prediction:
    packed = struct.pack(f"<{len(probabilities)}f", *probabilities) if probabilities else None
    return Prediction(
        text=text,
        confidence=max(probabilities) if probabilities else None,
        probabilities=packed,
        version=version,
        at=at,
        source=Source("zoo/capture/refit-zoo/v1/2026/11/20/12/a.jsonl", 0, 0),
        rows=1,
        digest=digest,
    )


@dataclass
class Story:
    """The events of one inference, in order."""

    prediction: Prediction | None = None
    ambiguous: bool = False
    labels: list[Label] = field(default_factory=list)


@dataclass
class Traffic:
    """The inferences of one model, the records of their stream, and their stories."""

    model: str
    schema: Schema
    cohort_s: dict[int, int]
    stories: dict[str, Story] = field(default_factory=dict)
    stream: list[dict[str, Any]] = field(default_factory=list)
    _images: dict[str, dict[str, Any]] = field(default_factory=dict)

    def predict(self, inference_id: str, made: Prediction) -> None:
        """Write a prediction as if it were read from a capture file."""
        row = CapturedRow(inference_id, made, [], 0.0)
        store = services().inferences
        change = prediction_change(row, store.load(self.model, [inference_id]).get(inference_id))
        cohort = CohortKey.at(self.model, made.version, made.at, self.cohort_s[made.version])
        if change.effect is not PredictionEffect.NOTHING:
            store.write_predictions([change], CaptureTarget(cohort, 7, timedelta(days=90)))
        story = self.stories.setdefault(inference_id, Story())
        if story.prediction is None:
            story.prediction = made
        elif story.prediction.digest != made.digest:
            story.ambiguous = True
        self.observe(inference_id)

    def label(self, inference_id: str, label: Label) -> None:
        """Write a label as if the API received it; a rejected label is not part of the story."""
        receipt = Receipt(self.model, label.received_at, label.received_at, timedelta(days=365))
        observation = Observation(inference_id, label.label, label.observed_at, None, None)
        known = services().labels.load(self.model, [inference_id])
        change = label_change([observation], known, self.schema, receipt)
        services().labels.write(self.model, [change], timedelta(days=7))
        if change.outcomes[0].status is not LabelStatus.REJECTED:
            self.stories.setdefault(inference_id, Story()).labels.append(label)
        self.observe(inference_id)

    def observe(self, *inference_ids: str) -> None:
        """Add a record to the stream for each of these inferences that has changed."""
        for inference_id in inference_ids:
            item = self.item(inference_id)
            if item and self._images.get(inference_id) != item:
                self._images[inference_id] = item
                self.stream.append(record(item, len(self.stream)))

    def item(self, inference_id: str) -> dict[str, Any]:
        """Return the item of an inference in wire format."""
        table = services().inference_table
        key = {"id": {"S": f"{self.model}#{inference_id}"}}
        answer = table.client.get_item(TableName=table.name, Key=key)
        item: dict[str, Any] = answer.get("Item", {})
        return item

    def deliverable(self) -> list[dict[str, Any]]:
        """Return the records that match the event filter of the template."""
        return [
            entry
            for entry in self.stream
            if {"uncounted", "digest"} <= entry["dynamodb"]["NewImage"].keys()
        ]

    def ledger(self) -> list[bytes]:
        bucket = services().bucket
        return [
            line
            for entry in bucket.list(ModelKeys(self.model).labelled)
            for line in bucket.read(entry.key).splitlines()
        ]


def record(item: dict[str, Any], number: int) -> dict[str, Any]:
    """Return the stream record of an item as Lambda receives it."""
    image = {
        name: {"B": base64.b64encode(value["B"]).decode()} if "B" in value else value
        for name, value in item.items()
    }
    entry: dict[str, Any] = json.loads(
        json.dumps(
            {
                "eventID": f"{number:032x}",
                "eventName": "MODIFY",
                "eventSource": "aws:dynamodb",
                "dynamodb": {
                    "Keys": {"id": item["id"]},
                    "NewImage": image,
                    "SequenceNumber": f"{number:021d}",
                    "StreamViewType": "NEW_IMAGE",
                },
            }
        )
    )
    return entry


def observed_label(
    text: str, at: datetime = NOON, observed_s: float = 0, received_s: float = 60
) -> Label:
    """Return a label whose times are given in seconds after `at`."""
    return Label(text, at + timedelta(seconds=observed_s), at + timedelta(seconds=received_s))
