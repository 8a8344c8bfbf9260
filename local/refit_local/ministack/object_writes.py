"""Take in large S3 objects without holding up the ground, and without keeping them in memory.

MiniStack does all of S3's work on its event loop, so hashing and writing a gigabyte stops every
other service for seconds; it keeps the parts of an upload in memory and copies an object whenever
it is replaced. Here what moves many bytes runs in a thread while only S3 waits, parts lie on disk,
and the version that is replaced is linked, not copied.
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

LARGE_BYTES = 1 << 20

Response = tuple[int, dict[str, str], Any]


def install() -> None:
    """Hang it into MiniStack. Called once, on the ground's event loop, before the first request."""
    turn, home = asyncio.Lock(), asyncio.get_running_loop()

    async def one_at_a_time(
        original: Callable[..., Awaitable[Response]], *request: Any, **settings: Any
    ) -> Response:
        # MiniStack's S3 was written for one thread, so nothing else of it runs meanwhile.
        if asyncio.get_running_loop() is not home:  # Firehose delivers from a thread of its own
            here = one_at_a_time(original, *request, **settings)
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(here, home))
        async with turn:
            if not _moves_many_bytes(*request[:5]):
                return await original(*request, **settings)
            return await asyncio.to_thread(_in_own_loop, original, request, settings)

    Hook.S3_HANDLE.wrap(one_at_a_time)
    Hook.UPLOAD_PART.wrap(_upload_part)
    Hook.DISPLACE_VERSION.wrap(_displace_version)


def _moves_many_bytes(
    method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
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
    """Return the same bytes, held by a file that goes when they are no longer held."""
    with tempfile.TemporaryFile() as file:
        file.write(body)
        file.flush()
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _displace_version(
    original: Callable[..., None],
    bucket: str,
    key: str,
    prior: dict[str, Any] | None,
    versioning: str,
) -> None:
    if prior is not None and versioning == "Enabled" and prior.get("body") is None:
        source = Hook.OBJECT_PATH.get()(bucket, key)
        target = Hook.VERSION_PATH.get()(bucket, key, prior.get("version_id") or "null")
        if source is not None and target is not None and _linked(Path(source), Path(target)):
            return
    original(bucket, key, prior, versioning)


def _linked(source: Path, target: Path) -> bool:
    """Give a stored object a second name; a write replaces the first, and the second stays."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        target.unlink()
    try:
        os.link(source, target)
    except OSError:
        return False
    return True
