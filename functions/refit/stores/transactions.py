"""Many conditional writes in one transaction: what lost its condition is left out, the rest goes.

So a counter that is written with them is exactly right: it moves with what it counts, or not at
all, whether or not this process lives to hear the answer.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from refit.domain.errors import ServiceThrottled
from refit.stores.clients import client, error_code, passing_troubles_named

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST_WRITES = 100
"""So many items a transaction may write."""

_ATTEMPTS = 8
_LONGEST_WAIT_S = 1.0
_PASSING = frozenset(
    {"TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError", "None", None}
)

T = TypeVar("T")


def write(
    changes: Sequence[T], writes_of: Callable[[Sequence[T]], list[dict[str, Any]]]
) -> tuple[list[T], list[T]]:
    """Write changes in one transaction.

    Args:
        changes: what is to be written.
        writes_of: returns the writes of some of them, the first ones one for one and in their
            order, and after them what else belongs to the transaction.

    Returns:
        What was written, and what was left out as its condition did not hold.

    Raises:
        ServiceThrottled: when others held the same items again and again; nothing was written.
    """
    ahead, lost = list(changes), list[T]()
    attempt = 0
    while ahead:
        codes = _tried(writes_of(ahead))
        if codes is None:
            break
        if "ConditionalCheckFailed" in codes:
            judged = list(zip(ahead, codes, strict=False))
            lost += [change for change, code in judged if code == "ConditionalCheckFailed"]
            ahead = [change for change, code in judged if code != "ConditionalCheckFailed"]
        else:
            attempt += 1
            _wait(attempt)
    return ahead, lost


def _tried(writes: list[dict[str, Any]]) -> list[str | None] | None:
    """Try a transaction; return why each of its writes was refused, None when all are done."""
    try:
        with passing_troubles_named():
            client("dynamodb").transact_write_items(TransactItems=writes)
    except ClientError as error:
        if error_code(error) != "TransactionCanceledException":
            raise
        reasons = error.response["CancellationReasons"]
        codes = [reason.get("Code") for reason in reasons]
        if not set(codes) <= _PASSING | {"ConditionalCheckFailed"}:
            raise
        return codes
    return None


def _wait(attempt: int) -> None:
    """Wait for others who write the same items: longer each time, and never all equally long."""
    if attempt == _ATTEMPTS:
        raise ServiceThrottled(f"a transaction met others {attempt} times on the same items")
    time.sleep(random.uniform(0, min(_LONGEST_WAIT_S, 0.02 * 2**attempt)))
