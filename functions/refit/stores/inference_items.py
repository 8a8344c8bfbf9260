"""The items of InferenceTable: one per inference, with its prediction, its labels, or both.

The answers that a batch has kept are items of prediction_cache.py.

id                         <model>#<inference id>; model names do not contain `#`
model, inference_id, seq
digest, prediction, …      the prediction, once it has been captured
labels                     the labels in the order in which they arrived
held_model, held_until     keys of the index HeldLabels, while only labels have arrived
uncounted                  exists while the counters do not match the item
counted                    what the counters of its cohort contain of it
ambiguous                  true when two different predictions have this id
expires_at                 DynamoDB deletes the item after this time (epoch seconds)
"""

from __future__ import annotations

import base64
from datetime import datetime
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Attr

from refit.domain.inferences.inference import (
    NOTHING_COUNTED,
    Counted,
    Inference,
    Label,
    Prediction,
    Source,
)
from refit.domain.moments import iso

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import timedelta

    from boto3.dynamodb.conditions import ConditionBase

    from refit.stores.dynamodb import Item, Table


def inference_key(model: str, inference_id: str) -> Item:
    """Return the primary key of an inference."""
    return {"id": f"{model}#{inference_id}"}


def load_inferences(
    table: Table, model: str, inference_ids: Collection[str]
) -> dict[str, Inference]:
    """Return the inferences that exist, by id."""
    keys = [inference_key(model, inference_id) for inference_id in dict.fromkeys(inference_ids)]
    inferences = map(inference_of, table.get_many(keys))
    return {inference.inference_id: inference for inference in inferences}


def is_unchanged(before: Inference | None) -> ConditionBase:
    """Return the condition that the item has not changed since the inference was read from it."""
    if before is None:
        return Attr("id").not_exists()
    digest = Attr("digest")
    has_prediction = digest.not_exists() if before.prediction is None else digest.exists()
    return Attr("seq").eq(before.seq) & has_prediction


def prediction_attributes(prediction: Prediction, kept_for: timedelta) -> Item:
    """Return the attributes of a prediction; attributes that do not apply are None."""
    return {
        "digest": prediction.digest,
        "prediction": prediction.text,
        "confidence": prediction.confidence,
        "probabilities": prediction.probabilities,
        "version": prediction.version,
        "predicted_at": iso(prediction.at),
        "source_key": prediction.source.key,
        "source_line": prediction.source.line,
        "source_row": prediction.source.row,
        "rows": prediction.rows,
        "expires_at": int((prediction.at + kept_for).timestamp()),
    }


def label_element(label: Label) -> Item:
    """Return a label as an element of the attribute `labels`."""
    element: Item = {
        "label": label.label,
        "observed_at": iso(label.observed_at),
        "received_at": iso(label.received_at),
    }
    return element if label.event_size is None else element | {"event_size": label.event_size}


def counted_map(counted: Counted) -> Item:
    """Return the value of the attribute `counted`."""
    values = {
        "seq": counted.seq,
        "shown": counted.shown,
        "matured": counted.matured,
        "cohort": counted.cohort.isoformat() if counted.cohort else None,
        "error_bound": counted.error_bound,
    }
    return {name: value for name, value in values.items() if value is not None}


def inference_of(item: Mapping[str, Any]) -> Inference:
    """Return the inference that an item stores."""
    return Inference(
        model=item["model"],
        inference_id=item["inference_id"],
        seq=int(item.get("seq", 0)),
        prediction=_prediction_of(item) if "digest" in item else None,
        ambiguous=bool(item.get("ambiguous", False)),
        labels=tuple(map(_label_of, item.get("labels", ()))),
        counted=counted_of(item["counted"]) if "counted" in item else NOTHING_COUNTED,
    )


def uncounted_inference_of(image: Mapping[str, Any]) -> Inference | None:
    """Return the inference of a stream record; None when there is nothing to count.

    Args:
        image: NewImage of the record as plain values, with bytes as base64 text.
    """
    if "digest" not in image or "uncounted" not in image:
        return None
    if "probabilities" in image:
        image = {**image, "probabilities": base64.b64decode(image["probabilities"])}
    return inference_of(image)


def counted_of(value: Mapping[str, Any]) -> Counted:
    """Read the value of the attribute `counted`."""
    return Counted(
        int(value["seq"]),
        value.get("shown"),
        value.get("matured"),
        datetime.fromisoformat(value["cohort"]) if "cohort" in value else None,
        float(value["error_bound"]) if "error_bound" in value else None,
    )


def _label_of(element: Mapping[str, Any]) -> Label:
    return Label(
        element["label"],
        datetime.fromisoformat(element["observed_at"]),
        datetime.fromisoformat(element["received_at"]),
        int(element["event_size"]) if "event_size" in element else None,
    )


def _prediction_of(item: Mapping[str, Any]) -> Prediction:
    return Prediction(
        text=item["prediction"],
        confidence=float(item["confidence"]) if "confidence" in item else None,
        probabilities=item.get("probabilities"),
        version=int(item["version"]),
        at=datetime.fromisoformat(item["predicted_at"]),
        source=Source(item["source_key"], int(item["source_line"]), int(item["source_row"])),
        rows=int(item["rows"]),
        digest=item["digest"],
    )
