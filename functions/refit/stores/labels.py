"""Labels in InferenceTable, and how many there are of each kind in ModelTable.

Items:
    InferenceTable  the inference (domain/inferences/inference.py); while no prediction has come
                    it is held: held_model and held_until put it into the index HeldLabels
    ModelTable      MODEL#<model> LABELS: held (now), expired, and in all new, repeat, corrected,
                    rejected, held_total; last_label_at

A label is written on condition that the inference is still what the label was decided on, and the
counters move in the same transaction.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from refit.domain.inferences.ground_truth import Change, Outcome, Status
from refit.domain.inferences.inference import Inference, item_id
from refit.environment import environment
from refit.stores import transactions
from refit.stores.clients import client, passing_troubles_named

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

MOST_CHANGES = transactions.MOST_WRITES - 1  # and the counters
_KEYS_OF_A_BATCH = 100
_OVERDUE = timedelta(days=30)
"""What is not given up so long after its time is removed by the table's own clock."""

_COUNTERS = {status: status.value for status in Status} | {Status.HELD: "held_total"}


def load(model: str, inference_ids: Collection[str]) -> dict[str, Inference]:
    """Return what is known of inferences, by id; one of which nothing is known is left out."""
    table = environment().inference_table
    keys = [_key(model, inference_id) for inference_id in dict.fromkeys(inference_ids)]
    read = TypeDeserializer().deserialize
    found: dict[str, Inference] = {}
    while keys:
        request = {table: {"Keys": keys[:_KEYS_OF_A_BATCH], "ConsistentRead": True}}
        with passing_troubles_named():
            answer = client("dynamodb").batch_get_item(RequestItems=request)
        for item in answer["Responses"].get(table, []):
            inference = Inference.from_item({name: read(value) for name, value in item.items()})
            found[inference.inference_id] = inference
        left = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
        keys = left + keys[_KEYS_OF_A_BATCH:]
    return found


def write(
    model: str, changes: Sequence[Change], held_for: timedelta
) -> tuple[list[Change], list[Change]]:
    """Write labels and count them, in as many transactions as it takes.

    Args:
        model: the model.
        changes: at most one for an inference; one that changes nothing is only counted.
        held_for: how long a label may wait for its prediction.

    Returns:
        What was written or counted, and what has to be decided again, as another came first.

    Raises:
        ServiceThrottled: when DynamoDB takes no more for now; what was written stays.
    """

    def writes_of(some: Sequence[Change]) -> list[dict[str, Any]]:
        return [_update(model, one, held_for) for one in some] + [_addition(model, some)]

    silent = [change for change in changes if not change.is_one]
    done, lost = _in_transactions([change for change in changes if change.is_one], writes_of)
    if silent:
        count(model, [outcome for change in silent for outcome in change.outcomes])
    return silent + done, lost


def count(model: str, outcomes: Iterable[Outcome]) -> None:
    """Count records that change no inference."""
    counted = Counter(_COUNTERS[outcome.status] for outcome in outcomes)
    with passing_troubles_named():
        client("dynamodb").update_item(**_added(model, counted)["Update"])


@dataclass(frozen=True)
class Counters:
    """Part of the item LABELS: labels that are held now, and when what last came."""

    held: int
    last_label_at: datetime | None
    last_capture_at: datetime | None


def load_counters(model: str) -> Counters:
    """Return how many labels a model holds, and when the last label and capture came."""
    with passing_troubles_named():
        answer = client("dynamodb").get_item(
            TableName=environment().model_table,
            Key={"pk": {"S": f"MODEL#{model}"}, "sk": {"S": "LABELS"}},
        )
    read = TypeDeserializer().deserialize
    item = {name: read(value) for name, value in answer.get("Item", {}).items()}

    def moment(name: str) -> datetime | None:
        return datetime.fromisoformat(item[name]) if name in item else None

    return Counters(int(item.get("held", 0)), moment("last_label_at"), moment("last_capture_at"))


def overdue(model: str, now: datetime) -> Iterator[str]:
    """Yield the ids of inferences whose label has waited too long, those first that waited most."""
    request = {
        "TableName": environment().inference_table,
        "IndexName": "HeldLabels",
        "KeyConditionExpression": "held_model = :model AND held_until <= :now",
        "ExpressionAttributeValues": {":model": {"S": model}, ":now": {"S": _iso(now)}},
    }
    pages = client("dynamodb").get_paginator("query").paginate(**request)
    with passing_troubles_named():
        for page in pages:
            for item in page["Items"]:
                yield item["id"]["S"].partition("#")[2]


def give_up(model: str, held: Sequence[Inference], now: datetime) -> list[Inference]:
    """Delete held labels that are overdue; return those that were, and were still held."""

    def writes_of(some: Sequence[Change]) -> list[dict[str, Any]]:
        counted = {"held": -len(some), "expired": len(some)}
        return [_deletion(model, one, now) for one in some] + [_added(model, counted)]

    ahead = [Change(one.inference_id, one, None) for one in held]
    done, _ = _in_transactions(ahead, writes_of)
    return [change.before for change in done if change.before]


def _in_transactions(
    changes: Sequence[Change], writes_of: Callable[[Sequence[Change]], list[dict[str, Any]]]
) -> tuple[list[Change], list[Change]]:
    done, lost = list[Change](), list[Change]()
    for start in range(0, len(changes), MOST_CHANGES):
        written, left = transactions.write(changes[start : start + MOST_CHANGES], writes_of)
        done += written
        lost += left
    return done, lost


def _key(model: str, inference_id: str) -> dict[str, Any]:
    return {"id": {"S": item_id(model, inference_id)}}


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def _update(model: str, change: Change, held_for: timedelta) -> dict[str, Any]:
    after, before = change.after, change.before
    assert after is not None
    values: dict[str, Any] = {
        "labels": [label.as_item() for label in after.labels],
        "seq": after.seq,
        "uncounted": 1,
    }
    if after.prediction is None:
        until = after.labels[-1].received_at + held_for
        values |= {
            "model": model,
            "inference_id": after.inference_id,
            "held_model": model,
            "held_until": _iso(until),
            "expires_at": int((until + _OVERDUE).timestamp()),
        }
    condition, conditional = _as_it_was(before)
    write = TypeSerializer().serialize
    return {
        "Update": {
            "TableName": environment().inference_table,
            "Key": _key(model, after.inference_id),
            "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in values),
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {f"#{name}": name for name in values},
            "ExpressionAttributeValues": {
                f":{name}": write(value) for name, value in (values | conditional).items()
            },
        }
    }


def _as_it_was(before: Inference | None) -> tuple[str, dict[str, Any]]:
    """Return the condition that an inference is still what was decided on."""
    if before is None:
        return "attribute_not_exists(id)", {}
    side = "attribute_not_exists" if before.prediction is None else "attribute_exists"
    return f"#seq = :before AND {side}(digest)", {"before": before.seq}


def _deletion(model: str, change: Change, now: datetime) -> dict[str, Any]:
    condition, conditional = _as_it_was(change.before)
    return {
        "Delete": {
            "TableName": environment().inference_table,
            "Key": _key(model, change.inference_id),
            "ConditionExpression": f"{condition} AND held_until <= :now",
            "ExpressionAttributeNames": {"#seq": "seq"},
            "ExpressionAttributeValues": {
                ":now": {"S": _iso(now)},
                **{f":{name}": {"N": str(value)} for name, value in conditional.items()},
            },
        }
    }


def _addition(model: str, changes: Sequence[Change]) -> dict[str, Any]:
    outcomes = [outcome for change in changes for outcome in change.outcomes]
    counted = Counter(_COUNTERS[outcome.status] for outcome in outcomes)
    counted["held"] = sum(change.before is None for change in changes)
    newest = max(change.after.labels[-1].received_at for change in changes if change.after)
    return _added(model, counted, newest)


def _added(
    model: str, counted: dict[str, int], last_label_at: datetime | None = None
) -> dict[str, Any]:
    added = {name: number for name, number in counted.items() if number}
    expression = "ADD " + ", ".join(f"#{name} :{name}" for name in added)
    names = {f"#{name}": name for name in added}
    values = {f":{name}": {"N": str(number)} for name, number in added.items()}
    if last_label_at:
        # Not the largest of all, which would need a condition: clocks differ by less than matters.
        expression += " SET last_label_at = :at"
        values[":at"] = {"S": _iso(last_label_at)}
    return {
        "Update": {
            "TableName": environment().model_table,
            "Key": {"pk": {"S": f"MODEL#{model}"}, "sk": {"S": "LABELS"}},
            "UpdateExpression": expression,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
        }
    }
