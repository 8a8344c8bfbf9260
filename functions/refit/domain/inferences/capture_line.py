"""A captured invocation, written: a line in the form of SageMaker's data capture.

`captured.py` reads it. Beside SageMaker's members it says under `refit` where it belongs: the
delivery stream makes the file's key from that.
"""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refit.domain.naming import ModelKeys

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True)
class Invocation:
    """What an endpoint was asked and answered.

    Attributes:
        id: of the call; its rows' ids follow from it.
        body: the rows asked, text/csv.
        answer: the answer's body.
        content_type: of the answer.
        variant: that answered.
        at: when it was asked, in UTC.
    """

    id: str
    body: bytes
    answer: bytes
    content_type: str
    variant: str
    at: datetime


def capture_line(model: str, endpoint: str, invocation: Invocation) -> bytes:
    """Return the line of an invocation, with its end."""
    at = invocation.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    value = {
        "captureData": {
            "endpointInput": _side("INPUT", "text/csv", invocation.body),
            "endpointOutput": _side("OUTPUT", invocation.content_type, invocation.answer),
        },
        "eventMetadata": {
            "eventId": invocation.id,
            "inferenceId": invocation.id,
            "inferenceTime": at,
        },
        "eventVersion": "0",
        "refit": {"model": model, "endpoint": endpoint, "variant": invocation.variant},
    }
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def capture_key(model: str, endpoint: str, variant: str, at: datetime) -> str:
    """Return a new key for a capture file, as SageMaker names them."""
    folder = f"{ModelKeys(model).capture}{endpoint}/{variant}/{at:%Y/%m/%d/%H}/"
    return f"{folder}{at:%M-%S}-{at.microsecond // 1000:03d}-{uuid.uuid4()}.jsonl"


def _side(mode: str, content_type: str, body: bytes) -> dict[str, Any]:
    try:
        data, encoding = body.decode(), "CSV"
    except UnicodeDecodeError:
        data, encoding = base64.b64encode(body).decode(), "BASE64"
    return {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding}
