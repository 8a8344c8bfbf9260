"""Writes to tables, several times as fast: MiniStack computes the same things for every item.

An item is copied three times for each write of a transaction, and each expression is read and
checked anew, as is every policy of whoever writes. Thousands of predictions a minute feel that.
"""

from __future__ import annotations

import copy
import json
import marshal
import time
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable

_REMEMBERED = 4096


def install() -> None:
    """Hang it into MiniStack. Called once, before any request."""
    Hook.ITEM_COPY.put(SimpleNamespace(deepcopy=copied, copy=copy.copy))
    Hook.CONDITION_SYNTAX.put(lru_cache(_REMEMBERED)(Hook.CONDITION_SYNTAX.get()))
    tokens_of = lru_cache(_REMEMBERED)(Hook.EXPRESSION_TOKENS.get())
    Hook.EXPRESSION_TOKENS.put(lambda expression: list(tokens_of(expression)))
    parse = Hook.PARSE_POLICY.get()
    parsed = lru_cache(_REMEMBERED)(parse)
    Hook.PARSE_POLICY.put(lambda policy: (parsed if isinstance(policy, str) else parse)(policy))
    Hook.PRINCIPAL.put(_principals(Hook.PRINCIPAL.get()))
    Hook.TRANSACTION_CHECKS.wrap(lambda checks, *request: list(dict.fromkeys(checks(*request))))
    Hook.CHECKED_BODY.put(SimpleNamespace(**vars(json) | {"loads": _LastBody().loads}))


class _LastBody:
    """The body that was read last: who may send a request is asked of it four times."""

    def __init__(self) -> None:
        self._last: tuple[Any, Any] = None, None

    def loads(self, body: Any) -> Any:
        """Return what `json.loads` does. Nobody who asks changes it."""
        text, value = self._last
        if text is not body or not body:
            value = json.loads(body)
            self._last = body, value
        return value


def copied(value: Any) -> Any:
    """Return what `copy.deepcopy` does, several times as fast for the JSON that items are."""
    try:
        return marshal.loads(marshal.dumps(value))
    except ValueError:  # of another type
        return copy.deepcopy(value)


def _principals(resolve: Callable[..., Any]) -> Callable[..., Any]:
    """Remember who an access key is for a tenth of a second: on AWS changes take seconds."""

    @lru_cache(_REMEMBERED)
    def resolved(_period: int, *request: Any) -> Any:
        return resolve(*request)

    return lambda *request: resolved(int(time.monotonic() * 10), *request)
