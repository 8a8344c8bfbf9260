"""Transactions: what is dropped, what is tried again, and what is an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from boto3.dynamodb.conditions import Attr
from botocore.exceptions import ClientError
from refit.domain.errors import ServiceThrottled
from refit.stores.dynamodb import Table, condition_failed, transact, transact_each

from tests.support.aws_clients import CancelledTransactions, Waits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.stores.dynamodb import Write

    from tests.support.aws_stack import Stack

COUNTER = {"pk": "P", "sk": "COUNTER"}


@pytest.fixture
def table(stack: Stack) -> Table:
    return stack.services.model_table


def counted_writes(table: Table, names: Sequence[str]) -> list[Write]:
    """Write each name unless it exists, and count the names that are written."""
    absent = Attr("pk").not_exists()
    writes = [table.put_request({"pk": "P", "sk": name}, absent) for name in names]
    return [*writes, table.update_request(COUNTER, add={"names": len(names)})]


def write_names(
    table: Table, names: Sequence[str], client: Any = None, waits: Waits | None = None
) -> tuple[list[str], list[str]]:
    policy = (waits or Waits()).policy()
    return transact_each(
        client or table.client, names, lambda some: counted_writes(table, some), policy
    )


def counter(table: Table) -> int:
    return int((table.get(COUNTER) or {}).get("names", 0))


def test_changes_are_written_together_with_their_counter(table: Table) -> None:
    assert write_names(table, ["a", "b", "c"]) == (["a", "b", "c"], [])
    assert counter(table) == 3


def test_changes_whose_condition_does_not_hold_are_dropped_and_the_rest_is_written(
    table: Table,
) -> None:
    write_names(table, ["b", "d"])
    waits = Waits()
    assert write_names(table, ["a", "b", "c", "d"], waits=waits) == (["a", "c"], ["b", "d"])
    assert counter(table) == 4
    assert waits.seconds == [], "a condition is not a reason to wait"


def test_when_no_condition_holds_nothing_is_written(table: Table) -> None:
    write_names(table, ["a", "b"])
    assert write_names(table, ["a", "b"]) == ([], ["a", "b"])
    assert counter(table) == 2


def test_without_changes_no_transaction_is_sent(table: Table) -> None:
    class NoCalls:
        pass

    assert write_names(table, [], client=NoCalls()) == ([], [])


@pytest.mark.parametrize(
    "reason", ["TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError"]
)
def test_a_transaction_that_is_cancelled_for_a_transient_reason_is_tried_again(
    table: Table, reason: str
) -> None:
    reasons = ["None", reason, "None"]
    client = CancelledTransactions(table.client, reasons, reasons)
    waits = Waits()
    assert write_names(table, ["a", "b"], client, waits) == (["a", "b"], [])
    assert client.calls == 3
    assert len(waits.seconds) == 2
    assert counter(table) == 2


def test_dropped_changes_stay_dropped_when_the_rest_is_tried_again(table: Table) -> None:
    client = CancelledTransactions(
        table.client,
        ["ConditionalCheckFailed", "TransactionConflict", "None", "None"],
        ["None", "TransactionConflict", "None"],
    )
    waits = Waits()
    assert write_names(table, ["a", "b", "c"], client, waits) == (["b", "c"], ["a"])
    assert table.get({"pk": "P", "sk": "a"}) is None
    assert counter(table) == 2
    assert len(waits.seconds) == 1


def test_when_the_attempts_are_used_up_nothing_is_written(table: Table) -> None:
    client = CancelledTransactions(table.client, *[["TransactionConflict", "None"]] * 9)
    with pytest.raises(ServiceThrottled, match="conflicted with other writes"):
        write_names(table, ["a"], client)
    assert client.calls == 4
    assert counter(table) == 0


def test_a_failed_condition_of_an_additional_write_does_not_loop_forever(table: Table) -> None:
    client = CancelledTransactions(table.client, *[["None", "ConditionalCheckFailed"]] * 9)
    with pytest.raises(ServiceThrottled):
        write_names(table, ["a"], client)
    assert client.calls == 4


def test_a_transaction_that_is_cancelled_for_another_reason_is_an_error(table: Table) -> None:
    client = CancelledTransactions(table.client, ["ConditionalCheckFailed", "ValidationError"])
    with pytest.raises(ClientError, match="TransactionCanceledException"):
        write_names(table, ["a"], client)
    assert client.calls == 1


def test_a_transaction_that_dynamodb_refuses_is_an_error(table: Table) -> None:
    same_item_twice = [table.put_request(COUNTER), table.put_request(COUNTER)]
    with pytest.raises(ClientError, match="ValidationException"):
        transact(table.client, same_item_twice)


def test_the_reasons_of_a_cancelled_transaction_have_the_order_of_its_writes(
    table: Table,
) -> None:
    write_names(table, ["b"])
    codes = transact(table.client, counted_writes(table, ["a", "b"]))
    assert [condition_failed(code) for code in codes] == [False, True, False]
    assert transact(table.client, counted_writes(table, ["a"])) == []
