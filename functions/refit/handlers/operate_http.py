"""The API shell of the handlers that show and operate models: several routes, one key.

    handler = operate({"/models": {"GET": Operation(_list_models)}})

A route is the `resource` of the event, as the template has it. Each has the method ANY there, so
that a method which it does not have is answered with 405 and not with API Gateway's 403.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from refit.domain.errors import ParameterInvalid
from refit.domain.naming import checked_model_name
from refit.handlers.http import (
    ANSWERED_ERRORS,
    cross_origin_headers,
    error_response,
    json_response,
    key_id,
    key_refusal,
    method_refusal,
    refusal_of,
    request_body,
)
from refit.handlers.wiring import services
from refit.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import BaseModel

    from refit.domain.inferences.payload import RequestBody
    from refit.handlers.http import Response
    from refit.usecases.services import Services

_MAX_VERSION_DIGITS = 9


@dataclass(frozen=True)
class OperateRequest:
    """A request to show or operate a model.

    Attributes:
        path: the parameters of the path.
        query: the query parameters.
        by: who asks, for records and messages.
    """

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: RequestBody
    by: str

    @property
    def model(self) -> str:
        return self.path["model"]

    @property
    def version(self) -> int:
        """The version of the path.

        Raises:
            ParameterInvalid: when it is not a number from 1 on.
        """
        text = self.path["version"]
        is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_VERSION_DIGITS
        if not is_number or int(text) < 1:
            raise ParameterInvalid(f"version is {text[:40]!r}; allowed: a whole number from 1 on")
        return int(text)


Operation: TypeAlias = "Callable[[Services, OperateRequest], BaseModel]"
Routes: TypeAlias = "Mapping[str, Mapping[str, Operation]]"


def operate(routes: Routes, success: int = 200) -> Callable[[dict[str, Any], Any], Response]:
    """Make a Lambda handler of the operations of some routes.

    Args:
        routes: operations by path and method.
        success: status of an answer.
    """

    @logger.inject_lambda_context
    def handler(event: dict[str, Any], context: Any) -> Response:
        method, path = event.get("httpMethod", ""), event.get("resource", "")
        if method == "OPTIONS":
            return preflight_response()
        operations = routes.get(path)
        if operations is None:
            return error_response(404, "RouteNotFound", f"there is no route {path[:200]}")
        if method not in operations:
            return method_refusal(path, ", ".join(sorted(operations)))
        key = key_id(event)
        if key != services().environment.api_key_id:
            return key_refusal(f"{method} {path}")
        model = (event.get("pathParameters") or {}).get("model")
        try:
            answer = operations[method](services(), _request(event, model, f"API key {key}"))
        except ANSWERED_ERRORS as error:
            return refusal_of(error, model)
        return json_response(success, answer.model_dump_json(by_alias=True))

    return handler


def preflight_response() -> Response:
    """Answer the question of a browser whether a page of another origin may send a request."""
    allowed = cross_origin_headers()
    if not allowed:
        return error_response(
            403,
            "CrossOriginRefused",
            "the parameter ApiAllowedOrigin of the stack allows no other origin",
        )
    response = json_response(204, "")
    response["headers"] = allowed | {
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Allow-Headers": "content-type, x-api-key",
        "Access-Control-Max-Age": "600",
    }
    return response


def _request(event: dict[str, Any], model: str | None, by: str) -> OperateRequest:
    if model is not None:
        checked_model_name(model)
    values: dict[str, list[str]] = event.get("multiValueQueryStringParameters") or {}
    repeated = sorted(name for name, given in values.items() if len(given) > 1)
    if repeated:
        raise ParameterInvalid(f"the query parameter {repeated[0]!r} is given more than once")
    return OperateRequest(
        path=event.get("pathParameters") or {},
        query=event.get("queryStringParameters") or {},
        body=request_body(event),
        by=by,
    )
