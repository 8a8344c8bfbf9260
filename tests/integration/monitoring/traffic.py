"""A model's versions and their traffic: predictions and labels, written as they are when live.

Whatever is written is remembered twice: as the stream's records, and plainly, as it happened.
"""

from __future__ import annotations

import base64
import json
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from refit.domain.inferences.arrival import Effect, arrival_of
from refit.domain.inferences.captured_rows import CapturedRow
from refit.domain.inferences.ground_truth import Status, change_of
from refit.domain.inferences.ground_truth_records import Observation, Receipt
from refit.domain.inferences.inference import Label, Prediction, Source, item_id
from refit.domain.inferences.tally import CohortKey, cohort_start
from refit.domain.model_settings import ModelSettings, MonitoringSettings
from refit.domain.naming import ModelKeys, RunKeys
from refit.domain.pipeline.manifest import Manifest, SideRows
from refit.environment import environment
from refit.handlers import count_labels as compare
from refit.stores import inferences, labels, s3, store
from refit.stores import run_artifacts as versions
from refit.stores.clients import client
from refit.usecases import check_drift as watching
from refit.usecases import ingest_captures as consuming

if TYPE_CHECKING:
    from refit.domain.schema import Schema

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def add_version(
    model: str,
    version: int,
    schema: Schema,
    error_bound: float | None = None,
    **monitoring: int,
) -> None:
    """Register a version, with what its run left behind."""
    keys = RunKeys(model, f"run{version}")
    s3.put_json(keys.schema, schema.as_json())
    settings_of_run = ModelSettings(monitoring=MonitoringSettings(**monitoring))
    made = Manifest(
        model=model,
        run=keys.run,
        cause="drop",
        files=(),
        settings=settings_of_run,
        rows=SideRows(train=1, validation=0, test=1, quarantined=0),
        created_at=None,
    )
    s3.put_json(keys.manifest, made.model_dump(mode="json"))
    s3.put_json(keys.baseline, {"task": schema.task, "error_bound": error_bound})
    store.record_version(model, version, keys.run, "arn:aws:sagemaker:…")
    forget_versions()


def forget_versions() -> None:
    """Have what is remembered of versions read anew: outside of tests it never changes."""
    versions.forget()
    for remembered in (compare._terms, consuming._terms, watching.watched_of):
        remembered.cache_clear()


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
    """What really happened to one inference, in order."""

    prediction: Prediction | None = None
    ambiguous: bool = False
    labels: list[Label] = field(default_factory=list)


@dataclass
class Traffic:
    """One model's inferences, the stream that their table gives, and their story."""

    model: str
    schema: Schema
    cohort_s: dict[int, int]
    stories: dict[str, Story] = field(default_factory=dict)
    stream: list[dict[str, Any]] = field(default_factory=list)
    _images: dict[str, dict[str, Any]] = field(default_factory=dict)

    def predict(self, inference_id: str, made: Prediction) -> None:
        """Take a prediction as it comes out of a capture file."""
        row = CapturedRow(inference_id, made, [], 0.0)
        known = labels.load(self.model, [inference_id]).get(inference_id)
        arrival = arrival_of(row, known)
        length = self.cohort_s[made.version]
        cohort = CohortKey(self.model, made.version, cohort_start(made.at, length), length)
        if arrival.effect is not Effect.NOTHING:
            inferences.write([arrival], inferences.Target(cohort, 7, timedelta(days=90)))
        story = self.stories.setdefault(inference_id, Story())
        if story.prediction is None:
            story.prediction = made
        elif story.prediction.digest != made.digest:
            story.ambiguous = True
        self.observe(inference_id)

    def label(self, inference_id: str, said: Label) -> None:
        """Take a label as it comes over the API; one that is rejected never happened."""
        receipt = Receipt(self.model, said.received_at, said.received_at, timedelta(days=365))
        seen = Observation(inference_id, said.label, said.observed_at, None, None)
        known = labels.load(self.model, [inference_id])
        change = change_of(inference_id, known, [seen], self.schema, receipt)
        labels.write(self.model, [change], timedelta(days=7))
        if change.outcomes[0].status is not Status.REJECTED:
            self.stories.setdefault(inference_id, Story()).labels.append(said)
        self.observe(inference_id)

    def observe(self, *inference_ids: str) -> None:
        """Take what changed of these since the last look into the stream."""
        for inference_id in inference_ids:
            item = self.item(inference_id)
            if item and self._images.get(inference_id) != item:
                self._images[inference_id] = item
                self.stream.append(record(item, len(self.stream)))

    def item(self, inference_id: str) -> dict[str, Any]:
        answer = client("dynamodb").get_item(
            TableName=environment().inference_table,
            Key={"id": {"S": item_id(self.model, inference_id)}},
        )
        found: dict[str, Any] = answer.get("Item", {})
        return found

    def deliverable(self) -> list[dict[str, Any]]:
        """Return what the filter of the template lets through."""
        return [
            entry
            for entry in self.stream
            if {"uncounted", "digest"} <= entry["dynamodb"]["NewImage"].keys()
        ]

    def ledger(self) -> list[bytes]:
        return [
            line
            for entry in s3.list_keys(ModelKeys(self.model).labelled)
            for line in s3.get_bytes(entry.key).splitlines()
        ]


def record(item: dict[str, Any], number: int) -> dict[str, Any]:
    """Return the stream's record of an item as Lambda hands it over."""
    image = {
        name: {"B": base64.b64encode(value["B"]).decode()} if "B" in value else value
        for name, value in item.items()
    }
    found: dict[str, Any] = json.loads(
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
    return found


def said(text: str, at: datetime = NOON, observed_s: float = 0, received_s: float = 60) -> Label:
    """Return a label; its times are seconds after `at`."""
    return Label(text, at + timedelta(seconds=observed_s), at + timedelta(seconds=received_s))
