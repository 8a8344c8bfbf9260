"""Access DynamoDB with plain Python values. Only this module handles DynamoDB's wire format.

    table = Table(client, "models")
    table.get({"pk": "MODEL#digits", "sk": "STATE"})
    table.apply(table.update_request(key, set={"status": "FAILED"}, condition=Attr("pk").exists()))

A `Write` can be applied alone (`apply`), or with others in one transaction (`transact`). Floats are
written as decimals with the digits that `str` prints. Numbers are read as `Decimal`.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from boto3.dynamodb.conditions import ConditionExpressionBuilder
from boto3.dynamodb.types import Binary, TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from refit.domain.errors import ServiceThrottled
from refit.stores.clients import error_code, is_write_conflict, translate_transient_errors
from refit.stores.retries import TRANSACTION_CONFLICTS, UNPROCESSED_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from boto3.dynamodb.conditions import ConditionBase

    from refit.stores.retries import RetryPolicy

Item: TypeAlias = dict[str, Any]
Write: TypeAlias = dict[str, dict[str, Any]]
"""One element of TransactItems: `{"Put" | "Update" | "Delete": request}`, in wire format."""

MAX_TRANSACTION_WRITES = 100
_BATCH_GET_KEYS = 100
_BATCH_WRITE_ITEMS = 25

_CONDITION_FAILED = "ConditionalCheckFailed"
_TRANSIENT_REASONS = frozenset(
    {"TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError", "None", None}
)
_OPERATIONS = {"Put": "put_item", "Update": "update_item", "Delete": "delete_item"}

T = TypeVar("T")

_serializer = TypeSerializer()
_deserializer = TypeDeserializer()


class Table:
    """One table. Reads are strongly consistent, unless the caller says otherwise."""

    def __init__(
        self,
        client: Any,
        name: str,
        unprocessed: RetryPolicy = UNPROCESSED_KEYS,
        conflicts: RetryPolicy = TRANSACTION_CONFLICTS,
    ) -> None:
        self.client = client
        self.name = name
        self._unprocessed = unprocessed
        self._conflicts = conflicts

    def get(self, key: Mapping[str, Any]) -> Item | None:
        """Return an item, or None when it does not exist."""
        with translate_transient_errors():
            answer = self.client.get_item(TableName=self.name, Key=_wire(key), ConsistentRead=True)
        return _plain(answer["Item"]) if "Item" in answer else None

    def get_many(
        self, keys: Iterable[Mapping[str, Any]], *, consistent: bool = True
    ) -> Iterator[Item]:
        """Yield the items that exist, in any order. The keys must be distinct.

        Args:
            keys: keys of the items.
            consistent: False for reads that cost half and may miss the writes of the last second.

        Raises:
            ServiceThrottled: when DynamoDB returns all keys of a batch unprocessed again and again.
        """
        pending = [_wire(key) for key in keys]
        while pending:
            for _ in self._unprocessed.attempts():
                batch, rest = pending[:_BATCH_GET_KEYS], pending[_BATCH_GET_KEYS:]
                request = {self.name: {"Keys": batch, "ConsistentRead": consistent}}
                with translate_transient_errors():
                    answer = self.client.batch_get_item(RequestItems=request)
                yield from map(_plain, answer["Responses"].get(self.name, []))
                unprocessed = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
                pending = unprocessed + rest
                if len(unprocessed) < len(batch):
                    break
            else:
                raise ServiceThrottled(f"table {self.name} returned all keys unprocessed")

    def query(
        self,
        condition: ConditionBase,
        index: str | None = None,
        attributes: str | None = None,
        *,
        consistent: bool = True,
    ) -> Iterator[Item]:
        """Yield the items that match a key condition in the order of their sort keys.

        Args:
            condition: key condition made with `boto3.dynamodb.conditions.Key`.
            index: name of a global secondary index; its reads are eventually consistent.
            attributes: projection expression; None for whole items.
            consistent: False for a read that costs half and may miss the writes of the last second.
        """
        request = self._key_request(condition)
        request |= {"IndexName": index} if index else {"ConsistentRead": consistent}
        if attributes:
            request["ProjectionExpression"] = attributes
        yield from self._pages("query", request)

    def newest(
        self, condition: ConditionBase, limit: int | None = None, *, consistent: bool = True
    ) -> Iterator[Item]:
        """Yield the items that match a key condition, those with the last sort keys first.

        Args:
            condition: key condition made with `boto3.dynamodb.conditions.Key`.
            limit: number of items that DynamoDB reads at a time; None for 1 MB.
            consistent: False for a read that costs half and may miss the writes of the last second.
        """
        request = self._key_request(condition) | {"ConsistentRead": consistent}
        request["ScanIndexForward"] = False
        if limit is not None:
            request["PaginationConfig"] = {"PageSize": limit}
        yield from self._pages("query", request)

    def first(self, condition: ConditionBase, limit: int) -> list[Item]:
        """Return the first items that match a key condition, in the order of their sort keys."""
        request = self._key_request(condition) | {"ConsistentRead": True}
        request["PaginationConfig"] = {"PageSize": limit}
        return list(islice(self._pages("query", request), limit))

    def scan(self, condition: ConditionBase, attributes: str) -> Iterator[Item]:
        """Yield the items that match a condition. Reads the whole table, so it is slow and costs.

        Args:
            condition: filter made with `boto3.dynamodb.conditions.Attr`.
            attributes: projection expression.
        """
        expression = ConditionExpressionBuilder().build_expression(condition)
        request = {
            "TableName": self.name,
            "ConsistentRead": True,
            "FilterExpression": expression.condition_expression,
            "ProjectionExpression": attributes,
            "ExpressionAttributeNames": expression.attribute_name_placeholders,
        }
        if values := expression.attribute_value_placeholders:
            request["ExpressionAttributeValues"] = _wire(values)
        yield from self._pages("scan", request)

    def _key_request(self, condition: ConditionBase) -> dict[str, Any]:
        expression = ConditionExpressionBuilder().build_expression(condition, True)
        return {
            "TableName": self.name,
            "KeyConditionExpression": expression.condition_expression,
            "ExpressionAttributeNames": expression.attribute_name_placeholders,
            "ExpressionAttributeValues": _wire(expression.attribute_value_placeholders),
        }

    def delete_many(self, keys: Iterable[Mapping[str, Any]]) -> None:
        """Delete items; a key without an item is ignored. The keys must be distinct.

        Raises:
            ServiceThrottled: when DynamoDB returns deletions unprocessed again and again. The items
                before them are deleted.
        """
        self._write_many({"DeleteRequest": {"Key": _wire(key)}} for key in keys)

    def put_many(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Write whole items. Their keys must be distinct.

        Raises:
            ServiceThrottled: when DynamoDB returns items unprocessed again and again. The items
                before them are written.
        """
        self._write_many({"PutRequest": {"Item": _wire(item)}} for item in items)

    def _write_many(self, requests: Iterable[dict[str, Any]]) -> None:
        left = iter(requests)
        while pending := list(islice(left, _BATCH_WRITE_ITEMS)):
            for _ in self._unprocessed.attempts():
                with translate_transient_errors():
                    answer = self.client.batch_write_item(RequestItems={self.name: pending})
                pending = answer.get("UnprocessedItems", {}).get(self.name, [])
                if not pending:
                    break
            else:
                raise ServiceThrottled(f"table {self.name} returned writes unprocessed")

    def _pages(self, operation: str, request: dict[str, Any]) -> Iterator[Item]:
        pages = iter(self.client.get_paginator(operation).paginate(**request))
        while True:
            with translate_transient_errors():
                page = next(pages, None)
            if page is None:
                return
            yield from map(_plain, page["Items"])

    def put_request(self, item: Mapping[str, Any], condition: ConditionBase | None = None) -> Write:
        """Return the write that stores a whole item. Values that are None are left out."""
        stored = {name: value for name, value in item.items() if value is not None}
        return {"Put": {"TableName": self.name, "Item": _wire(stored)} | _conditional(condition)}

    def update_request(
        self,
        key: Mapping[str, Any],
        *,
        set: Mapping[str, Any] | None = None,
        set_once: Mapping[str, Any] | None = None,
        add: Mapping[str, Any] | None = None,
        increment: Mapping[str, int] | None = None,
        remove: Iterable[str] = (),
        condition: ConditionBase | None = None,
    ) -> Write:
        """Return the write that changes attributes of an item, or creates the item.

        Args:
            key: key of the item.
            set: new values by attribute; None removes the attribute. A dot in the name of an
                attribute selects an element of a map.
            set_once: values that are set only if the item does not have the attribute yet.
            add: numbers to add to, or sets to merge with, top-level attributes.
            increment: numbers to add to attributes that exist; a dot selects an element of a map.
            remove: attributes to remove.
            condition: condition on the item before the write.
        """
        expression = _UpdateExpression()
        removed = [*remove, *(name for name, value in (set or {}).items() if value is None)]
        for name, value in (set or {}).items():
            if value is not None:
                expression.set(name, value)
        for name, value in (set_once or {}).items():
            expression.set_once(name, value)
        for name, value in (increment or {}).items():
            expression.increment(name, value)
        for name, value in (add or {}).items():
            expression.add(name, value)
        for name in removed:
            expression.remove(name)
        request = {"TableName": self.name, "Key": _wire(key)} | expression.request()
        return {"Update": _merged(request, _conditional(condition))}

    def delete_request(
        self, key: Mapping[str, Any], condition: ConditionBase | None = None
    ) -> Write:
        """Return the write that deletes an item."""
        return {"Delete": {"TableName": self.name, "Key": _wire(key)} | _conditional(condition)}

    def apply(self, write: Write) -> bool:
        """Apply one write; return False when its condition was not met.

        Raises:
            ServiceThrottled: when a transaction was writing the item at every attempt, or DynamoDB
                throttles.
        """
        ((kind, request),) = write.items()
        for _ in self._conflicts.attempts():
            try:
                with translate_transient_errors():
                    getattr(self.client, _OPERATIONS[kind])(**request)
            except ServiceThrottled as error:
                if not is_write_conflict(error):  # botocore has retried it
                    raise
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                return False
            else:
                return True
        raise ServiceThrottled(f"transactions kept writing an item of table {self.name}")


def transact(client: Any, writes: Sequence[Write]) -> list[str | None]:
    """Apply up to 100 writes in one transaction.

    Returns:
        The cancellation reason of each write, in order; empty when the transaction succeeded.

    Raises:
        ClientError: when it was cancelled for a reason other than a condition or a transient error.
    """
    try:
        with translate_transient_errors():
            client.transact_write_items(TransactItems=list(writes))
    except ClientError as error:
        if error_code(error) != "TransactionCanceledException":
            raise
        codes = [reason.get("Code") for reason in error.response["CancellationReasons"]]
        if not set(codes) <= _TRANSIENT_REASONS | {_CONDITION_FAILED}:
            raise
        return codes
    return []


def transact_each(
    client: Any,
    changes: Sequence[T],
    writes_of: Callable[[Sequence[T]], list[Write]],
    policy: RetryPolicy = TRANSACTION_CONFLICTS,
    on_conflict: Callable[[], None] | None = None,
) -> tuple[list[T], list[T]]:
    """Apply changes in one transaction, without the changes whose condition is not met.

    Counters in the same transaction are updated together with what they count, or not at all, even
    if this process never receives the response.

    Args:
        client: boto3 client of DynamoDB.
        changes: the changes to write.
        writes_of: returns the writes for some of the changes: first one write for each change, in
            the same order, then other writes of the transaction, such as counters.
        policy: retries of a transaction that conflicts with other transactions.
        on_conflict: called before such a retry.

    Returns:
        The changes that were written, and those whose condition was not met.

    Raises:
        ServiceThrottled: when the attempts are used up; nothing was written.
    """
    pending, outdated = list(changes), list[T]()
    for _ in policy.attempts():
        while pending:
            codes = transact(client, writes_of(pending))
            if not codes:
                return pending, outdated
            if _CONDITION_FAILED not in codes[: len(pending)]:
                if on_conflict is not None:
                    on_conflict()
                break  # a conflict with another transaction: wait and try again
            results = list(zip(pending, codes, strict=False))
            outdated += [change for change, code in results if condition_failed(code)]
            pending = [change for change, code in results if not condition_failed(code)]
        else:
            return [], outdated
    raise ServiceThrottled("a transaction conflicted with other writes")


def condition_failed(code: str | None) -> bool:
    """Return whether a write of a transaction was cancelled because its condition was not met."""
    return code == _CONDITION_FAILED


class _UpdateExpression:
    """Collects the clauses and placeholders of an UpdateExpression."""

    def __init__(self) -> None:
        self._clauses: dict[str, list[str]] = {"SET": [], "ADD": [], "REMOVE": []}
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}

    def set(self, name: str, value: Any) -> None:
        self._clauses["SET"].append(f"{self._name(name)} = {self._value(value)}")

    def set_once(self, name: str, value: Any) -> None:
        path = self._name(name)
        self._clauses["SET"].append(f"{path} = if_not_exists({path}, {self._value(value)})")

    def increment(self, name: str, value: int) -> None:
        path = self._name(name)
        self._clauses["SET"].append(f"{path} = {path} + {self._value(value)}")

    def add(self, name: str, value: Any) -> None:
        self._clauses["ADD"].append(f"{self._name(name)} {self._value(value)}")

    def remove(self, name: str) -> None:
        self._clauses["REMOVE"].append(self._name(name))

    def request(self) -> dict[str, Any]:
        clauses = (f"{word} {', '.join(parts)}" for word, parts in self._clauses.items() if parts)
        request: dict[str, Any] = {
            "UpdateExpression": " ".join(clauses),
            "ExpressionAttributeNames": self._names,
        }
        return request | ({"ExpressionAttributeValues": self._values} if self._values else {})

    def _name(self, path: str) -> str:
        placeholders = []
        for part in path.split("."):
            placeholder = f"#u{len(self._names)}"
            self._names[placeholder] = part
            placeholders.append(placeholder)
        return ".".join(placeholders)

    def _value(self, value: Any) -> str:
        placeholder = f":u{len(self._values)}"
        self._values[placeholder] = _serialized(value)
        return placeholder


def _conditional(condition: ConditionBase | None) -> dict[str, Any]:
    if condition is None:
        return {}
    expression = ConditionExpressionBuilder().build_expression(condition)
    request: dict[str, Any] = {
        "ConditionExpression": expression.condition_expression,
        "ExpressionAttributeNames": expression.attribute_name_placeholders,
    }
    values = expression.attribute_value_placeholders
    return request | ({"ExpressionAttributeValues": _wire(values)} if values else {})


def _merged(request: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Merge two requests whose maps of placeholders have different keys."""
    merged = request | more
    for name in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
        if name in request and name in more:
            merged[name] = request[name] | more[name]
    return merged


def _wire(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _serialized(value) for name, value in values.items()}


def _serialized(value: Any) -> Any:
    return _serializer.serialize(_with_decimals(value))


def _with_decimals(value: Any) -> Any:
    if isinstance(value, float):
        return Decimal(str(value))
    if isinstance(value, dict):
        return {name: _with_decimals(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_with_decimals(part) for part in value]
    return value


def _plain(item: Mapping[str, Any]) -> Item:
    return {name: _deserialized(value) for name, value in item.items()}


def _deserialized(value: Any) -> Any:
    plain = _deserializer.deserialize(value)
    return cast("Any", plain).value if isinstance(plain, Binary) else plain
