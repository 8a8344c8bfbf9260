"""InvokeEndpoint: choose a variant, forward the request to a model server, answer as AWS does.

Source  docs/sagemaker-contract.md, "Endpoints"
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from botocore.model import StructureShape

from refit_local.sagemaker.endpoints.data_capture import (
    CapturedInvocation,
    DataCapture,
    is_sampled,
)
from refit_local.sagemaker.endpoints.model_client import (
    ModelServerClient,
    ModelServerResponse,
    ModelServerUnavailable,
)
from refit_local.sagemaker.records.naming import ENDPOINT
from refit_local.sagemaker.reporting.logs import endpoint_group
from refit_local.sagemaker.wire.errors import InvocationError
from refit_local.sagemaker.wire.requests import service_model
from refit_local.sagemaker.wire.shapes import ShapeValidator

if TYPE_CHECKING:
    from botocore.model import Shape

    from refit_local.sagemaker.endpoints.deployments import Admission
    from refit_local.sagemaker.endpoints.endpoints import SageMakerEndpoints
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
_HEADER_PREFIX = "x-amzn-sagemaker-"
_CUSTOM_ATTRIBUTES = f"{_HEADER_PREFIX}custom-attributes"
_INFERENCE_ID = f"{_HEADER_PREFIX}inference-id"
_FORWARDED_HEADERS = ("content-type", "accept", _CUSTOM_ATTRIBUTES)
_REFUSED_HEADERS = (
    "target-model",
    "target-container-hostname",
    "enable-explanations",
    "inference-component",
    "session-id",
)
_ATTEMPTS = 2
_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the "
    "latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)


@dataclass(frozen=True)
class EndpointInvocation:
    """A request to an endpoint; header names are in lower case."""

    endpoint: str
    headers: dict[str, str]
    body: bytes

    @property
    def inference_id(self) -> str | None:
        """The id that the caller gives, stored with captured data."""
        return self.headers.get(_INFERENCE_ID)

    @property
    def target_variant(self) -> str | None:
        """The variant that the caller requires."""
        return self.headers.get(f"{_HEADER_PREFIX}target-variant")

    def forwarded_headers(self) -> dict[str, str]:
        """Return the headers for the container; SageMaker strips all others."""
        return {name: self.headers[name] for name in _FORWARDED_HEADERS if name in self.headers}


class EndpointRuntime:
    """Answers invocations. All of it runs on the event loop and never blocks it."""

    def __init__(
        self, platform: Platform, endpoints: SageMakerEndpoints, capture: DataCapture
    ) -> None:
        self._platform = platform
        self._endpoints = endpoints
        self._capture = capture
        self._client = ModelServerClient()

    async def handle(
        self, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Answer a request of the runtime API.

        Raises:
            InvocationError: when the caller gets an error instead of the container's answer.
        """
        match = PATH.fullmatch(path)
        operation = OPERATIONS.get(match[2]) if match else None
        if match is None or operation != "InvokeEndpoint":
            feature = operation or f"the path {path}"
            raise _validation_error(f"The local SageMaker does not implement {feature}.")
        received_at = time.perf_counter()
        invocation = EndpointInvocation(unquote(match[1]), headers, body)
        _check(invocation)
        admission = self._admission(invocation)
        fleet, variant = admission.fleet, admission.variant
        if variant is None:
            raise _validation_error(
                f"Variant {invocation.target_variant} of endpoint {invocation.endpoint} not found."
            )
        if not admission.admitted:
            raise InvocationError("ThrottlingException", 429, "Rate exceeded")
        try:
            response = await self._measured(invocation, variant, received_at)
            return self._answer(invocation, fleet, variant, response)
        finally:
            fleet.leave(variant)

    def close(self) -> None:
        """Close the connections to the model servers."""
        self._client.close()

    async def _measured(
        self, invocation: EndpointInvocation, variant: RunningVariant, received_at: float
    ) -> ModelServerResponse:
        """Forward the invocation and record its metrics."""
        sent_at = time.perf_counter()
        status = 500
        try:
            response = await self._forward(invocation, variant)
            status = response.status
        finally:
            self._platform.metrics.record(
                invocation.endpoint,
                variant.name,
                status,
                (time.perf_counter() - sent_at) * 1e6,
                (sent_at - received_at) * 1e6,
            )
        return response

    def _answer(
        self,
        invocation: EndpointInvocation,
        fleet: Fleet,
        variant: RunningVariant,
        response: ModelServerResponse,
    ) -> tuple[int, dict[str, str], bytes]:
        if not 200 <= response.status < 300:
            raise self._model_error(invocation.endpoint, response.status, response.body)
        if len(response.body) > MAX_BODY_BYTES:
            text = f"The response of {len(response.body)} bytes exceeds {MAX_BODY_BYTES} bytes."
            raise self._model_error(invocation.endpoint, 500, text.encode())
        content_type = response.headers.get("content-type", "application/octet-stream")
        config = fleet.plan.capture
        if config is not None and is_sampled(config):
            self._capture.add(
                CapturedInvocation(
                    invocation.endpoint,
                    variant.name,
                    variant.role_arn,
                    config,
                    invocation.headers.get("content-type", ""),
                    invocation.body,
                    content_type,
                    response.body,
                    invocation.inference_id,
                    invocation.headers.get(_CUSTOM_ATTRIBUTES),
                    datetime.now(UTC),
                )
            )
        headers = {
            "Content-Type": content_type,
            "x-Amzn-Invoked-Production-Variant": variant.name,
        }
        if _CUSTOM_ATTRIBUTES in response.headers:
            headers["X-Amzn-SageMaker-Custom-Attributes"] = response.headers[_CUSTOM_ATTRIBUTES]
        return 200, headers, response.body

    async def _forward(
        self, invocation: EndpointInvocation, variant: RunningVariant
    ) -> ModelServerResponse:
        """Post to a server of the variant; when it does not answer, post once more."""
        for _ in range(_ATTEMPTS):
            server = variant.next_server()
            if server is None:
                break
            try:
                async with asyncio.timeout(self._platform.timeouts.invocation_s):
                    return await self._client.post(
                        server.port,
                        "/invocations",
                        invocation.forwarded_headers(),
                        invocation.body,
                    )
            except ModelServerUnavailable:
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
        account = self._platform.host.account_id
        raise _validation_error(f"Endpoint {endpoint} of account {account} not found.")

    def _model_error(self, endpoint: str, status: int, body: bytes) -> InvocationError:
        region, account = self._platform.host.region, self._platform.host.account_id
        group = endpoint_group(endpoint)
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


def _validation_error(message: str) -> InvocationError:
    return InvocationError("ValidationError", 400, message)


def _check(invocation: EndpointInvocation) -> None:
    headers = invocation.headers
    for name in _REFUSED_HEADERS:
        if f"{_HEADER_PREFIX}{name}" in headers:
            raise _validation_error(
                f"The local SageMaker does not implement the header {_HEADER_PREFIX}{name}."
            )
    if len(invocation.body) > MAX_BODY_BYTES:
        raise _validation_error(
            f"The request body of {len(invocation.body)} bytes exceeds the limit of "
            f"{MAX_BODY_BYTES} bytes."
        )
    _check_headers(headers)
    limits = {_CUSTOM_ATTRIBUTES: MAX_CUSTOM_ATTRIBUTES, _INFERENCE_ID: MAX_INFERENCE_ID}
    for name, limit in limits.items():
        value = headers.get(name, "")
        if len(value) > limit or not value.isprintable() or not value.isascii():
            raise _validation_error(
                f"Value at '{name}' failed to satisfy constraint: it must be at most {limit} "
                "printable ASCII characters."
            )


def _check_headers(headers: dict[str, str]) -> None:
    validator = ShapeValidator()
    for name, shape in _header_shapes().items():
        if name in headers:
            validator.value(shape, headers[name], name)
    if validator.violations:
        raise _validation_error("; ".join(validator.violations))


@cache
def _header_shapes() -> dict[str, Shape]:
    """Return the shapes of the headers of an invocation, by their names in lower case."""
    shape = service_model("sagemaker-runtime").operation_model("InvokeEndpoint").input_shape
    members = shape.members.values() if isinstance(shape, StructureShape) else ()
    return {
        member.serialization["name"].lower(): member
        for member in members
        if member.serialization.get("location") == "header"
    }
