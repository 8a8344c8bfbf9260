"""The live endpoint: rows in, predictions out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from refit.domain.errors import EndpointNotReady, PayloadInvalid, ServiceThrottled
from refit.stores.clients import client, error_code, passing_troubles_named


@dataclass(frozen=True)
class Answer:
    """What an endpoint said, and which production variant said it."""

    body: bytes
    content_type: str
    variant: str


def invoke(
    endpoint: str,
    body: bytes,
    content_type: str = "text/csv",
    accept: str = "text/csv",
    inference_id: str | None = None,
) -> Answer:
    """Ask an endpoint.

    Raises:
        EndpointNotReady: when it does not exist or is not in service.
        PayloadInvalid: when the model refuses the rows.
        ServiceThrottled: when the service or the model's server fails.
    """
    request = {
        "EndpointName": endpoint,
        "Body": body,
        "ContentType": content_type,
        "Accept": accept,
    } | ({"InferenceId": inference_id} if inference_id else {})
    try:
        with passing_troubles_named():
            answer = client("sagemaker-runtime").invoke_endpoint(**request)
            content = answer["Body"].read()
    except ClientError as error:
        raise _named(endpoint, error) from error
    return Answer(content, answer["ContentType"], answer["InvokedProductionVariant"])


def _named(endpoint: str, error: ClientError) -> Exception:
    code = error_code(error)
    if code == "ModelError":
        details: dict[str, Any] = dict(error.response)
        status = int(details.get("OriginalStatusCode", 500))
        said = str(details.get("OriginalMessage", error))
        if status < 500:
            return PayloadInvalid(f"the model refused the rows ({status}): {said}")
        return ServiceThrottled(f"the model's server failed ({status}): {said}")
    if code in {"ValidationError", "ValidationException", "ModelNotReadyException"}:
        return EndpointNotReady(f"endpoint {endpoint} cannot answer now: {error}")
    return error
