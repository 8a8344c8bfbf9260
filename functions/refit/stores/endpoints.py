"""Describe, change and invoke SageMaker endpoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from refit.domain.errors import EndpointNotReady, PayloadInvalid, ServiceThrottled
from refit.stores.clients import error_code, translate_transient_errors

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class EndpointState:
    """The state of an endpoint, as DescribeEndpoint returns it."""

    status: str
    config: str
    failure_reason: str | None


@dataclass(frozen=True)
class EndpointAnswer:
    """The answer of an endpoint, and the production variant that returned it."""

    body: bytes
    content_type: str
    variant: str


class Endpoints:
    """SageMaker endpoints and their endpoint configs."""

    def __init__(self, client: Callable[[str], Any]) -> None:
        self._client = client

    def invoke(
        self,
        endpoint: str,
        body: bytes,
        inference_id: str,
        variant: str | None = None,
        accept: str = "text/csv",
    ) -> EndpointAnswer:
        """Send CSV rows to an endpoint and return its answer, in the content type `accept`.

        Args:
            endpoint: name of the endpoint.
            body: the rows.
            inference_id: id under which the endpoint captures the call.
            variant: the production variant that answers; None: it is chosen by the weights.
            accept: content type of the answer.

        Raises:
            EndpointNotReady: when the endpoint does not exist or is not in service.
            PayloadInvalid: when the model rejects the rows.
            ServiceThrottled: when SageMaker or the model container fails.
        """
        try:
            with translate_transient_errors():
                answer = self._client("sagemaker-runtime").invoke_endpoint(
                    EndpointName=endpoint,
                    Body=body,
                    ContentType="text/csv",
                    Accept=accept,
                    InferenceId=inference_id,
                    **({"TargetVariant": variant} if variant else {}),
                )
                content = answer["Body"].read()
        except ClientError as error:
            raise _translated(endpoint, error) from error
        return EndpointAnswer(content, answer["ContentType"], answer["InvokedProductionVariant"])

    def describe(self, endpoint: str) -> EndpointState | None:
        """Return the state of an endpoint, or None when it does not exist."""
        try:
            with translate_transient_errors():
                answer = self._client("sagemaker").describe_endpoint(EndpointName=endpoint)
        except ClientError as error:
            if error_code(error) != "ValidationException":
                raise
            return None
        return EndpointState(
            answer["EndpointStatus"],
            answer.get("EndpointConfigName", ""),
            answer.get("FailureReason"),
        )

    def create(self, endpoint: str, config: str, tags: list[dict[str, str]]) -> None:
        """Create an endpoint with a config that exists."""
        with translate_transient_errors():
            self._client("sagemaker").create_endpoint(
                EndpointName=endpoint, EndpointConfigName=config, Tags=tags
            )

    def update(self, endpoint: str, config: str) -> None:
        """Update an endpoint to another config, all at once."""
        with translate_transient_errors():
            self._client("sagemaker").update_endpoint(
                EndpointName=endpoint, EndpointConfigName=config
            )

    def delete(self, endpoint: str) -> None:
        """Delete an endpoint if it exists."""
        self._delete("delete_endpoint", EndpointName=endpoint)

    def delete_deployment(self, name: str) -> None:
        """Delete the endpoint config and the model that a deployment created under its name."""
        self._delete("delete_endpoint_config", EndpointConfigName=name)
        self.delete_model(name)

    def models_named(self, stem: str) -> list[str]:
        """Return the names of the SageMaker models that begin with a stem; at most 100."""
        with translate_transient_errors():
            answer = self._client("sagemaker").list_models(NameContains=stem, MaxResults=100)
        names = (entry["ModelName"] for entry in answer["Models"])
        return [name for name in names if name.startswith(stem)]

    def delete_model(self, name: str) -> None:
        """Delete a SageMaker model if it exists."""
        self._delete("delete_model", ModelName=name)

    def _delete(self, operation: str, **request: str) -> None:
        try:
            with translate_transient_errors():
                getattr(self._client("sagemaker"), operation)(**request)
        except ClientError as error:
            if error_code(error) != "ValidationException":
                raise


def _translated(endpoint: str, error: ClientError) -> Exception:
    code = error_code(error)
    if code == "ModelError":
        details: dict[str, Any] = dict(error.response)
        status = int(details.get("OriginalStatusCode", 500))
        message = str(details.get("OriginalMessage", error))
        if status < 500:
            return PayloadInvalid(f"the model rejected the rows ({status}): {message}")
        return ServiceThrottled(f"the model container failed ({status}): {message}")
    if code in {"ValidationError", "ValidationException", "ModelNotReadyException"}:
        return EndpointNotReady(f"endpoint {endpoint} is not in service: {error}")
    return error
