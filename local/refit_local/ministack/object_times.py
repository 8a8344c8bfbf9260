"""S3: the times of objects.

AWS        LastModified is in whole seconds; that of an object that was uploaded in parts is the
           time at which the upload began, however late it is completed
MiniStack  LastModified is in milliseconds, and that of an upload in parts is its completion
Source     S3 User Guide, "Working with object metadata", table of system-defined metadata;
           S3 API Reference, ListObjectVersions, examples
"""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any

from refit_local.ministack.hooks import set_during
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit_local.ministack.hooks import Response

_upload_began: contextvars.ContextVar[str | None] = contextvars.ContextVar(
    "upload_began", default=None
)


def install() -> None:
    """Install these patches into MiniStack."""
    Hook.S3_NOW.wrap(_now)
    Hook.COMPLETE_UPLOAD.wrap(_complete_upload)
    Hook.S3_EVENT.wrap(_fire_event)


def _now(original: Callable[[], str]) -> str:
    began = _upload_began.get()
    return began if began is not None else f"{original().partition('.')[0]}.000Z"


def _complete_upload(
    original: Callable[..., Response],
    bucket: str,
    key: str,
    body: bytes,
    query: dict[str, list[str]],
    *rest: Any,
) -> Response:
    upload = Hook.UPLOADS.get().get(query["uploadId"][0])
    with set_during(_upload_began, upload["created"] if upload else None):
        return original(bucket, key, body, query, *rest)


def _fire_event(original: Callable[..., None], *args: Any, **settings: Any) -> None:
    # The event of a completed upload is sent with the context of its request. Its time is that of
    # the completion.
    with set_during(_upload_began, None):
        original(*args, **settings)
