"""Serve the static files of the console, the web page that shows and operates models.

Invoked by  API Gateway, GET / and GET /console/{file+}
Input       a REST proxy event                                      events/console.json
Output      200 with the file, 304 if the browser has it, or 404 {"error": {"code", "message"}}
Raises      nothing of its own

The page needs no API key, because the files are the same for everyone: all data comes from the
routes of the API, which require one. The function reads nothing but its own package.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "console"
PAGE = "index.html"
VERSION = "{version}"
"""Stands in the page for the version of all files, which is a part of their addresses."""

CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
}
REVALIDATE = "no-cache"
FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class StaticFile:
    """A file as it is sent."""

    text: str
    content_type: str
    etag: str


@dataclass(frozen=True)
class Console:
    """All files of the console by their path below its folder, and their version."""

    files: dict[str, StaticFile]
    version: str


@cache
def console() -> Console:
    """Read the console."""
    texts = {
        path.relative_to(FOLDER).as_posix(): path.read_text("utf-8")
        for path in sorted(FOLDER.rglob("*"))
        if path.suffix in CONTENT_TYPES
    }
    version = _digest("\0".join(f"{name}\0{text}" for name, text in texts.items()))
    texts[PAGE] = texts[PAGE].replace(VERSION, version)
    files = {
        name: StaticFile(text, CONTENT_TYPES[Path(name).suffix], f'"{_digest(text)}"')
        for name, text in texts.items()
    }
    return Console(files, version)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer with a file. A path below /console/ begins with the version of the page.

    During a deployment, the page of one version can ask the function of another one for its files.
    They are served, but the browser must not keep them under that address.
    """
    requested = (event.get("pathParameters") or {}).get("file")
    version, _, name = ("", "", PAGE) if requested is None else requested.partition("/")
    file = console().files.get(name)
    if file is None or (requested is not None and name == PAGE):
        error = {"code": "FileNotFound", "message": "the console has no such file"}
        return _response(404, json.dumps({"error": error}), "application/json", {})
    headers = {
        "ETag": file.etag,
        "Cache-Control": FOREVER if version == console().version else REVALIDATE,
    }
    if _header(event, "if-none-match") == file.etag:
        return _response(304, "", file.content_type, headers)
    return _response(200, file.text, file.content_type, headers)


def _response(status: int, body: str, content_type: str, headers: dict[str, str]) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {**SECURITY_HEADERS, "Content-Type": content_type, **headers},
        "body": body,
        "isBase64Encoded": False,
    }


def _header(event: dict[str, Any], name: str) -> str | None:
    headers: dict[str, str] = event.get("headers") or {}
    return next((value for key, value in headers.items() if key.lower() == name), None)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
