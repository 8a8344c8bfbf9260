"""S3: whether an object is missing is told to those only who may list the bucket.

AWS        answers GetObject and HeadObject of an object that does not exist with 404 if the caller
           has s3:ListBucket on the bucket, and with 403 otherwise
MiniStack  answers 404 to everybody who has s3:GetObject
Source     S3 API Reference, GetObject and HeadObject, "Permissions"

A version that does not exist is left out: the API Reference does not say which permission tells it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refit_local.ministack.hooks import region
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from refit_local.ministack.hooks import Response

_MISSING = b"<Code>NoSuchKey</Code>"
_DENIED = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
)


def install() -> None:
    """Install this patch into MiniStack."""
    Hook.S3_HANDLE.wrap(_handle)


async def _handle(
    original: Callable[..., Awaitable[Response]],
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    query: dict[str, Any],
    **settings: Any,
) -> Response:
    answer = await original(method, path, headers, body, query, **settings)
    bucket, _, key = path.lstrip("/").partition("/")
    is_missing = answer[0] == 404 and (
        (method == "HEAD" and "versionId" not in query)
        or (method == "GET" and _MISSING in bytes(answer[2]))
    )
    if settings.get("internal") or not key or not is_missing or _may_list(bucket, headers, query):
        return answer
    return 403, {"Content-Type": "application/xml"}, b"" if method == "HEAD" else _DENIED


def _may_list(bucket: str, headers: dict[str, str], query: dict[str, Any]) -> bool:
    access_key = Hook.ACCESS_KEY_OF.get()(headers, query)
    resource = f"arn:aws:s3:::{bucket}"
    return not Hook.IAM_ENFORCE.get()(
        access_key, "s3:ListBucket", "s3", region(), resource_arn=resource, service_context={}
    )
