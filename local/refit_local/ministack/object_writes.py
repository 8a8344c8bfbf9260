"""S3: take in large objects without blocking other services or exhausting the memory.

AWS        serves other requests while an object is written
MiniStack  hashes and writes objects on its event loop, so that a gigabyte blocks every service for
           seconds; keeps the parts of an upload in memory; copies an object when it is replaced

Here a request that moves many bytes runs in a thread while only S3 waits, parts are kept on disk,
and a replaced version is linked, not copied.
"""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from refit_local.ministack.hooks import Document, Response

LARGE_BYTES = 1 << 20


def install() -> None:
    """Install these patches into MiniStack; call it on the server's event loop."""
    turn, server_loop = asyncio.Lock(), asyncio.get_running_loop()

    async def one_at_a_time(
        original: Callable[..., Awaitable[Response]], *request: Any, **settings: Any
    ) -> Response:
        # MiniStack's S3 is not thread-safe: only one request runs at a time.
        if asyncio.get_running_loop() is not server_loop:  # Firehose delivers from its own thread
            handled = one_at_a_time(original, *request, **settings)
            future = asyncio.run_coroutine_threadsafe(handled, server_loop)
            return await asyncio.wrap_future(future)
        async with turn:
            if not _moves_many_bytes(*request[:5]):
                return await original(*request, **settings)
            return await asyncio.to_thread(_in_own_loop, original, request, settings)

    Hook.S3_HANDLE.wrap(one_at_a_time)
    Hook.UPLOAD_PART.wrap(_upload_part)
    Hook.DISPLACE_VERSION.wrap(_displace_version)


def _moves_many_bytes(
    method: str, path: str, headers: dict[str, str], body: bytes, query: Document
) -> bool:
    finishes_upload = method == "POST" and "uploadId" in query
    copies = method == "PUT" and "x-amz-copy-source" in headers
    return finishes_upload or copies or (method in {"PUT", "POST"} and len(body) >= LARGE_BYTES)


def _in_own_loop(
    original: Callable[..., Awaitable[Response]], request: Any, settings: Any
) -> Response:
    async def handle() -> Response:
        return await original(*request, **settings)

    return asyncio.run(handle())


def _upload_part(
    original: Callable[..., Response],
    bucket: str,
    key: str,
    body: bytes,
    query: dict[str, list[str]],
    headers: dict[str, str],
) -> Response:
    response = original(bucket, key, body, query, headers)
    if response[0] == 200 and len(body) >= LARGE_BYTES:
        upload = Hook.UPLOADS.get()[query["uploadId"][0]]
        upload["parts"][int(query["partNumber"][0])]["body"] = _on_disk(body)
    return response


def _on_disk(body: bytes) -> mmap.mmap:
    """Return the same bytes in a temporary file, which is deleted with the last reference."""
    with tempfile.TemporaryFile() as file:
        file.write(body)
        file.flush()
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _displace_version(
    original: Callable[..., None],
    bucket: str,
    key: str,
    prior: Document | None,
    versioning: str,
) -> None:
    if prior is not None and versioning == "Enabled" and prior.get("body") is None:
        source = Hook.OBJECT_PATH.get()(bucket, key)
        target = Hook.VERSION_PATH.get()(bucket, key, prior.get("version_id") or "null")
        if source is not None and target is not None and _linked(Path(source), Path(target)):
            return
    original(bucket, key, prior, versioning)


def _linked(source: Path, target: Path) -> bool:
    """Link a stored object to a second path, which stays when a write replaces the first."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        target.unlink()
    try:
        os.link(source, target)
    except OSError:
        return False
    return True
