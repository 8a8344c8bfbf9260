"""IAM: authorize a request with less repeated work; no decision changes.

MiniStack parses the caller's policies anew for each request, looks the caller up for each check,
reads the body four times, and checks equal items of a transaction separately.

The caller of an access key is remembered for a tenth of a second. On AWS a change of permissions
takes several seconds (IAM User Guide, "Changes that I make are not always immediately visible").
"""

from __future__ import annotations

import json
import time
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable

_CACHE_SIZE = 4096
_CALLER_PERIODS_PER_S = 10


def install() -> None:
    """Install these patches into MiniStack."""
    parse = Hook.PARSE_POLICY.get()
    parsed = lru_cache(_CACHE_SIZE)(parse)
    Hook.PARSE_POLICY.put(lambda policy: (parsed if isinstance(policy, str) else parse)(policy))
    Hook.PRINCIPAL.put(_remembering_callers(Hook.PRINCIPAL.get()))
    Hook.TRANSACTION_CHECKS.wrap(lambda checks, *request: list(dict.fromkeys(checks(*request))))
    Hook.CHECKED_BODY.put(SimpleNamespace(**vars(json) | {"loads": _LastBody().loads}))


class _LastBody:
    """Remembers the last parsed body, which MiniStack's checks read but do not change."""

    def __init__(self) -> None:
        self._last: tuple[Any, Any] = None, None

    def loads(self, body: Any) -> Any:
        """Return the same as `json.loads`."""
        text, value = self._last
        if text is not body or not body:
            value = json.loads(body)
            self._last = body, value
        return value


def _remembering_callers(resolve: Callable[..., Any]) -> Callable[..., Any]:
    @lru_cache(_CACHE_SIZE)
    def resolved(_period: int, *request: Any) -> Any:
        return resolve(*request)

    return lambda *request: resolved(int(time.monotonic() * _CALLER_PERIODS_PER_S), *request)
