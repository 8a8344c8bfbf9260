"""Table: items are read and written as plain Python values."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from refit.domain.errors import ServiceThrottled
from refit.stores.dynamodb import Table

from tests.support.aws_clients import RequestLog, Waits

if TYPE_CHECKING:
    from tests.support.aws_stack import Stack

KEY = {"pk": "MODEL#digits", "sk": "STATE"}


@pytest.fixture
def table(stack: Stack) -> Table:
    return stack.services.model_table


def stored(table: Table, **attributes: Any) -> None:
    assert table.apply(table.put_request(KEY | attributes))


def attributes_of(table: Table) -> dict[str, Any]:
    item = table.get(KEY) or {}
    return {name: value for name, value in item.items() if name not in KEY}


def test_an_item_is_read_with_the_values_that_were_written(table: Table) -> None:
    values = {
        "text": "a",
        "whole": 3,
        "share": 0.1,
        "yes": True,
        "list": [1, "b", 0.25],
        "map": {"inner": {"deep": 2.5}},
        "numbers": {1, 2},
        "bytes": b"\x00\x01",
    }
    stored(table, **values)
    assert attributes_of(table) == values | {
        "share": Decimal("0.1"),
        "list": [1, "b", Decimal("0.25")],
        "map": {"inner": {"deep": Decimal("2.5")}},
    }


def test_a_missing_item_is_none(table: Table) -> None:
    assert table.get(KEY) is None


def test_a_value_of_none_is_not_stored(table: Table) -> None:
    stored(table, error=None, status="FAILED")
    assert attributes_of(table) == {"status": "FAILED"}


def test_more_keys_than_one_batch_holds_are_all_read_and_missing_items_are_left_out(
    table: Table,
) -> None:
    for number in range(0, 250, 2):
        table.apply(table.put_request({"pk": "P", "sk": f"{number:03d}"}))
    items = table.get_many({"pk": "P", "sk": f"{number:03d}"} for number in range(250))
    assert sorted(item["sk"] for item in items) == [f"{number:03d}" for number in range(0, 250, 2)]


class PartialBatches:
    """A client that processes two keys of each BatchGetItem request."""

    def __init__(self) -> None:
        self.batch_sizes: list[int] = []

    def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:
        ((name, request),) = RequestItems.items()
        keys = request["Keys"]
        self.batch_sizes.append(len(keys))
        rest = {name: {"Keys": keys[2:]}} if keys[2:] else {}
        return {"Responses": {name: keys[:2]}, "UnprocessedKeys": rest}


def test_unprocessed_keys_of_a_batch_are_requested_again() -> None:
    client = PartialBatches()
    keys = [{"pk": "P", "sk": str(number)} for number in range(5)]
    assert list(Table(client, "models").get_many(keys)) == keys
    assert client.batch_sizes == [5, 3, 1]


def test_a_query_yields_all_pages_in_the_order_of_the_sort_keys(table: Table) -> None:
    for number in (3, 1, 0, 2, 4):
        table.apply(table.put_request({"pk": "P", "sk": str(number), "text": "x" * 350_000}))
    with RequestLog(table.client, "dynamodb", "Query") as log:
        items = list(table.query(Key("pk").eq("P")))
    assert [item["sk"] for item in items] == ["0", "1", "2", "3", "4"]
    assert len(log.requests) > 1


def test_a_query_returns_only_the_requested_attributes(table: Table) -> None:
    for number in range(3):
        table.apply(table.put_request({"pk": "P", "sk": f"COHORT#{number}", "labelled": number}))
    table.apply(table.put_request({"pk": "P", "sk": "STATE", "labelled": 9}))
    condition = Key("pk").eq("P") & Key("sk").begins_with("COHORT#")
    items = list(table.query(condition, attributes="labelled"))
    assert items == [{"labelled": 0}, {"labelled": 1}, {"labelled": 2}]


def test_a_query_can_use_an_index(stack: Stack) -> None:
    table = stack.services.inference_table
    for number, model in enumerate(("digits", "letters", "digits")):
        item = {"id": f"{number}", "held_model": model, "held_until": f"2025-01-0{9 - number}"}
        table.apply(table.put_request(item))
    items = table.query(Key("held_model").eq("digits"), index="HeldLabels")
    assert [item["id"] for item in items] == ["2", "0"]


def test_reads_are_strongly_consistent_except_those_of_an_index(stack: Stack) -> None:
    table, indexed = stack.services.model_table, stack.services.inference_table
    with RequestLog(table.client, "dynamodb", "GetItem", "BatchGetItem", "Query") as log:
        table.get(KEY)
        list(table.get_many([KEY]))
        list(table.query(Key("pk").eq("P")))
        list(indexed.query(Key("held_model").eq("digits"), index="HeldLabels"))
    get, batch, query, index = log.requests
    assert get["ConsistentRead"] is True
    assert batch["RequestItems"]["models"]["ConsistentRead"] is True
    assert query["ConsistentRead"] is True
    assert "ConsistentRead" not in index


def test_an_update_creates_an_item_that_does_not_exist(table: Table) -> None:
    assert table.apply(table.update_request(KEY, set={"status": "STARTED", "name": "digits"}))
    assert attributes_of(table) == {"status": "STARTED", "name": "digits"}


def test_an_update_sets_and_removes_attributes(table: Table) -> None:
    stored(table, status="FAILED", error="x", message="y", rows=3)
    table.apply(
        table.update_request(KEY, set={"status": "STARTED", "error": None}, remove=["message"])
    )
    assert attributes_of(table) == {"status": "STARTED", "rows": 3}


def test_an_attribute_that_is_set_once_keeps_its_first_value(table: Table) -> None:
    for seconds in (60, 120):
        table.apply(table.update_request(KEY, set_once={"seconds": seconds}))
    assert attributes_of(table) == {"seconds": 60}


def test_an_update_adds_to_numbers_and_merges_sets(table: Table) -> None:
    for count, number in ((2, 7), (3, 8)):
        table.apply(table.update_request(KEY, add={"labelled": count, "files": {number}}))
    assert attributes_of(table) == {"labelled": 5, "files": {7, 8}}


def test_a_number_within_a_map_is_incremented(table: Table) -> None:
    stored(table, verdict={"revision": 1, "status": "drifted"})
    table.apply(table.update_request(KEY, increment={"verdict.revision": 2}))
    assert attributes_of(table) == {"verdict": {"revision": 3, "status": "drifted"}}


def test_a_path_with_dots_changes_one_value_of_a_map(table: Table) -> None:
    stored(table, verdict={"alarm": {"notified": False, "kind": "quality"}, "note": "x"})
    table.apply(
        table.update_request(KEY, set={"verdict.alarm.notified": True, "verdict.note": None})
    )
    assert attributes_of(table) == {"verdict": {"alarm": {"notified": True, "kind": "quality"}}}


def test_one_update_combines_all_clauses_with_a_condition(table: Table) -> None:
    stored(table, revision=1, count=1, note="x")
    write = table.update_request(
        KEY,
        set={"status": "b"},
        set_once={"seconds": 60},
        add={"count": 4},
        increment={"revision": 1},
        remove=["note"],
        condition=Attr("revision").eq(1) & Attr("note").exists(),
    )
    assert table.apply(write)
    assert attributes_of(table) == {"revision": 2, "count": 5, "seconds": 60, "status": "b"}


def test_a_delete_removes_the_item(table: Table) -> None:
    stored(table, status="a")
    assert table.apply(table.delete_request(KEY))
    assert table.get(KEY) is None


def test_a_write_whose_condition_does_not_hold_returns_false_and_changes_nothing(
    table: Table,
) -> None:
    stored(table, status="a")
    not_b = Attr("status").eq("b")
    for write in (
        table.put_request(KEY | {"status": "c"}, not_b),
        table.update_request(KEY, set={"status": "c"}, condition=not_b),
        table.delete_request(KEY, not_b),
    ):
        assert not table.apply(write)
    assert attributes_of(table) == {"status": "a"}


def test_a_write_whose_condition_holds_returns_true(table: Table) -> None:
    absent = Attr("pk").not_exists()
    assert table.apply(table.put_request(KEY | {"status": "a"}, absent))
    assert table.apply(
        table.update_request(KEY, set={"status": "b"}, condition=Attr("status").eq("a"))
    )
    assert table.apply(table.delete_request(KEY, Attr("status").eq("b")))


def test_an_error_that_is_neither_a_condition_nor_transient_is_raised(stack: Stack) -> None:
    missing = Table(stack.services.client("dynamodb"), "no-such-table")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        missing.apply(missing.put_request({"pk": "P", "sk": "1"}))


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ProvisionedThroughputExceededException", 400),
        ("InternalServerError", 500),
    ],
)
def test_a_transient_error_of_dynamodb_is_named_so_that_it_is_retried(
    table: Table, code: str, status: int
) -> None:
    with Stubber(table.client) as answers:
        for operation in ("get_item", "batch_get_item", "query", "put_item"):
            answers.add_client_error(operation, code, http_status_code=status)
        with pytest.raises(ServiceThrottled, match=code):
            table.get(KEY)
        with pytest.raises(ServiceThrottled, match=code):
            list(table.get_many([KEY]))
        with pytest.raises(ServiceThrottled, match=code):
            list(table.query(Key("pk").eq("P")))
        with pytest.raises(ServiceThrottled, match=code):
            table.apply(table.put_request(KEY))


@pytest.mark.parametrize("operation", ["put_item", "update_item", "delete_item"])
def test_a_write_that_meets_a_transaction_is_repeated(stack: Stack, operation: str) -> None:
    waits = Waits()
    client = stack.services.client("dynamodb")
    table = Table(client, "models", conflicts=waits.policy())
    write = {
        "put_item": table.put_request(KEY),
        "update_item": table.update_request(KEY, add={"n": 1}),
        "delete_item": table.delete_request(KEY),
    }[operation]
    with Stubber(client) as answers:
        for _ in range(2):
            answers.add_client_error(operation, "TransactionConflictException")
        answers.add_response(operation, {})
        assert table.apply(write)
        answers.assert_no_pending_responses()
    assert len(waits.seconds) == 2


def test_a_write_that_keeps_meeting_transactions_is_throttled(stack: Stack) -> None:
    waits = Waits()
    client = stack.services.client("dynamodb")
    table = Table(client, "models", conflicts=waits.policy())
    with Stubber(client) as answers:
        for _ in range(4):
            answers.add_client_error("put_item", "TransactionConflictException")
        with pytest.raises(ServiceThrottled, match="transactions kept writing an item of table"):
            table.apply(table.put_request(KEY))
        answers.assert_no_pending_responses()


def test_a_scan_reads_the_whole_table_strongly_consistently(table: Table) -> None:
    for number in range(30):
        table.apply(table.put_request({"pk": "p", "sk": f"{number:02}", "text": "x" * 100_000}))
    with RequestLog(table.client, "dynamodb", "Scan") as log:
        found = [item["sk"] for item in table.scan(Attr("sk").gte("28"), "sk")]
    assert sorted(found) == ["28", "29"]
    assert len(log.requests) > 1, "the pages before them are read, too, and paid for"
    assert all(request["ConsistentRead"] for request in log.requests)
