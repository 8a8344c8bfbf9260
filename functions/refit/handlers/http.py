"""What the API answers: JSON, and every error in one form."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

RETRY_AFTER_S = 2

Response: TypeAlias = dict[str, Any]


def response(status: int, body: dict[str, Any]) -> Response:
    """Return an answer as API Gateway's proxy wants it."""
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(body, separators=(",", ":"), allow_nan=False),
        "isBase64Encoded": False,
    }


def error(status: int, code: str, message: str) -> Response:
    """Return a refusal; one that may pass by itself says when to ask again."""
    refused = response(status, {"error": {"code": code, "message": message}})
    if status == 503:
        refused["headers"]["Retry-After"] = str(RETRY_AFTER_S)
    return refused


def only_post(path: str, event: dict[str, Any]) -> Response | None:
    """Refuse another route or method than POST to this path; None when it is that."""
    if (event.get("pathParameters") or {}).get("model") is None:
        return error(404, "RouteNotFound", f"there is only POST {path}")
    if event.get("httpMethod") != "POST":
        refused = error(405, "MethodNotAllowed", f"{path} takes POST only")
        refused["headers"]["Allow"] = "POST"
        return refused
    return None
