"""The API shell of the handlers: one route, errors as statuses, JSON responses.

    def _answer(services: Services, model: str, body: RequestBody) -> dict[str, Any]: …

    handler = post("/models/{model}/predictions", _answer)

It has the shape of Powertools' event handler, whose import takes 105 ms of a cold start.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

from refit.domain.errors import (
    ModelNameInvalid,
    ModelNotFound,
    PayloadInvalid,
    PayloadTooLarge,
    RefitError,
    TransientError,
)
from refit.domain.inferences.payload import RequestBody
from refit.domain.naming import checked_model_name
from refit.handlers.wiring import services
from refit.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit.usecases.services import Services

Response: TypeAlias = dict[str, Any]
Answer: TypeAlias = "Callable[[Services, str, RequestBody], dict[str, Any]]"

RETRY_AFTER_S = 2
SERVICE_UNAVAILABLE = 503

_STATUSES: dict[type[RefitError], int] = {
    ModelNameInvalid: 400,
    PayloadInvalid: 400,
    ModelNotFound: 404,
    PayloadTooLarge: 413,
    TransientError: SERVICE_UNAVAILABLE,
}
"""All other errors are defects: API Gateway answers 502, and the Errors metric counts them."""


def post(
    path: str, answer: Answer, success: int = 200
) -> Callable[[dict[str, Any], Any], Response]:
    """Make a Lambda handler of a function that answers POST requests with JSON.

    Args:
        path: of the route, for error messages.
        answer: gets the services, the name of the model, and the body; returns the JSON to send.
        success: status of an answer.
    """

    @logger.inject_lambda_context
    def handler(event: dict[str, Any], context: Any) -> Response:
        model = (event.get("pathParameters") or {}).get("model")
        if model is None:
            return _error(404, "RouteNotFound", f"there is only POST {path}")
        if event.get("httpMethod") != "POST":
            refusal = _error(405, "MethodNotAllowed", f"{path} accepts POST only")
            refusal["headers"]["Allow"] = "POST"
            return refusal
        if _key_id(event) != services().environment.api_key_id:
            return _error(403, "KeyNotAllowed", f"this API key does not open POST {path}")
        try:
            content = answer(services(), checked_model_name(model), request_body(event))
        except tuple(_STATUSES) as error:
            code = type(error).__name__
            # The text of the error has values of the request, which do not belong into logs.
            logger.info("request refused", extra={"model": model, "code": code})
            return _error(_status_of(error), code, str(error))
        return _response(success, content)

    return handler


def request_body(event: dict[str, Any]) -> RequestBody:
    """Return the body of a REST proxy event."""
    headers: dict[str, str] = event.get("headers") or {}
    types = (value for name, value in headers.items() if name.lower() == "content-type")
    is_base64 = bool(event.get("isBase64Encoded"))
    return RequestBody(event.get("body"), is_base64, next(types, None))


def _key_id(event: dict[str, Any]) -> str | None:
    """Return the id of the API key of a request; every key of the usage plan gets this far."""
    identity = (event.get("requestContext") or {}).get("identity") or {}
    return identity.get("apiKeyId")


def _status_of(error: RefitError) -> int:
    return next(status for kind, status in _STATUSES.items() if isinstance(error, kind))


def _error(status: int, code: str, message: str) -> Response:
    response = _response(status, {"error": {"code": code, "message": message}})
    if status == SERVICE_UNAVAILABLE:
        response["headers"]["Retry-After"] = str(RETRY_AFTER_S)
    return response


def _response(status: int, body: dict[str, Any]) -> Response:
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(body, separators=(",", ":"), allow_nan=False),
        "isBase64Encoded": False,
    }
