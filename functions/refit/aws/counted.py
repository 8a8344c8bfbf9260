"""InferenceTable and ModelTable in one transaction: what is marked as counted has been counted.

An inference is marked on condition that it is still what was decided on; the counters of its cohort
are added to in the same transaction. So it counts once, whoever else counts at the same time, and
whether or not this process lives to hear the answer.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from refit.aws import cohorts
from refit.aws.clients import client, error_code, passing_troubles_named
from refit.domain.errors import ServiceThrottled
from refit.domain.inference import Inference, item_id
from refit.domain.tally import summed
from refit.settings import settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.tally import Change

_ATTEMPTS = 8
_LONGEST_WAIT_S = 1.0
_KEYS_OF_A_BATCH = 100
_PASSING = frozenset(
    {"TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError", "None", None}
)


def count(group: Sequence[Change]) -> tuple[list[Change], list[Change]]:
    """Count changes in one transaction.

    Changes whose inference is no longer what it was when they were decided are left out, and the
    others are sent again without them.

    Args:
        group: of `tally.groups_of`.

    Returns:
        What was counted, and what was left out.

    Raises:
        ServiceThrottled: when others held the same items again and again; nothing was counted.
    """
    ahead = list(group)
    outdated: list[Change] = []
    attempt = 0
    while ahead:
        try:
            with passing_troubles_named():
                client("dynamodb").transact_write_items(TransactItems=_writes(ahead))
        except ClientError as error:
            if error_code(error) != "TransactionCanceledException":
                raise
            reasons = error.response["CancellationReasons"]
            codes = [reason.get("Code") for reason in reasons]
            if "ConditionalCheckFailed" in codes:
                known = zip(ahead, codes, strict=False)
                outdated += [change for change, code in known if code == "ConditionalCheckFailed"]
                ahead = [change for change in ahead if change not in outdated]
            elif set(codes) <= _PASSING:
                attempt += 1
                _wait(attempt)
            else:
                raise
        else:
            break
    return ahead, outdated


def _writes(changes: Sequence[Change]) -> list[dict[str, Any]]:
    marks = [_mark(change) for change in changes]
    return marks + [cohorts.addition(key, sums) for key, sums in summed(changes).items()]


def _mark(change: Change) -> dict[str, Any]:
    inference = change.inference
    write = TypeSerializer().serialize
    values = {":seq": write(inference.seq), ":counted": write(change.counted.as_item())}
    if inference.counted.seq:
        before = "counted.seq = :before"
        values[":before"] = write(inference.counted.seq)
    else:
        before = "attribute_not_exists(counted)"
    return {
        "Update": {
            "TableName": settings().inference_table,
            "Key": _key(inference),
            "UpdateExpression": "SET counted = :counted REMOVE uncounted",
            "ConditionExpression": f"seq = :seq AND {before}",
            "ExpressionAttributeValues": values,
        }
    }


def _key(inference: Inference) -> dict[str, Any]:
    return {"id": {"S": item_id(inference.model, inference.inference_id)}}


def _wait(attempt: int) -> None:
    """Wait for others who write the same items: longer each time, and never all equally long."""
    if attempt == _ATTEMPTS:
        raise ServiceThrottled(f"a transaction met others {attempt} times on the same items")
    time.sleep(random.uniform(0, min(_LONGEST_WAIT_S, 0.02 * 2**attempt)))


def read_again(changes: Sequence[Change]) -> list[Inference]:
    """Return the inferences as they are now; one that is gone is left out."""
    table = settings().inference_table
    keys = [_key(change.inference) for change in changes]
    read = TypeDeserializer().deserialize
    found: list[Inference] = []
    while keys:
        request = {table: {"Keys": keys[:_KEYS_OF_A_BATCH], "ConsistentRead": True}}
        with passing_troubles_named():
            answer = client("dynamodb").batch_get_item(RequestItems=request)
        for item in answer["Responses"].get(table, []):
            found.append(Inference.from_item({name: read(value) for name, value in item.items()}))
        left = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
        keys = left + keys[_KEYS_OF_A_BATCH:]
    return found
