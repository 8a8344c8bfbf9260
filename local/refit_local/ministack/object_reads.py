"""Serve S3 objects from disk in pieces, and keep none of their bytes in memory.

MiniStack reads the whole object for every GET, even of a small range, keeps every version of every
object of a versioned bucket in memory, and ignores the range of a read that names a version. It
also leaves the version out of the events it sends to EventBridge.
"""

from __future__ import annotations

import contextvars
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, BinaryIO

from refit_local.ministack.names import Hook

PIECE_BYTES = 1 << 20

Response = tuple[int, dict[str, str], Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_reading: contextvars.ContextVar[bool] = contextvars.ContextVar("reading", default=False)
_written_version: contextvars.ContextVar[str | None] = contextvars.ContextVar(
    "written_version", default=None
)


def install() -> None:
    """Hang it into MiniStack. Called once, before the first request."""
    Hook.GET_OBJECT.wrap(_get_object)
    Hook.READ_BODY.wrap(_read_body)
    Hook.VERSION_BODY.wrap(_version_body)
    Hook.VERSION_ENTRY.wrap(lambda original, obj, version, data: original(obj, version, None))
    Hook.S3_EVENT.wrap(_fire_event)
    Hook.DISPATCH_EVENT.wrap(_dispatch_event)


class StoredBytes:
    """A stretch of a file, with as much of the manner of bytes as GetObject needs."""

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        self._file = file
        self._start = start
        self._end = end

    def __len__(self) -> int:
        return self._end - self._start

    def __getitem__(self, part: slice) -> StoredBytes:
        start, end, _ = part.indices(len(self))
        return StoredBytes(self._file, self._start + start, self._start + max(start, end))

    async def send(self, send: Send, receive: Any) -> None:
        """Send it as the body of a response, piece by piece."""
        self._file.seek(self._start)
        left = len(self)
        while left > 0:
            piece = self._file.read(min(PIECE_BYTES, left))
            if not piece:
                # The file is shorter than its record: the client must see a broken response.
                return
            left -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _get_object(
    original: Callable[..., Response],
    bucket: str,
    key: str,
    headers: dict[str, str],
    query: dict[str, Any] | None = None,
) -> Response:
    asked_by_http = bool(headers)
    token = _reading.set(asked_by_http)
    try:
        status, answer, body = original(bucket, key, headers, query)
    finally:
        _reading.reset(token)
    if not isinstance(body, StoredBytes):
        return status, answer, body
    wanted = headers.get("range")
    if wanted and status == 200:
        # Only a read that names a version comes here whole.
        part = Hook.PARSE_RANGE.get()(wanted, len(body))
        if part is not None:
            first, last = part
            status, answer = 206, _without_checksums(answer)
            answer["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
            body = body[first : last + 1]
    answer["Content-Length"] = str(len(body))
    return status, answer, Hook.STREAMED.get()(body.send)


def _without_checksums(headers: dict[str, str]) -> dict[str, str]:
    """A checksum of the whole object would not fit a part of it."""
    return {k: v for k, v in headers.items() if not k.lower().startswith("x-amz-checksum-")}


def _read_body(
    original: Callable[..., Any], bucket: str, key: str, record: dict[str, Any]
) -> bytes | StoredBytes:
    if _reading.get() and record.get("body") is None:
        stored = _stored(Hook.OBJECT_PATH.get()(bucket, key))
        if stored is not None:
            return stored
    body: bytes = original(bucket, key, record)
    return body


def _version_body(
    original: Callable[..., Any], holder: Any, bucket: str, key: str, version: dict[str, Any]
) -> bytes | StoredBytes | None:
    if _reading.get():
        stored = _stored(Hook.VERSION_PATH.get()(bucket, key, version["version_id"]))
        if stored is not None:
            return stored
    body: bytes | StoredBytes | None = original(holder, bucket, key, version)
    return body


def _stored(path: str | None) -> StoredBytes | None:
    if path is None:
        return None
    try:
        file = Path(path).open("rb")  # noqa: SIM115 (closed with the last stretch of it)
    except OSError:
        return None
    return StoredBytes(file, 0, file.seek(0, 2))


def _fire_event(original: Callable[..., None], *args: Any, **settings: Any) -> None:
    token = _written_version.set(settings.get("version_id"))
    try:
        original(*args, **settings)
    finally:
        _written_version.reset(token)


def _dispatch_event(original: Callable[..., None], event: dict[str, Any], *rest: Any) -> None:
    version = _written_version.get()
    if event.get("Source") == "aws.s3" and version:
        detail = json.loads(event["Detail"])
        detail["object"].setdefault("version-id", version)
        event = {**event, "Detail": json.dumps(detail)}
    original(event, *rest)
