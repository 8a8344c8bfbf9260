"""How Lambda refuses a setting: in the answer to a request, and in a CloudFormation template."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from refit_local.ministack.hooks import Document, Response


def refused(message: str) -> Response:
    """Return the answer to a request with an invalid value."""
    code = "InvalidParameterValueException"
    headers = {"Content-Type": "application/json", "x-amzn-errortype": code}
    return 400, headers, json.dumps({"__type": code, "message": message}).encode()


def check_resources(kind: str, refusal_of: Callable[[Mapping[str, Any]], str | None]) -> None:
    """Refuse resources of a template whose properties are invalid.

    Args:
        kind: the type of the resources.
        refusal_of: returns why properties are refused, or None.
    """
    handlers = Hook.RESOURCE_HANDLERS.get()[kind]
    create, update = handlers["create"], handlers["update"]

    def check(properties: Mapping[str, Any]) -> None:
        refusal = refusal_of(properties)
        if refusal is not None:
            raise ValueError(refusal)

    def checked_create(logical_id: str, properties: Document, *rest: Any) -> Any:
        check(properties)
        return create(logical_id, properties, *rest)

    def checked_update(
        name: str, before: Document, after: Document, *rest: Any, **more: Any
    ) -> Any:
        check(after)
        return update(name, before, after, *rest, **more)

    handlers |= {"create": checked_create, "update": checked_update}
