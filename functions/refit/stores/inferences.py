"""Predictions in InferenceTable, and how many there are in the counters of their cohort.

Items:
    InferenceTable  the inference (domain/inferences/inference.py), its prediction side
    ModelTable      MODEL#<model> COHORT#…      predictions, files, seconds
    ModelTable      MODEL#<model> LABELS        held, rejected; last_capture_at

A prediction is written on condition that the inference is still what was decided on, and the
counters move in the same transaction: each is counted once, whatever is delivered or tried again.
The labels' side of the same items is stores/labels.py, what is counted of both stores/counted.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeSerializer
from botocore.exceptions import ClientError

from refit.domain.inferences.arrival import Arrival, Effect
from refit.domain.inferences.inference import item_id
from refit.environment import environment
from refit.stores import cohorts, transactions
from refit.stores.clients import client, error_code, passing_troubles_named

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from refit.domain.inferences.captured_rows import CapturedRow
    from refit.domain.inferences.tally import CohortKey

MOST_ARRIVALS = transactions.MOST_WRITES - 2  # and the cohort's counters and the labels'


@dataclass(frozen=True)
class Target:
    """Where predictions are counted.

    Attributes:
        cohort: of all of them.
        file: a number that stands for their capture file.
        remembered: how long after it was made a prediction is kept.
    """

    cohort: CohortKey
    file: int
    remembered: timedelta


def write(arrivals: Sequence[Arrival], target: Target) -> tuple[list[Arrival], list[Arrival]]:
    """Write predictions and count them, in one transaction.

    Args:
        arrivals: at most `MOST_ARRIVALS`, no two of one inference, none without effect.
        target: where they are counted.

    Returns:
        What was written, and what has to be decided again, as another came first.

    Raises:
        ServiceThrottled: when others held the same items again and again; nothing was written.
    """

    def writes_of(some: Sequence[Arrival]) -> list[dict[str, Any]]:
        return [_item(one, target) for one in some] + _counters(some, target)

    return transactions.write(arrivals, writes_of)


def raise_last_capture(model: str, at: datetime) -> None:
    """Note that a prediction made at this time was captured, unless a later one was."""
    try:
        with passing_troubles_named():
            client("dynamodb").update_item(
                TableName=environment().model_table,
                Key=_labels_key(model),
                UpdateExpression="SET last_capture_at = :at",
                ConditionExpression="attribute_not_exists(last_capture_at) OR "
                "last_capture_at < :at",
                ExpressionAttributeValues={":at": {"S": _iso(at)}},
            )
    except ClientError as error:
        if error_code(error) != "ConditionalCheckFailedException":
            raise


def _item(arrival: Arrival, target: Target) -> dict[str, Any]:
    key = {"id": {"S": item_id(target.cohort.model, arrival.row.inference_id)}}
    table = environment().inference_table
    if arrival.effect is Effect.NEW:
        item = key | _identity(arrival.row, target.cohort.model) | _prediction(arrival.row, target)
        condition = "attribute_not_exists(id)"
        return {"Put": {"TableName": table, "Item": item, "ConditionExpression": condition}}
    joins = arrival.effect is Effect.JOINED
    change = _join(arrival, target) if joins else _contradiction(arrival)
    return {"Update": {"TableName": table, "Key": key} | change}


def _identity(row: CapturedRow, model: str) -> dict[str, Any]:
    return {
        "model": {"S": model},
        "inference_id": {"S": row.inference_id},
        "seq": {"N": "1"},
    }


def _prediction(row: CapturedRow, target: Target) -> dict[str, Any]:
    """Return the prediction side of an item; by hand, as a file has a hundred thousand."""
    made = row.prediction
    side: dict[str, Any] = {
        "digest": {"S": made.digest},
        "prediction": {"S": made.text},
        "version": {"N": str(made.version)},
        "predicted_at": {"S": _iso(made.at)},
        "source_key": {"S": made.source.key},
        "source_line": {"N": str(made.source.line)},
        "source_row": {"N": str(made.source.row)},
        "rows": {"N": str(made.rows)},
        "expires_at": {"N": str(int((made.at + target.remembered).timestamp()))},
    }
    if made.confidence is not None:
        side["confidence"] = {"N": str(made.confidence)}
    if made.probabilities is not None:
        side["probabilities"] = {"B": made.probabilities}
    return side


def _join(arrival: Arrival, target: Target) -> dict[str, Any]:
    """Return the change that puts a prediction to the labels which waited for it."""
    before = arrival.before
    assert before is not None
    values = _prediction(arrival.row, target)
    removed = ["held_model", "held_until"]
    if not arrival.kept:
        removed += ["labels", "uncounted"]
    elif arrival.dropped:
        kept = [label.as_item() for label in arrival.kept]
        values["labels"] = TypeSerializer().serialize(kept)
    named = {f"#{name}": name for name in values} | {"#seq": "seq"}
    return {
        "UpdateExpression": "SET "
        + ", ".join(f"#{name} = :{name}" for name in values)
        + " REMOVE "
        + ", ".join(removed),
        "ConditionExpression": "#seq = :before AND attribute_not_exists(digest)",
        "ExpressionAttributeNames": named,
        "ExpressionAttributeValues": {f":{name}": value for name, value in values.items()}
        | {":before": {"N": str(before.seq)}},
    }


def _contradiction(arrival: Arrival) -> dict[str, Any]:
    """Return the change that takes an inference out of all counts; its prediction stays."""
    before = arrival.before
    assert before is not None
    assert before.prediction is not None
    return {
        "UpdateExpression": "SET ambiguous = :yes, uncounted = :one, #seq = :after",
        "ConditionExpression": "#seq = :before AND digest = :digest",
        "ExpressionAttributeNames": {"#seq": "seq"},
        "ExpressionAttributeValues": {
            ":yes": {"BOOL": True},
            ":one": {"N": "1"},
            ":after": {"N": str(before.seq + 1)},
            ":before": {"N": str(before.seq)},
            ":digest": {"S": before.prediction.digest},
        },
    }


def _counters(arrivals: Sequence[Arrival], target: Target) -> list[dict[str, Any]]:
    predicted = sum(arrival.is_predicted for arrival in arrivals)
    joined = sum(arrival.effect is Effect.JOINED for arrival in arrivals)
    writes = []
    if predicted:
        writes.append(cohorts.addition(target.cohort, {"predictions": predicted}, [target.file]))
    if joined:
        writes.append(_held(target.cohort.model, joined, sum(len(it.dropped) for it in arrivals)))
    return writes


def _held(model: str, joined: int, dropped: int) -> dict[str, Any]:
    return {
        "Update": {
            "TableName": environment().model_table,
            "Key": _labels_key(model),
            "UpdateExpression": "ADD held :joined, rejected :dropped",
            "ExpressionAttributeValues": {
                ":joined": {"N": str(-joined)},
                ":dropped": {"N": str(dropped)},
            },
        }
    }


def _labels_key(model: str) -> dict[str, Any]:
    return {"pk": {"S": f"MODEL#{model}"}, "sk": {"S": "LABELS"}}


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
