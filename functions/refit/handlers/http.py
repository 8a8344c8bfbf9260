"""The API shell of the handlers: one route, errors as statuses, JSON responses.

    def _answer(services: Services, model: str, body: RequestBody) -> dict[str, Any]: …

    handler = post("/models/{model}/predictions", _answer)

handlers/operate_http.py has the routes that show and operate models.

It has the shape of Powertools' event handler, whose import takes 105 ms of a cold start.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

from refit.domain.errors import (
    ActionRefused,
    ModelNameInvalid,
    ModelNotFound,
    ObjectNotFound,
    ParameterInvalid,
    PayloadInvalid,
    PayloadTooLarge,
    RefitError,
    RunNotFound,
    TransientError,
    VersionNotFound,
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
    ParameterInvalid: 400,
    PayloadInvalid: 400,
    ModelNotFound: 404,
    RunNotFound: 404,
    VersionNotFound: 404,
    ActionRefused: 409,
    PayloadTooLarge: 413,
    ObjectNotFound: 500,
    TransientError: SERVICE_UNAVAILABLE,
}
"""All other errors are defects: API Gateway answers 502, and the Errors metric counts them.

A file of a live version that a person deleted is named in the answer. The alarm of the API counts
it, because its status is 5xx.
"""

ANSWERED_ERRORS = tuple(_STATUSES)


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
            return error_response(404, "RouteNotFound", f"there is only POST {path}")
        if event.get("httpMethod") != "POST":
            return method_refusal(path, "POST")
        if key_id(event) != services().environment.api_key_id:
            return key_refusal(f"POST {path}")
        try:
            content = answer(services(), checked_model_name(model), request_body(event))
        except ANSWERED_ERRORS as error:
            return refusal_of(error, model)
        return json_response(success, json.dumps(content, separators=(",", ":"), allow_nan=False))

    return handler


def refusal_of(error: RefitError, model: str | None) -> Response:
    """Return the response to a request that an error refuses."""
    code = type(error).__name__
    # The text of the error has values of the request, which do not belong into logs.
    logger.info("request refused", extra={"model": model, "code": code})
    status = next(status for kind, status in _STATUSES.items() if isinstance(error, kind))
    return error_response(status, code, str(error))


def method_refusal(path: str, allowed: str) -> Response:
    """Return the response to a method that a route does not have."""
    refusal = error_response(405, "MethodNotAllowed", f"{path} accepts {allowed} only")
    refusal["headers"]["Allow"] = allowed
    return refusal


def key_refusal(route: str) -> Response:
    """Return the response to a key that opens other routes only."""
    return error_response(403, "KeyNotAllowed", f"this API key does not open {route}")


def request_body(event: dict[str, Any]) -> RequestBody:
    """Return the body of a REST proxy event."""
    headers: dict[str, str] = event.get("headers") or {}
    types = (value for name, value in headers.items() if name.lower() == "content-type")
    is_base64 = bool(event.get("isBase64Encoded"))
    return RequestBody(event.get("body"), is_base64, next(types, None))


def key_id(event: dict[str, Any]) -> str | None:
    """Return the id of the API key of a request; every key of the usage plan gets this far."""
    identity = (event.get("requestContext") or {}).get("identity") or {}
    return identity.get("apiKeyId")


def error_response(status: int, code: str, message: str) -> Response:
    """Return the response with an error, in the form that all errors have."""
    body = {"error": {"code": code, "message": message}}
    response = json_response(status, json.dumps(body, separators=(",", ":")))
    if status == SERVICE_UNAVAILABLE:
        response["headers"]["Retry-After"] = str(RETRY_AFTER_S)
    return response


def json_response(status: int, body: str) -> Response:
    """Return a response with JSON, which pages of the allowed origin may read."""
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json"} | cross_origin_headers(),
        "body": body,
        "isBase64Encoded": False,
    }


def cross_origin_headers() -> dict[str, str]:
    """Return the headers that let the allowed origin read an answer; none by default."""
    origin = services().environment.api_allowed_origin
    return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"} if origin else {}
