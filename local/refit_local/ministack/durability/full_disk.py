"""S3: answer that an object could not be stored.

AWS        answers InternalError (500) when it cannot store an object
MiniStack  logs a warning, and answers that the object is stored
Source     S3 API Reference, "Error responses", List of error codes
"""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from refit_local.ministack.hooks import set_during
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from refit_local.ministack.hooks import Document, Response

_failures: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar(
    "failures", default=None
)


def install() -> None:
    """Install these patches into MiniStack."""
    Hook.WRITE_OBJECT.wrap(_write)
    Hook.PERSIST_OBJECT.wrap(_persist)
    Hook.S3_HANDLE.wrap(_handle)


def _write(original: Callable[..., None], *file: Any, **settings: Any) -> None:
    try:
        original(*file, **settings)
    except OSError as error:
        _note(str(error))
        raise


def _persist(original: Callable[..., None], bucket: str, key: str, stored: Document) -> None:
    original(bucket, key, stored)
    # MiniStack drops the body from memory when it is on disk.
    if isinstance(stored, dict) and stored.get("body") is not None:
        _note(f"{bucket}/{key} could not be stored")


def _note(failure: str) -> None:
    failures = _failures.get()
    if failures is not None:
        failures.append(failure)


async def _handle(
    original: Callable[..., Awaitable[Response]], *request: Any, **settings: Any
) -> Response:
    failures: list[str] = []
    with set_during(_failures, failures):
        response = await original(*request, **settings)
    if not failures:
        return response
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>InternalError</Code>'
        f"<Message>We encountered an internal error: {escape(failures[0])}</Message></Error>"
    )
    return 500, {"Content-Type": "application/xml"}, text.encode()
