"""Step Functions: end an execution on the errors that no Retry and no Catch takes.

AWS        `States.Runtime` always fails the execution: neither States.ALL nor its own name catches
           it. `States.DataLimitExceeded` is matched by its own name only
MiniStack  matches both with States.ALL and States.TaskFailed
Source     Step Functions Developer Guide, "Handling errors in Step Functions workflows",
           States.ALL, States.DataLimitExceeded and States.Runtime
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit_local.ministack.hooks import Document

_NEVER_MATCHED = "States.Runtime"
_MATCHED_BY_NAME = "States.DataLimitExceeded"


def install() -> None:
    """Install this patch into MiniStack."""
    Hook.FIND_RETRIER.wrap(_find_retrier)
    Hook.FIND_CATCHER.wrap(_find_catcher)


def _find_retrier(
    original: Callable[..., tuple[Document | None, int]],
    retriers: list[Document],
    error: str,
    counts: dict[int, int],
) -> tuple[Document | None, int]:
    return original(_rules_for(error, retriers), error, counts)


def _find_catcher(
    original: Callable[..., Document | None], catchers: list[Document], error: str
) -> Document | None:
    return original(_rules_for(error, catchers), error)


def _rules_for(error: str, rules: list[Document]) -> list[Document]:
    """Return the rules without the names that do not match; their order stays, as it is counted."""
    if error == _NEVER_MATCHED:
        return []
    if error == _MATCHED_BY_NAME:
        return [{**rule, "ErrorEquals": _named(rule.get("ErrorEquals", []))} for rule in rules]
    return rules


def _named(names: list[Any]) -> list[Any]:
    return [name for name in names if name == _MATCHED_BY_NAME]
