"""The stored items behave as the dictionaries of MiniStack do."""

from __future__ import annotations

import copy
import tracemalloc
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refit_local.state.database import connect
from refit_local.state.table_items import StoredItems, TableItems

if TYPE_CHECKING:
    from pathlib import Path

ITEM: dict[str, Any] = {"id": {"S": "ü𝄞"}, "n": {"N": "1"}, "l": {"L": [{"NULL": True}]}}
KEYS = st.sampled_from(["", "a", "b", "Z", "é", "𝄞"])
ITEMS = st.dictionaries(st.sampled_from(["x", 'a "name"', "n"]), st.just({"N": "1"}))
OPERATIONS = st.one_of(
    st.tuples(st.just("set"), KEYS, KEYS, ITEMS),
    st.tuples(st.just("pop"), KEYS, KEYS, st.none()),
    st.tuples(st.just("delete"), KEYS, KEYS, st.none()),
    st.tuples(st.just("replace"), KEYS, KEYS, ITEMS),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TableItems:
    return TableItems(connect(tmp_path_factory.mktemp("state")))


@pytest.fixture
def items(store: TableItems, request: pytest.FixtureRequest) -> StoredItems:
    return store.of("0", "eu", request.node.name)


def sorted_by_key(items: Any) -> dict[str, dict[str, Any]]:
    return {pk: dict(sorted(items[pk].items())) for pk in sorted(items)}


def change(items: Any, operation: str, pk: str, sk: str, item: Any) -> Any:
    """Do what MiniStack does with the items of a table."""
    if operation == "set":
        items.setdefault(pk, {})[sk] = item
    elif operation == "replace":
        items[pk] = {sk: item}
    elif operation == "delete" and pk in items:
        del items[pk]
    elif operation == "pop":
        partition = items.get(pk)
        old = partition.pop(sk, None) if partition is not None else None
        if partition is not None and not partition:
            del items[pk]
        return old
    return None


@settings(max_examples=60, deadline=None)
@given(st.lists(OPERATIONS, max_size=12))
def test_any_operations_give_the_same_items_as_dictionaries(
    store: TableItems, operations: list[tuple[str, str, str, Any]]
) -> None:
    stored, expected = store.of("0", "eu", "same"), defaultdict[str, dict[str, Any]](dict)
    stored.clear()
    for operation in operations:
        assert change(stored, *operation) == change(expected, *operation)
        assert sorted_by_key(stored) == sorted_by_key(expected)
        _, pk, sk, _ = operation
        assert (pk in stored, len(stored), bool(stored)) == (
            pk in expected,
            len(expected),
            bool(expected),
        )
        assert stored.get(pk, {}).get(sk) == expected.get(pk, {}).get(sk)
        assert (sk in stored.get(pk, ())) == (sk in expected.get(pk, ()))
        assert list(stored.get(pk, {}).values()) == list(
            sorted_by_key(expected).get(pk, {}).values()
        )
    assert stored.count() == sum(len(partition) for partition in expected.values())
    scanned = [(pk, sk) for pk in sorted(expected) for sk in sorted(expected[pk])]
    assert [(pk, sk) for pk, sk, _ in stored.since("", "")] == scanned


def test_an_item_is_read_as_it_was_written(items: StoredItems) -> None:
    items["p"]["s"] = ITEM
    assert items["p"]["s"] == ITEM
    assert list(items["p"]["s"]) == list(ITEM), "the attributes keep their order"


def test_items_of_a_failed_transaction_are_forgotten(store: TableItems, items: StoredItems) -> None:
    def write_and_fail() -> None:
        with store.database.transaction():
            items["p"]["s"] = ITEM
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    store.forget()
    assert items["p"].get("s") is None


def test_only_the_items_that_were_used_last_are_in_memory(items: StoredItems) -> None:
    tracemalloc.start()
    for number in range(1000):
        items[str(number)]["s"] = {"n": {"N": str(number)}, "text": {"S": str(number) * 5000}}
        assert items[str(number)]["s"]["n"] == {"N": str(number)}
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 5_000_000, "10 MB of items were written"
    assert items["0"]["s"]["n"] == {"N": "0"}


def test_a_missing_item_is_a_key_error(items: StoredItems) -> None:
    with pytest.raises(KeyError):
        items["p"]["s"]
    with pytest.raises(KeyError):
        del items["p"]["s"]


def test_tables_have_items_of_their_own(store: TableItems) -> None:
    first, second = store.of("0", "eu", "first"), store.of("0", "us", "first")
    first["p"]["s"] = ITEM
    assert len(second) == 0
    second.replace({"q": {"s": ITEM}})
    first.clear()
    assert list(second) == ["q"]


def test_the_copy_of_a_partition_is_in_memory(items: StoredItems) -> None:
    items["p"]["s"] = ITEM
    copied = copy.deepcopy(dict(items))
    items.clear()
    assert copied == {"p": {"s": ITEM}}


def test_a_scan_continues_after_more_items_than_are_read_at_once(items: StoredItems) -> None:
    items.replace({f"{pk:04}": {"s": {}, "t": {}} for pk in range(700)})
    keys = [(pk, sk) for pk, sk, _ in items.since("0100", "t")]
    assert keys[:2] == [("0100", "t"), ("0101", "s")]
    assert len(keys) == len(set(keys)) == 1199


def test_items_are_found_by_the_attributes_that_they_have(items: StoredItems) -> None:
    items.replace({"a": {"": {'"q" .': {"S": ""}, "n": {"N": "1"}}}, "b": {"": {"n": {"N": "1"}}}})
    assert [pk for pk, _, _ in items.with_attributes(["n"])] == ["a", "b"]
    assert [pk for pk, _, _ in items.with_attributes(["n", '"q" .'])] == ["a"]


def test_items_are_found_by_the_time_at_which_they_expire(
    store: TableItems, items: StoredItems
) -> None:
    items.replace(
        {
            "past": {"": {"ttl": {"N": "99.5"}}},
            "now": {"": {"ttl": {"N": "100"}}},
            "future": {"": {"ttl": {"N": "101"}}},
            "text": {"": {"ttl": {"S": "1"}}},
            "never": {"": {}},
        }
    )
    reader = store.database.reader()
    assert sorted(items.expired(reader, "ttl", 100)) == [("now", ""), ("past", "")]
    items["quoted"][""] = {'"ttl"': {"N": "99"}}
    assert items.expired(reader, '"ttl"', 100) == [("quoted", "")]
    reader.close()


def test_items_are_there_when_the_database_is_opened_again(tmp_path: Path) -> None:
    TableItems(connect(tmp_path)).of("0", "eu", "kept")["p"]["s"] = ITEM
    again = TableItems(connect(tmp_path))
    assert again.of("0", "eu", "kept")["p"]["s"] == ITEM
    assert len(again.of("0", "eu", "other")) == 0
