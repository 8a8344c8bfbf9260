"""DynamoDB of the local stack: writers that meet, and the limits of items and transactions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from refit.domain.inferences.label_outcome import LabelOutcome, LabelStatus
from refit.stores.dynamodb import Table
from refit.stores.labels import LabelStore
from refit.stores.shards import Shards

if TYPE_CHECKING:
    from collections.abc import Callable

    from stack_under_test import LocalAws

COUNTER = {"id": {"S": "counter"}}


def update(table: str, key: dict[str, Any] = COUNTER) -> dict[str, Any]:
    return {
        "TableName": table,
        "Key": key,
        "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }


def put(table: str, name: str, size: int) -> dict[str, Any]:
    return {"TableName": table, "Item": {"id": {"S": name}, "text": {"S": "x" * size}}}


def together(calls: list[Callable[[], Any]]) -> list[ClientError]:
    """Make calls at the same time; return the errors."""

    def error_of(call: Callable[[], Any]) -> ClientError | None:
        try:
            call()
        except ClientError as error:
            return error
        return None

    with ThreadPoolExecutor(len(calls)) as pool:
        return [error for error in pool.map(error_of, calls) if error is not None]


def number(aws: LocalAws, table: str) -> int:
    item = aws.client("dynamodb").get_item(TableName=table, Key=COUNTER, ConsistentRead=True)
    return int(item["Item"]["n"]["N"])


def transactions(aws: LocalAws, table: str, others: list[str]) -> list[Callable[[], Any]]:
    """Return transactions that write an item of their own and add one to the counter."""
    client = aws.client("dynamodb")

    def call(name: str) -> Callable[[], Any]:
        own = [{"Put": put(table, f"{name}-{index}", 1)} for index in range(50)]
        return lambda: client.transact_write_items(TransactItems=[*own, {"Update": update(table)}])

    return [call(name) for name in others]


def test_transactions_that_overlap_on_an_item_are_cancelled(aws: LocalAws) -> None:
    aws.table("overlap")
    errors = together(transactions(aws, "overlap", [f"t{index}" for index in range(6)]))
    assert errors, "six transactions at the same time did not meet"
    assert number(aws, "overlap") == 6 - len(errors), "each is applied as a whole or not at all"
    for error in errors:
        assert error.response["Error"]["Code"] == "TransactionCanceledException"
        reasons = error.response["CancellationReasons"]
        assert [reason["Code"] for reason in reasons[:-1]] == ["None"] * 50
        assert reasons[-1] == {
            "Code": "TransactionConflict",
            "Message": "Transaction is ongoing for the item",
        }


@pytest.mark.parametrize("operation", ["put_item", "update_item", "delete_item"])
def test_a_single_write_is_refused_while_a_transaction_writes_its_item(
    aws: LocalAws, operation: str
) -> None:
    table = f"single-{operation.replace('_', '-')}"
    aws.table(table)
    client = aws.client("dynamodb")
    request: dict[str, Any] = {
        "put_item": {"TableName": table, "Item": COUNTER},
        "update_item": update(table),
        "delete_item": {"TableName": table, "Key": COUNTER},
    }[operation]
    refusals: list[str] = []

    def until_refused() -> None:
        for _ in range(500):
            try:
                getattr(client, operation)(**request)
            except ClientError as error:
                refusals.append(error.response["Error"]["Code"])
                return

    def transact() -> None:
        while not refusals:
            together(transactions(aws, table, ["t"]))

    with ThreadPoolExecutor(2) as pool:
        writing = pool.submit(until_refused)
        transacting = pool.submit(transact)
        writing.result()
        refusals.append("none was refused")
        transacting.result()
    assert refusals[0] == "TransactionConflictException"


def test_transactions_on_different_items_do_not_meet(aws: LocalAws) -> None:
    aws.table("apart")
    client = aws.client("dynamodb")
    keys = [{"id": {"S": f"counter-{index}"}} for index in range(6)]

    def call(key: dict[str, Any]) -> Callable[[], Any]:
        return lambda: client.transact_write_items(TransactItems=[{"Update": update("apart", key)}])

    assert together([call(key) for key in keys]) == []


def test_an_item_of_more_than_400_kb_is_refused(aws: LocalAws) -> None:
    aws.table("large")
    client = aws.client("dynamodb")
    client.put_item(**put("large", "fits", 400 * 1024 - 20))
    with pytest.raises(ClientError, match=r"ValidationException.*maximum allowed size"):
        client.put_item(**put("large", "too-large", 400 * 1024))
    grow = {
        "TableName": "large",
        "Key": {"id": {"S": "fits"}},
        "UpdateExpression": "SET more = :more",
        "ExpressionAttributeValues": {":more": {"S": "y" * 100}},
    }
    message = "Item size to update has exceeded the maximum allowed size"
    with pytest.raises(ClientError, match=f"ValidationException.*{message}"):
        client.update_item(**grow)
    with pytest.raises(ClientError) as cancelled:
        client.transact_write_items(TransactItems=[{"Update": grow}])
    [reason] = cancelled.value.response["CancellationReasons"]
    assert (reason["Code"], message in reason["Message"]) == ("ValidationError", True)


def test_a_transaction_whose_items_have_more_than_4_mb_is_refused(aws: LocalAws) -> None:
    aws.table("heavy")
    client = aws.client("dynamodb")
    names = [f"i{index}" for index in range(11)]
    for name in names:
        client.put_item(**put("heavy", name, 395 * 1024))
    updates = [{"Update": update("heavy", {"id": {"S": name}})} for name in names]
    client.transact_write_items(TransactItems=updates[:10])
    with pytest.raises(ClientError, match=r"ValidationException.*4 MB"):
        client.transact_write_items(TransactItems=updates)


def test_a_transaction_of_more_than_100_actions_is_refused(aws: LocalAws) -> None:
    aws.table("many")
    puts = [{"Put": put("many", f"i{index}", 1)} for index in range(101)]
    with pytest.raises(ClientError, match="less than or equal to 100"):
        aws.client("dynamodb").transact_write_items(TransactItems=puts)


def test_an_expression_of_more_than_4_kb_is_refused(aws: LocalAws) -> None:
    aws.table("long")
    names = {f"#n{index}": f"n{index}" for index in range(400)}
    request = {
        **update("long"),
        "UpdateExpression": "ADD " + ", ".join(f"{name} :one" for name in names),
        "ExpressionAttributeNames": names,
    }
    message = "Expression size has exceeded the maximum allowed size"
    with pytest.raises(ClientError, match=f"ValidationException.*{message}"):
        aws.client("dynamodb").update_item(**request)
    with pytest.raises(ClientError, match=f"ValidationException.*{message}"):
        aws.client("dynamodb").transact_write_items(TransactItems=[{"Update": request}])


def test_repeats_and_rejections_are_counted_once_although_the_answer_is_lost(
    aws: LocalAws,
) -> None:
    client = aws.client("dynamodb")
    keys = ("pk", "sk")
    client.create_table(
        TableName="label-counters",
        KeySchema=[
            {"AttributeName": key, "KeyType": kind}
            for key, kind in zip(keys, ("HASH", "RANGE"), strict=True)
        ],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    answers = 0

    def lose_the_first(response: Any, **_: Any) -> float | None:
        nonlocal answers
        answers += response is not None
        return 0.0 if answers == 1 else None  # seconds until botocore sends the request again

    client.meta.events.register_first("needs-retry.dynamodb", lose_the_first)
    table = Table(client, "label-counters")
    labels = LabelStore(table, table, Shards())
    outcomes = [LabelOutcome(LabelStatus.REPEAT), LabelOutcome(LabelStatus.REJECTED)]
    try:
        labels.count_outcomes("digits", outcomes)
    finally:
        client.meta.events.unregister("needs-retry.dynamodb", lose_the_first)
    assert answers == 2
    counters = labels.load_counters("digits")
    assert (counters.repeat, counters.rejected) == (1, 1)
