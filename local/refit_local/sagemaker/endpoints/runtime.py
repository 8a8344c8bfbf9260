"""InvokeEndpoint: choose a variant, pass the request on, answer as AWS does (contract B5)."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from refit_local.sagemaker.endpoints.data_capture import CapturedInvocation, DataCapture, is_sampled
from refit_local.sagemaker.models.connections import ModelServerResponse, ServerGone
from refit_local.sagemaker.records.naming import ENDPOINT
from refit_local.sagemaker.wire.errors import InvocationError

if TYPE_CHECKING:
    from refit_local.sagemaker.endpoints.deployments import Admission
    from refit_local.sagemaker.endpoints.endpoints import Endpoints
    from refit_local.sagemaker.endpoints.fleet import Fleet, RunningVariant
    from refit_local.sagemaker.platform import Platform

MAX_BODY_BYTES = 6_291_456
MAX_CUSTOM_ATTRIBUTES = 1024
MAX_INFERENCE_ID = 64
PATH = re.compile(r"/endpoints/([^/]+)/([a-z-]+)")
OPERATIONS = {
    "invocations": "InvokeEndpoint",
    "async-invocations": "InvokeEndpointAsync",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
    "invocations-bidirectional-stream": "InvokeEndpointWithBidirectionalStream",
}
_PREFIX = "x-amzn-sagemaker-"
_CUSTOM = f"{_PREFIX}custom-attributes"
_REFUSED = (
    "target-model",
    "target-container-hostname",
    "enable-explanations",
    "inference-component",
    "session-id",
)
_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the "
    "latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)


@dataclass(frozen=True)
class EndpointInvocation:
    """One checked request to an endpoint; header names are in lower case."""

    endpoint: str
    headers: dict[str, str]
    body: bytes

    @property
    def inference_id(self) -> str | None:
        """The caller's own id, stored with captured data."""
        return self.headers.get(f"{_PREFIX}inference-id")

    @property
    def target_variant(self) -> str | None:
        """The variant that the caller insists on."""
        return self.headers.get(f"{_PREFIX}target-variant")

    def forwarded(self) -> dict[str, str]:
        """The headers that the container sees; all others are stripped."""
        return {
            k: self.headers[k] for k in ("content-type", "accept", _CUSTOM) if k in self.headers
        }


class EndpointRuntime:
    """Answers invocations. All of it runs on the event loop and never blocks it."""

    def __init__(self, platform: Platform, endpoints: Endpoints, capture: DataCapture) -> None:
        self._platform = platform
        self._endpoints = endpoints
        self._capture = capture

    async def handle(
        self, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Answer a request of the runtime API.

        Raises:
            InvocationError: whatever keeps the container's answer from the caller.
        """
        match = PATH.fullmatch(path)
        operation = OPERATIONS.get(match[2]) if match else None
        if match is None or operation != "InvokeEndpoint":
            name = operation or f"the path {path}"
            raise InvocationError(
                "ValidationError", 400, f"The local SageMaker does not implement {name}."
            )
        began = time.perf_counter()
        invocation = EndpointInvocation(unquote(match[1]), headers, body)
        _check(invocation)
        admission = self._admission(invocation)
        fleet, variant = admission.fleet, admission.variant
        if variant is None:
            raise InvocationError(
                "ValidationError",
                400,
                f"Variant {invocation.target_variant} of endpoint {invocation.endpoint} not found.",
            )
        if not admission.admitted:
            raise InvocationError("ThrottlingException", 429, "Rate exceeded")
        try:
            return await self._answered(invocation, fleet, variant, began)
        finally:
            fleet.leave(variant)

    async def _answered(
        self, invocation: EndpointInvocation, fleet: Fleet, variant: RunningVariant, began: float
    ) -> tuple[int, dict[str, str], bytes]:
        asked = time.perf_counter()
        status = 500
        try:
            answer = await self._asked(invocation, variant)
            status = answer.status
        finally:
            done = time.perf_counter()
            self._platform.metrics.record(
                invocation.endpoint,
                variant.name,
                status,
                (done - asked) * 1e6,
                (asked - began) * 1e6,
            )
        if not 200 <= status < 300:
            raise self._model_error(invocation.endpoint, status, answer.body)
        if len(answer.body) > MAX_BODY_BYTES:
            text = f"The response of {len(answer.body)} bytes exceeds {MAX_BODY_BYTES} bytes."
            raise self._model_error(invocation.endpoint, 500, text.encode())
        content_type = answer.headers.get("content-type", "application/octet-stream")
        if is_sampled(fleet.plan.capture) and fleet.plan.capture is not None:
            self._capture.add(
                CapturedInvocation(
                    invocation.endpoint,
                    variant.name,
                    variant.role_arn,
                    fleet.plan.capture,
                    invocation.headers.get("content-type", ""),
                    invocation.body,
                    content_type,
                    answer.body,
                    invocation.inference_id,
                    invocation.headers.get(_CUSTOM),
                    datetime.now(UTC),
                )
            )
        headers = {
            "Content-Type": content_type,
            "x-Amzn-Invoked-Production-Variant": variant.name,
        }
        if _CUSTOM in answer.headers:
            headers["X-Amzn-SageMaker-Custom-Attributes"] = answer.headers[_CUSTOM]
        return 200, headers, answer.body

    async def _asked(
        self, invocation: EndpointInvocation, variant: RunningVariant
    ) -> ModelServerResponse:
        """Ask a server; when it is gone, another one once."""
        for _ in range(2):
            server = variant.next_server()
            if server is None:
                break
            try:
                async with asyncio.timeout(self._platform.patience.invocation_s):
                    return await server.pool.post(
                        "/invocations", invocation.forwarded(), invocation.body
                    )
            except ServerGone:
                continue
            except TimeoutError:
                raise self._model_error(invocation.endpoint, 0, _TIMED_OUT.encode()) from None
        raise InvocationError(
            "ServiceUnavailable",
            503,
            f"No instance of variant {variant.name} of endpoint {invocation.endpoint} is healthy.",
        )

    def _admission(self, invocation: EndpointInvocation) -> Admission:
        endpoint = invocation.endpoint
        live = self._endpoints.live(endpoint)
        admission = live.enter(invocation.target_variant) if live is not None else None
        if admission is not None:
            return admission
        record = self._platform.store.get(ENDPOINT, endpoint)
        if record is not None and record["EndpointStatus"] == "SystemUpdating":
            raise InvocationError("ServiceUnavailable", 503, f"Endpoint {endpoint} is starting.")
        raise InvocationError(
            "ValidationError",
            400,
            f"Endpoint {endpoint} of account {self._platform.ground.account_id} not found.",
        )

    def _model_error(self, endpoint: str, status: int, body: bytes) -> InvocationError:
        region, account = self._platform.ground.region, self._platform.ground.account_id
        group = f"/aws/sagemaker/Endpoints/{endpoint}"
        text = body.decode("utf-8", "replace")
        side = "client" if 400 <= status < 500 else "server"
        return InvocationError(
            "ModelError",
            424,
            f'Received {side} error ({status}) from primary with message "{text}". See '
            f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
            f"#logEventViewer:group={group} in account {account} for more information.",
            OriginalStatusCode=status,
            OriginalMessage=text,
            LogStreamArn=f"arn:aws:logs:{region}:{account}:log-group:{quote(group)}",
        )


def _check(invocation: EndpointInvocation) -> None:
    headers = invocation.headers
    for name in _REFUSED:
        if f"{_PREFIX}{name}" in headers:
            raise InvocationError(
                "ValidationError",
                400,
                f"The local SageMaker does not implement the header {_PREFIX}{name}.",
            )
    if len(invocation.body) > MAX_BODY_BYTES:
        raise InvocationError(
            "ValidationError",
            400,
            f"The request body of {len(invocation.body)} bytes exceeds the limit of "
            f"{MAX_BODY_BYTES} bytes.",
        )
    limits = {_CUSTOM: MAX_CUSTOM_ATTRIBUTES, f"{_PREFIX}inference-id": MAX_INFERENCE_ID}
    for name, limit in limits.items():
        value = headers.get(name, "")
        if len(value) > limit or not value.isprintable() or not value.isascii():
            raise InvocationError(
                "ValidationError",
                400,
                f"Value at '{name}' failed to satisfy constraint: it must be at most {limit} "
                "printable ASCII characters.",
            )
