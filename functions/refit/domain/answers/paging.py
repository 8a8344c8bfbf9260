"""The pages of lists: limits, and opaque tokens that continue a list."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from refit.domain.errors import ParameterInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_TOKEN = 8192
PAGE_BYTES = 4_000_000
"""A page ends before it would be larger; Lambda returns at most 6 MB."""


class Paging(Enum):
    """A list that has pages: its largest and its usual page, and its order."""

    MODELS = (100, 50, "name")
    RUNS = (100, 20, "start, newest first")
    COHORTS = (200, 48, "start, newest first")
    VERSIONS = (50, 20, "creation, newest first")

    def __init__(self, largest: int, usual: int, order: str) -> None:
        self.largest = largest
        self.usual = usual
        self.order = order


@dataclass(frozen=True)
class PageRequest:
    """Which page of a list is asked for.

    Attributes:
        after: where the page before ended; None for the first page.
    """

    paging: Paging
    scope: str
    limit: int
    after: Any = None

    def after_text(self, begins_with: str = "") -> str | None:
        """Return where the page before ended, which is a text.

        Raises:
            ParameterInvalid: when the token was changed.
        """
        after = self.after
        if after is None:
            return None
        if not isinstance(after, str) or not after.startswith(begins_with or after[:1] or "-"):
            raise self.refused()
        return after

    def refused(self) -> ParameterInvalid:
        """Return the error of a token that is not of this list."""
        return ParameterInvalid(
            "next is no token of this list; send the `next` of the page before, or leave it out "
            "to begin"
        )

    def token(self, after: Any) -> str | None:
        """Return the token that continues the list, or None at its end."""
        if after is None:
            return None
        content = json.dumps([self.paging.name, self.scope, after], separators=(",", ":"))
        return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def page_request(paging: Paging, scope: str, query: Mapping[str, str]) -> PageRequest:
    """Return which page the query parameters ask for.

    Args:
        paging: the list.
        scope: what the list belongs to, such as the model.
        query: the parameters of the request.

    Raises:
        ParameterInvalid: when a parameter is unknown, or has a value that is not allowed.
    """
    refuse_unknown(query, ("limit", "next"))
    token = query.get("next")
    after = None if token is None else _after(paging, scope, token)
    return PageRequest(paging, scope, _limit(paging, query.get("limit")), after)


def refuse_unknown(query: Mapping[str, str], allowed: tuple[str, ...]) -> None:
    """Refuse parameters that a route does not have, because a typing error would go unnoticed.

    Raises:
        ParameterInvalid: when there is one.
    """
    unknown = sorted(set(query) - set(allowed))
    if unknown:
        known = " and ".join(f"`{name}`" for name in allowed) or "none"
        raise ParameterInvalid(f"unknown query parameter {unknown[0]!r}; allowed: {known}")


def _limit(paging: Paging, text: str | None) -> int:
    if text is None:
        return paging.usual
    if text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= paging.largest:
        return int(text)
    raise ParameterInvalid(f"limit is {text[:40]!r}; allowed: 1 to {paging.largest}")


def _after(paging: Paging, scope: str, token: str) -> Any:
    refused = PageRequest(paging, scope, 1).refused()
    if len(token) > MAX_TOKEN:
        raise refused
    try:
        content = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        name, of, after = json.loads(content)
    except (binascii.Error, ValueError, TypeError) as error:
        raise refused from error
    if (name, of) != (paging.name, scope):
        raise refused
    return after
