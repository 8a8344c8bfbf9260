"""S3: read objects from disk in pieces, and honour the range of a read that names a version.

AWS        answers GetObject with a range for any version
MiniStack  ignores the range of a read that names a version; it also reads the whole object for
           every GET and keeps every version in memory, so large objects exhaust the memory
Source     S3 API Reference, GetObject
"""

from __future__ import annotations

import contextvars
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, BinaryIO

from refit_local.ministack.hooks import Document, Response, set_during
from refit_local.ministack.names import Hook

PIECE_BYTES = 1 << 20

Send = Callable[[Document], Awaitable[None]]

_reading: contextvars.ContextVar[bool] = contextvars.ContextVar("reading", default=False)


def install() -> None:
    """Install these patches into MiniStack."""
    Hook.GET_OBJECT.wrap(_get_object)
    Hook.READ_BODY.wrap(_read_body)
    Hook.VERSION_BODY.wrap(_version_body)
    Hook.VERSION_ENTRY.wrap(lambda original, obj, version, data: original(obj, version, None))


class StoredBytes:
    """A part of a file, with the length and slicing of bytes that GetObject needs."""

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
        """Send the bytes as the body of an ASGI response, piece by piece."""
        self._file.seek(self._start)
        remaining = len(self)
        while remaining > 0:
            piece = self._file.read(min(PIECE_BYTES, remaining))
            if not piece:
                # The file is shorter than its record: the client must see a broken response.
                return
            remaining -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _get_object(
    original: Callable[..., Response],
    bucket: str,
    key: str,
    headers: dict[str, str],
    query: dict[str, Any] | None = None,
) -> Response:
    is_http_request = bool(headers)
    with set_during(_reading, is_http_request):
        status, response_headers, body = original(bucket, key, headers, query)
    if not isinstance(body, StoredBytes):
        return status, response_headers, body
    requested_range = headers.get("range")
    if requested_range and status == 200:
        # MiniStack has applied the range unless the read names a version.
        limits = Hook.PARSE_RANGE.get()(requested_range, len(body))
        if limits is not None:
            first, last = limits
            status, response_headers = 206, _without_checksums(response_headers)
            response_headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
            body = body[first : last + 1]
    response_headers["Content-Length"] = str(len(body))
    return status, response_headers, Hook.STREAMED.get()(body.send)


def _without_checksums(headers: dict[str, str]) -> dict[str, str]:
    """Drop the checksums, which are those of the whole object."""
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
        file = Path(path).open("rb")  # noqa: SIM115 (closed with the last StoredBytes)
    except OSError:
        return None
    return StoredBytes(file, 0, file.seek(0, 2))
