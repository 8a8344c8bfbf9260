"""The filters, the sort order and the pages that all List operations of SageMaker share."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from refit_local.sagemaker.wire.errors import ValidationException
from refit_local.sagemaker.wire.requests import summaries_of

DEFAULT_PAGE_SIZE = 10
ListedRecord = dict[str, Any]
SortKey = tuple[Any, str]


def list_answer(
    operation: str,
    request: dict[str, Any],
    records: list[ListedRecord],
    *,
    name: str,
    status: str | None = None,
    order: str = "Descending",
    value: str | None = None,
) -> dict[str, Any]:
    """Return one page of the records that a List request selects, as the operation's answer.

    Args:
        operation: the List operation.
        request: a checked request.
        records: all records that may be listed; each has a unique `_key`.
        name: the member for NameContains and SortBy=Name.
        status: the member for StatusEquals and SortBy=Status.
        order: the default SortOrder of the operation. The default of SortBy is CreationTime.
        value: the member for SortBy=Value, if the operation has it.

    Raises:
        ValidationException: when the NextToken was not issued by this function.
    """
    members = {"Name": name, "Status": status, "CreationTime": "CreationTime", "Value": value}
    page, token = _page(request, records, members, order)
    return {**summaries_of(operation, page), **token}


def _page(
    request: dict[str, Any],
    records: list[ListedRecord],
    members: dict[str, str | None],
    order: str,
) -> tuple[list[ListedRecord], dict[str, str]]:
    name, status = str(members["Name"]), members["Status"]
    selected = [record for record in records if _matches(request, record, name, status)]
    member = members.get(request.get("SortBy", "CreationTime")) or "CreationTime"

    def sort_key(record: ListedRecord) -> SortKey:
        value = record[member]
        return (value.lower() if isinstance(value, str) else value, record["_key"])

    descending = request.get("SortOrder", order) == "Descending"
    selected.sort(key=sort_key, reverse=descending)
    if "NextToken" in request:
        last = _decoded(request["NextToken"])
        selected = [
            record
            for record in selected
            if (sort_key(record) < last if descending else sort_key(record) > last)
        ]
    size = request.get("MaxResults", DEFAULT_PAGE_SIZE)
    if len(selected) <= size:
        return selected, {}
    return selected[:size], {"NextToken": _encoded(sort_key(selected[size - 1]))}


def _matches(request: dict[str, Any], record: ListedRecord, name: str, status: str | None) -> bool:
    if request.get("NameContains", "").lower() not in record.get(name, "").lower():
        return False
    if status and request.get("StatusEquals") not in (None, record[status]):
        return False
    for member in ("CreationTime", "LastModifiedTime"):
        moment = record.get(member, record["CreationTime"])
        if not (
            request.get(f"{member}After", float("-inf"))
            <= moment
            <= request.get(f"{member}Before", float("inf"))
        ):
            return False
    return True


def _encoded(sort_key: SortKey) -> str:
    return base64.urlsafe_b64encode(json.dumps(sort_key).encode()).decode()


def _decoded(token: str) -> SortKey:
    try:
        value, key = json.loads(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError, TypeError):
        raise ValidationException("The NextToken is not valid.") from None
    return value, key
