"""Data capture: requests and responses of endpoints as JSON Lines in S3.

Source  docs/sagemaker-contract.md, "Data capture"
"""

from __future__ import annotations

import base64
import json
import random
import threading
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from refit_local.sagemaker.reporting.logs import LogBuffer, endpoint_group
from refit_local.sagemaker.storage import RoleStorage, joined
from refit_local.sagemaker.wire.errors import JobFailed

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_RETAINED_BYTES = 64 * 1024**2
_FLUSH_EVERY_TICKS = 4


@dataclass(frozen=True)
class CapturedInvocation:
    """An invocation to capture; `config` is the DataCaptureConfig, the types are content types."""

    endpoint: str
    variant: str
    role_arn: str
    config: dict[str, Any]
    request_type: str
    request_body: bytes
    response_type: str
    response_body: bytes
    inference_id: str | None
    custom_attributes: str | None
    at: datetime


@dataclass(frozen=True)
class _Destination:
    """Lines of one destination go into one object per flush."""

    endpoint: str
    prefix: str
    role_arn: str


def is_sampled(config: dict[str, Any]) -> bool:
    """Return whether to capture an invocation: a random draw by the sampling percentage."""
    if not config.get("EnableCapture", False):
        return False
    return random.random() * 100 < int(config["InitialSamplingPercentage"])


@dataclass
class DataCapture:
    """Collects captured invocations until the next flush."""

    storage: Callable[[str], RoleStorage]
    logs: LogBuffer
    _pending: dict[_Destination, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ticks: int = 0

    def add(self, invocation: CapturedInvocation) -> None:
        """Add an invocation."""
        hour = invocation.at.strftime("%Y/%m/%d/%H")
        root = invocation.config["DestinationS3Uri"]
        prefix = joined(root, invocation.endpoint, invocation.variant, hour)
        line = json.dumps(_line(invocation)).encode() + b"\n"
        with self._lock:
            self._pending[_Destination(invocation.endpoint, prefix, invocation.role_arn)].append(
                line
            )

    def tick(self) -> None:
        """Flush at every fourth tick."""
        self._ticks += 1
        if self._ticks % _FLUSH_EVERY_TICKS == 0:
            self.flush()

    def flush(self) -> None:
        """Write the collected invocations; after an error, retain them for the next flush."""
        with self._lock:
            pending, self._pending = self._pending, defaultdict(list)
        for destination, lines in pending.items():
            stamp = datetime.now(UTC).strftime("%M-%S-%f")[:-3]
            uri = joined(destination.prefix, f"{stamp}-{uuid.uuid4()}.jsonl")
            try:
                self.storage(destination.role_arn).put(
                    b"".join(lines), uri, "application/jsonlines"
                )
            except JobFailed as failure:
                self._retain(destination, lines, failure.reason)

    def _retain(self, destination: _Destination, lines: list[bytes], reason: str) -> None:
        group = endpoint_group(destination.endpoint)
        retained = lines
        if sum(len(line) for line in lines) > _MAX_RETAINED_BYTES:
            retained = lines[len(lines) // 2 :]
            dropped = len(lines) - len(retained)
            self.logs.write(group, "data-capture", f"{dropped} captured invocations were dropped")
        self.logs.write(group, "data-capture", f"Data capture failed: {reason}")
        with self._lock:
            self._pending[destination][:0] = retained


def _line(invocation: CapturedInvocation) -> dict[str, Any]:
    modes = {option["CaptureMode"] for option in invocation.config["CaptureOptions"]}
    captured: dict[str, Any] = {}
    if modes & {"Input", "InputAndOutput"}:
        captured["endpointInput"] = _side(
            "INPUT", invocation.request_type, invocation.request_body, invocation.config
        )
    if modes & {"Output", "InputAndOutput"}:
        captured["endpointOutput"] = _side(
            "OUTPUT", invocation.response_type, invocation.response_body, invocation.config
        )
    metadata: dict[str, Any] = {"eventId": str(uuid.uuid4())}
    if invocation.custom_attributes is not None:
        metadata["customAttributes"] = [invocation.custom_attributes]
    if invocation.inference_id is not None:
        metadata["inferenceId"] = invocation.inference_id
    metadata["inferenceTime"] = invocation.at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"captureData": captured, "eventMetadata": metadata, "eventVersion": "0"}


def _side(mode: str, content_type: str, body: bytes, config: dict[str, Any]) -> dict[str, Any]:
    encoding = _encoding(content_type, config.get("CaptureContentTypeHeader", {}))
    try:
        data = body.decode() if encoding != "BASE64" else base64.b64encode(body).decode()
    except UnicodeDecodeError:
        encoding, data = "BASE64", base64.b64encode(body).decode()
    return {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding}


def _encoding(content_type: str, content_types: dict[str, list[str]]) -> str:
    media_type = content_type.partition(";")[0].strip().lower()
    for member, encoding in (("CsvContentTypes", "CSV"), ("JsonContentTypes", "JSON")):
        if media_type in (listed.lower() for listed in content_types.get(member, [])):
            return encoding
    return "BASE64"
