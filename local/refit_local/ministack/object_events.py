"""S3: put the object's version into the events for EventBridge.

AWS        `detail.object.version-id` is the version of an object in a versioned bucket
MiniStack  leaves it out
Source     S3 User Guide, "EventBridge event message structure"
"""

from __future__ import annotations

import contextvars
import json
from typing import TYPE_CHECKING, Any

from refit_local.ministack.hooks import set_during
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit_local.ministack.hooks import Document

_written_version: contextvars.ContextVar[str | None] = contextvars.ContextVar(
    "written_version", default=None
)


def install() -> None:
    """Install these patches into MiniStack."""
    Hook.S3_EVENT.wrap(_fire_event)
    Hook.DISPATCH_EVENT.wrap(_dispatch_event)


def _fire_event(original: Callable[..., None], *args: Any, **settings: Any) -> None:
    with set_during(_written_version, settings.get("version_id")):
        original(*args, **settings)


def _dispatch_event(original: Callable[..., None], event: Document, *rest: Any) -> None:
    version = _written_version.get()
    if event.get("Source") == "aws.s3" and version:
        detail = json.loads(event["Detail"])
        detail["object"].setdefault("version-id", version)
        event = {**event, "Detail": json.dumps(detail)}
    original(event, *rest)
