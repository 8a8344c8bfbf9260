"""ModelTable: the counters of each cohort of predictions, and when a model is next looked at.

Items (pk, sk):
    MODEL#<model>  COHORT#<10 digits>#<start>   counters of one version (domain/inferences/tally.py)
    MODEL#<model>  MONITOR                      next_look_at, beside the last verdict

A cohort's item is only ever added to, in the same transaction that marks what is counted.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ClientError

from refit.domain.monitoring.cohort import Cohort
from refit.environment import environment
from refit.stores.clients import client, error_code, passing_troubles_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from decimal import Decimal

    from refit.domain.inferences.tally import CohortKey


def _key(model: str, sk: str) -> dict[str, Any]:
    return {"pk": {"S": f"MODEL#{model}"}, "sk": {"S": sk}}


def addition(
    cohort: CohortKey, sums: Mapping[str, Decimal | int], files: Iterable[int] = ()
) -> dict[str, Any]:
    """Return the write of a transaction that adds to a cohort's counters.

    Args:
        cohort: which one; its item is made when there is none.
        sums: what to add, by the counter's name.
        files: numbers that join the set of its capture files.
    """
    added: dict[str, Any] = {name: {"N": str(value)} for name, value in sums.items()}
    if numbers := sorted({str(number) for number in files}):
        added["files"] = {"NS": numbers}
    names = {f"#{place}": name for place, name in enumerate(added)}
    clauses = ", ".join(f"#{place} :{place}" for place in range(len(added)))
    values = {f":{place}": value for place, value in enumerate(added.values())}
    return {
        "Update": {
            "TableName": environment().model_table,
            "Key": _key(cohort.model, cohort.sk),
            "UpdateExpression": f"SET #s = if_not_exists(#s, :s) ADD {clauses}",
            "ExpressionAttributeNames": names | {"#s": "seconds"},
            "ExpressionAttributeValues": values | {":s": {"N": str(cohort.seconds)}},
        }
    }


def load(model: str, version: int) -> list[Cohort]:
    """Return all cohorts of a version in the order of time."""
    read = TypeDeserializer().deserialize
    request = {
        "TableName": environment().model_table,
        "KeyConditionExpression": "pk = :pk AND begins_with(sk, :cohorts)",
        "ExpressionAttributeValues": {
            ":pk": {"S": f"MODEL#{model}"},
            ":cohorts": {"S": f"COHORT#{version:010d}#"},
        },
        "ConsistentRead": True,
    }
    with passing_troubles_named():
        pages = list(client("dynamodb").get_paginator("query").paginate(**request))
    return [
        Cohort.from_item({name: read(value) for name, value in item.items()})
        for page in pages
        for item in page["Items"]
    ]


def take_look(model: str, now: datetime, every_s: int) -> bool:
    """Say whether it is time to look at a model; of many who ask, one is told so.

    Args:
        model: the model.
        now: this moment.
        every_s: so long nobody else is told.
    """

    def text(moment: datetime) -> dict[str, str]:
        return {"S": moment.isoformat(timespec="milliseconds")}

    try:
        with passing_troubles_named():
            client("dynamodb").update_item(
                TableName=environment().model_table,
                Key=_key(model, "MONITOR"),
                UpdateExpression="SET next_look_at = :next",
                ConditionExpression="attribute_not_exists(next_look_at) OR next_look_at <= :now",
                ExpressionAttributeValues={
                    ":now": text(now),
                    ":next": text(now + timedelta(seconds=every_s)),
                },
            )
    except ClientError as error:
        if error_code(error) != "ConditionalCheckFailedException":
            raise
        return False
    return True
