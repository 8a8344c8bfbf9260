"""The filters, order and pages that all of SageMaker's List operations share."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from refit_local.sagemaker.wire.errors import ValidationException

Record = dict[str, Any]

DEFAULT_PAGE = 10


def page(
    request: dict[str, Any],
    records: list[Record],
    *,
    name: str,
    status: str | None = None,
    order: str = "Descending",
) -> tuple[list[Record], dict[str, str]]:
    """Return one page of the records that the request asks for.

    Args:
        request: a checked List request.
        records: all records that may be listed.
        name: the member that NameContains and SortBy=Name look at.
        status: the member that StatusEquals and SortBy=Status look at.
        order: the operation's default SortOrder; by default the sort is by CreationTime.

    Returns:
        The records of the page, and `{"NextToken": …}` when there are more.

    Raises:
        ValidationException: when the NextToken is not one that was given out.
    """
    chosen = [record for record in records if _wanted(request, record, name, status)]
    by = {"Name": name, "Status": status, "CreationTime": "CreationTime"}
    member = by.get(request.get("SortBy", "CreationTime")) or "CreationTime"

    def rank(record: Record) -> tuple[Any, str]:
        value = record[member]
        return (value.lower() if isinstance(value, str) else value, record["_key"])

    descending = request.get("SortOrder", order) == "Descending"
    chosen.sort(key=rank, reverse=descending)
    if "NextToken" in request:
        after = _decoded(request["NextToken"])
        chosen = [r for r in chosen if (rank(r) < after if descending else rank(r) > after)]
    size = request.get("MaxResults", DEFAULT_PAGE)
    if len(chosen) <= size:
        return chosen, {}
    return chosen[:size], {"NextToken": _encoded(rank(chosen[size - 1]))}


def _wanted(request: dict[str, Any], record: Record, name: str, status: str | None) -> bool:
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


def _encoded(rank: tuple[Any, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(rank).encode()).decode()


def _decoded(token: str) -> tuple[Any, str]:
    try:
        value, key = json.loads(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError, TypeError):
        raise ValidationException("The NextToken is not valid.") from None
    return value, key
