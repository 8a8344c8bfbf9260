"""ModelTable: where a model's retraining stands, and what the last look at it said.

Items (pk, sk):
    MODEL#<model>  RETRAINING   domain/retraining/state.py
    MODEL#<model>  MONITOR      verdict (domain/monitoring/verdict.py); next_look_at (cohorts.py)

Both carry a revision, and each change is made on condition of the one before it: of two who decide
at once, one is told that it has to look again.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from refit.domain.inferences.tally import START_FORMAT
from refit.domain.monitoring.verdict import Verdict
from refit.domain.retraining.state import Retraining
from refit.environment import environment
from refit.stores.clients import client, error_code, passing_troubles_named

if TYPE_CHECKING:
    from datetime import datetime

    from refit.domain.monitoring.verdict import Alarm


def load(model: str) -> Retraining:
    """Return where a model's retraining stands; a model of which nothing is known is healthy."""
    item = _get(model, "RETRAINING")
    return Retraining.model_validate(
        {name: value for name, value in item.items() if name not in {"pk", "sk"}}
    )


def save(model: str, after: Retraining) -> bool:
    """Write the state that was decided on; say whether nobody else has changed it meanwhile.

    Args:
        model: its name.
        after: made from what `load` returned, so it has its revision.
    """
    item = after.but(revision=after.revision + 1).model_dump(mode="json")
    return _write(
        "put_item",
        Item=_dynamo({"pk": f"MODEL#{model}", "sk": "RETRAINING", **item}),
        **_condition("revision", after.revision),
    )


def load_verdict(model: str) -> Verdict | None:
    """Return what the last look at a model said; None before the first."""
    found = _get(model, "MONITOR").get("verdict")
    return None if found is None else Verdict.model_validate(found)


def save_verdict(model: str, verdict: Verdict) -> bool:
    """Write a verdict; say whether nobody else has written one meanwhile.

    Args:
        model: its name.
        verdict: with the revision of the verdict that it follows; 0 when there was none.
    """
    after = verdict.model_copy(update={"revision": verdict.revision + 1})
    condition = _condition("verdict.revision", verdict.revision)
    values = _dynamo({":verdict": json.loads(after.model_dump_json(), parse_float=Decimal)})
    return _write(
        "update_item",
        Key=_key(model, "MONITOR"),
        UpdateExpression="SET verdict = :verdict",
        ConditionExpression=condition["ConditionExpression"],
        ExpressionAttributeValues=values | condition.get("ExpressionAttributeValues", {}),
    )


def mark_told(model: str, alarm: Alarm) -> None:
    """Note that an alarm was told; another that has taken its place stays untold."""
    _write(
        "update_item",
        Key=_key(model, "MONITOR"),
        UpdateExpression="SET verdict.alarm.told = :yes, "
        "verdict.revision = verdict.revision + :one",
        ConditionExpression="verdict.alarm.raised_at = :raised",
        ExpressionAttributeValues=_dynamo(
            {
                ":yes": True,
                ":one": 1,
                ":raised": alarm.raised_at.isoformat(timespec="milliseconds"),
            }
        ),
    )


def labelled_rows(model: str) -> int:
    """Return how many predictions of a model are joined with a label, over all its versions.

    Read from the counters of the cohorts: their number grows with time, not with the traffic.
    """
    return _labelled(model, "begins_with(sk, :first)", {":first": "COHORT#"})


def labelled_rows_since(model: str, version: int, since: datetime) -> int:
    """Return how many predictions of a version, in the cohorts from a moment on, have a label."""
    first = f"COHORT#{version:010d}#"
    bounds = {":first": f"{first}{since:{START_FORMAT}}", ":last": f"{first}~"}
    return _labelled(model, "sk BETWEEN :first AND :last", bounds)


def _labelled(model: str, condition: str, values: dict[str, str]) -> int:
    request = {
        "TableName": environment().model_table,
        "KeyConditionExpression": f"pk = :pk AND {condition}",
        "ProjectionExpression": "labelled",
        "ExpressionAttributeValues": _dynamo({":pk": f"MODEL#{model}", **values}),
    }
    with passing_troubles_named():
        pages = list(client("dynamodb").get_paginator("query").paginate(**request))
    items = [item for page in pages for item in page["Items"]]
    return sum(int(item["labelled"]["N"]) for item in items if "labelled" in item)


def _condition(attribute: str, revision: int) -> dict[str, Any]:
    if not revision:
        return {"ConditionExpression": f"attribute_not_exists({attribute})"}
    return {
        "ConditionExpression": f"{attribute} = :revision",
        "ExpressionAttributeValues": {":revision": {"N": str(revision)}},
    }


def _write(operation: str, **request: Any) -> bool:
    """Write on a condition; say whether it held."""
    try:
        with passing_troubles_named():
            getattr(client("dynamodb"), operation)(TableName=environment().model_table, **request)
    except ClientError as error:
        if error_code(error) != "ConditionalCheckFailedException":
            raise
        return False
    return True


def _get(model: str, sk: str) -> dict[str, Any]:
    with passing_troubles_named():
        answer = client("dynamodb").get_item(
            TableName=environment().model_table, Key=_key(model, sk), ConsistentRead=True
        )
    read = TypeDeserializer().deserialize
    return {name: read(value) for name, value in answer.get("Item", {}).items()}


def _key(model: str, sk: str) -> dict[str, Any]:
    return _dynamo({"pk": f"MODEL#{model}", "sk": sk})


def _dynamo(values: dict[str, Any]) -> dict[str, Any]:
    write = TypeSerializer().serialize
    return {name: write(value) for name, value in values.items()}
