"""HTTP: refuse requests of web pages of other sites, and requests without a signature.

AWS        answers an unsigned request with AccessDenied (S3) or a missing authentication token
MiniStack  answers it, and has routes without a key that reset everything
Browser    sends any page's simple requests to 127.0.0.1, with an `Origin` or a foreign `Host`

Source: Signature Version 4 documentation, "Authenticating Requests"; IAM User Guide, "Signature
Version 4 for API requests"; WHATWG Fetch, "Origin header".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hypercorn.typing import (
        ASGIFramework,
        ASGIReceiveCallable,
        ASGISendCallable,
        HTTPScope,
        Scope,
    )

GATEWAY = "/_aws/execute-api/"
OPEN_PATHS = {"/_ministack/health"}
_OWN_ROUTES = ("/_ministack/", "/_localstack/")
_SIGNATURE = "AWS4-HMAC-SHA256"


@dataclass(frozen=True)
class Refusal:
    """An answer that is no permission."""

    status: int
    content_type: str
    body: str


def guarded(app: ASGIFramework) -> ASGIFramework:
    """Return an ASGI application that refuses such requests, and passes the others on."""

    async def guard(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        refused = refusal(scope) if scope["type"] == "http" else None
        if refused is None:
            await app(scope, receive, send)
            return
        headers = [(b"content-type", refused.content_type.encode())]
        await send({"type": "http.response.start", "status": refused.status, "headers": headers})
        body = refused.body.encode()
        await send({"type": "http.response.body", "body": body, "more_body": False})

    return guard


def refusal(scope: HTTPScope) -> Refusal | None:
    """Return why a request is refused, or None if it is passed on."""
    headers = {
        name.decode("latin-1").lower(): text.decode("latin-1") for name, text in scope["headers"]
    }
    host, path = headers.get("host", ""), scope["path"]
    if not _is_loopback(host):
        return _foreign(f"the local stack does not answer for the host {host!r}")
    if path.startswith(GATEWAY):
        # API keys and ApiAllowedOrigin protect the API, as on AWS.
        return None
    origin = headers.get("origin")
    if origin is not None and origin != f"{scope['scheme']}://{host}":
        return _foreign(f"the local stack does not answer pages of {origin!r}")
    if path in OPEN_PATHS:
        return None
    if path.startswith(_OWN_ROUTES):
        return _foreign(f"the local stack has no route {path!r}")
    return None if _is_signed(headers, scope["query_string"]) else _unsigned(headers)


def _is_loopback(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    return name in {"127.0.0.1", "::1", "localhost"} or name.endswith(".localhost")


def _is_signed(headers: Mapping[str, str], query: bytes) -> bool:
    if headers.get("authorization", "").startswith(_SIGNATURE):
        return True
    names = parse_qs(query.decode("latin-1"))
    return "X-Amz-Signature" in names or {"Signature", "AWSAccessKeyId"} <= names.keys()


def _foreign(message: str) -> Refusal:
    return Refusal(403, "application/json", json.dumps({"message": message}))


def _unsigned(headers: Mapping[str, str]) -> Refusal:
    if "x-amz-target" in headers:
        body = {
            "__type": "MissingAuthenticationTokenException",
            "message": "Missing Authentication Token",
        }
        return Refusal(400, headers.get("content-type", "application/json"), json.dumps(body))
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return Refusal(
            403,
            "text/xml",
            "<ErrorResponse><Error><Type>Sender</Type><Code>MissingAuthenticationToken</Code>"
            "<Message>Request is missing Authentication Token</Message></Error></ErrorResponse>",
        )
    return Refusal(
        403,
        "application/xml",
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>",
    )
