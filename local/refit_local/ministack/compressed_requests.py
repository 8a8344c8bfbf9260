"""API Gateway: limit the body of a request, and decompress it before it reaches the integration.

AWS        answers 413 to a payload of more than 10 MB; decompresses a body by its Content-Encoding
           header (gzip, deflate, identity), and answers 415 if the coding is another one or the
           body is not of that coding
MiniStack  takes any size, and passes compressed bytes on as text, which damages them
Source     API Gateway Developer Guide, "Call an API method with a compressed payload", "Amazon API
           Gateway quotas" and "Gateway response types" (REQUEST_TOO_LARGE)
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

PAYLOAD_BYTES = 10 * 1024 * 1024
"""Largest payload of API Gateway; a body is not decompressed beyond it."""

_WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class NotDecompressed(Exception):
    """Raised when a body cannot be passed on; the text is the type of the gateway's response."""


def install() -> None:
    """Install this patch into MiniStack."""
    Hook.GATEWAY_EXECUTE.wrap(_execute)


async def _execute(
    original: Callable[..., Awaitable[Any]],
    request: dict[str, Any],
    api_id: str,
    stage_name: str,
    method: str,
    path: str,
    headers: Mapping[str, Any],
    body: bytes,
    *rest: Any,
) -> Any:
    try:
        content = decompressed(body, str(headers.get("content-encoding", "")))
    except NotDecompressed as error:
        kind = str(error)
        # The gateway's error response is that of the stage.
        request["stage"] = Hook.GATEWAY_STAGES.get()[api_id][stage_name]
        return Hook.GATEWAY_ERROR.get()(kind, kind.replace("_", " ").title())
    return await original(request, api_id, stage_name, method, path, headers, content, *rest)


def decompressed(body: bytes, coding: str) -> bytes:
    """Return a body without its content coding.

    Raises:
        NotDecompressed: if the coding is not supported, the body has another coding, or it is too
            large, before or after.
    """
    if len(body) > PAYLOAD_BYTES:
        raise NotDecompressed("REQUEST_TOO_LARGE")
    coding = coding.strip().lower()
    if coding in {"", "identity"} or not body:
        return body
    if coding not in _WINDOWS:
        raise NotDecompressed("UNSUPPORTED_MEDIA_TYPE")
    stream = zlib.decompressobj(_WINDOWS[coding])
    try:
        content = stream.decompress(body, PAYLOAD_BYTES + 1)
    except zlib.error:
        raise NotDecompressed("UNSUPPORTED_MEDIA_TYPE") from None
    if len(content) > PAYLOAD_BYTES:
        raise NotDecompressed("REQUEST_TOO_LARGE")
    if not stream.eof:
        raise NotDecompressed("UNSUPPORTED_MEDIA_TYPE")
    return content
