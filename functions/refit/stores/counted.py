"""InferenceTable and ModelTable in one transaction: what is marked as counted has been counted.

An inference is marked on condition that it is still what was decided on; the counters of its cohort
are added to in the same transaction. So it counts once, whoever else counts at the same time, and
whether or not this process lives to hear the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeSerializer

from refit.domain.inferences.inference import item_id
from refit.domain.inferences.tally import summed
from refit.environment import environment
from refit.stores import cohorts, transactions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.inferences.tally import Change


def count(group: Sequence[Change]) -> tuple[list[Change], list[Change]]:
    """Count changes in one transaction.

    Args:
        group: of `tally.groups_of`.

    Returns:
        What was counted, and what was left out, as the inference is no longer what the change was
        decided on.

    Raises:
        ServiceThrottled: when others held the same items again and again; nothing was counted.
    """
    return transactions.write(group, _writes)


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
            "TableName": environment().inference_table,
            "Key": {"id": {"S": item_id(inference.model, inference.inference_id)}},
            "UpdateExpression": "SET counted = :counted REMOVE uncounted",
            "ConditionExpression": f"seq = :seq AND {before}",
            "ExpressionAttributeValues": values,
        }
    }
