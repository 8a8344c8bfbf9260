"""Write an endpoint call as a line in the format of SageMaker's data capture.

capture_reader.py reads these lines. The delivery stream derives the key of the file from the member
`refit`, which SageMaker's own lines do not have.
"""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refit.domain.inferences.inference import inference_ids
from refit.domain.naming import ModelKeys

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True)
class EndpointCall:
    """A request to an endpoint and its answer.

    Attributes:
        id: id of the call, from which the inference ids of its rows are derived.
        rows: number of rows in the body.
        body: body of the request, text/csv.
        answer: body of the answer.
        content_type: content type of the answer.
        variant: production variant that answered.
        at: time when the request was sent, in UTC.
    """

    id: str
    rows: int
    body: bytes
    answer: bytes
    content_type: str
    variant: str
    at: datetime

    @property
    def inference_ids(self) -> list[str]:
        return inference_ids(self.id, self.rows)


def capture_line(model: str, endpoint: str, call: EndpointCall) -> bytes:
    """Return the line that records a call, including its line end."""
    at = call.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    value = {
        "captureData": {
            "endpointInput": _side("INPUT", "text/csv", call.body),
            "endpointOutput": _side("OUTPUT", call.content_type, call.answer),
        },
        "eventMetadata": {"eventId": call.id, "inferenceId": call.id, "inferenceTime": at},
        "eventVersion": "0",
        "refit": {"model": model, "endpoint": endpoint, "variant": call.variant},
    }
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def new_capture_key(model: str, endpoint: str, variant: str, at: datetime) -> str:
    """Return a unique key for a capture file, in the layout of SageMaker's data capture."""
    folder = f"{ModelKeys(model).capture}{endpoint}/{variant}/{at:%Y/%m/%d/%H}/"
    return f"{folder}{at:%M-%S}-{at.microsecond // 1000:03d}-{uuid.uuid4()}.jsonl"


def _side(mode: str, content_type: str, body: bytes) -> dict[str, Any]:
    try:
        data, encoding = body.decode(), "CSV"
    except UnicodeDecodeError:
        data, encoding = base64.b64encode(body).decode(), "BASE64"
    return {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding}
