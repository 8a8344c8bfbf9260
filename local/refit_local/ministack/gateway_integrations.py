"""API Gateway: key in events; failed, throttled, slow functions; metric of errors; stage settings.

AWS        gives a function the id of the API key; answers a throttled function with the gateway
           response INTEGRATION_FAILURE, never with 429, and a function that takes longer than the
           integration's timeout (29 seconds) with INTEGRATION_TIMEOUT, while it runs on; answers a
           function that failed with 502 and no word of its error; publishes 5XXError; takes the
           gateway responses and the method ANY of an OpenAPI definition; decodes the paths in the
           method settings of a stage, /~1models~1{model}
MiniStack  leaves the key out, passes 429 and the texts of errors on, waits without end, publishes
           no metric of an API, and ignores the gateway responses and the method ANY of a
           definition; takes such a path as it is, so that the settings apply to nothing
Source     API Gateway Developer Guide, "Variables for data models, authorizers, mapping templates,
           and CloudWatch access logging" (identity.apiKeyId), "Gateway response types", "Amazon API
           Gateway dimensions and metrics", "Amazon API Gateway quotas" (integration timeout), and
           "x-amazon-apigateway-gateway-responses object" and "x-amazon-apigateway-any-method
           object"; AWS re:Post, "API Gateway proxy
           integration does not forward Lambda throttling" and "Inconsistencies in response codes
           depending on whether API Gateway response settings are configured"; CloudFormation
           User Guide, "AWS::ApiGateway::Stage MethodSetting"
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

from refit_local.ministack.hooks import put_metric
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from refit_local.ministack.hooks import Document

INTEGRATION_TIMEOUT_MS = 29_000
_ANY = "x-amazon-apigateway-any-method"
BAD_GATEWAY = 502
_FAILED = "refit: the function failed"
_THROTTLED = "refit: the function is throttled"


def install() -> None:
    """Install these patches into MiniStack."""
    Hook.GATEWAY_EVENT.wrap(_event)
    Hook.GATEWAY_PROXY_ANSWER.wrap(_proxy_answer)
    Hook.GATEWAY_PROXY.wrap(_invoke)
    Hook.GATEWAY_HANDLE.wrap(_handle)
    Hook.GATEWAY_ERROR_ANSWER.wrap(_error_answer)
    Hook.GATEWAY_IMPORT.wrap(_import)
    Hook.GATEWAY_METHODS.get().add("any")
    Hook.METHOD_SETTINGS.wrap(_method_settings)


def _event(original: Callable[..., Document], *args: Any, **options: Any) -> Document:
    """Add the id and the value of the API key of a method that requires one."""
    event = original(*args, **options)
    resource, method, headers = args[3], args[5], args[6]
    methods = resource.get("resourceMethods", {})
    settings = methods.get(method) or methods.get("ANY") or {}
    key = Hook.GATEWAY_KEY.get()(settings, args[0], args[1], headers)[1]
    if key is not None:
        identity = event["requestContext"]["identity"]
        identity.update(apiKey=key["value"], apiKeyId=key["id"])
    return event


def _proxy_answer(
    original: Callable[[Document], tuple[Any, str | None]], result: Document
) -> tuple[Any, str | None]:
    if result.get("throttle"):
        return {"statusCode": _THROTTLED}, None
    answer, failure = original(result)
    return ({"statusCode": _FAILED}, None) if failure else (answer, None)


async def _invoke(original: Callable[..., Awaitable[Any]], *args: Any, **options: Any) -> Any:
    limit_ms = args[0].get("timeoutInMillis") or INTEGRATION_TIMEOUT_MS
    call = asyncio.ensure_future(original(*args, **options))
    done, _ = await asyncio.wait({call}, timeout=int(limit_ms) / 1000)
    if not done:
        return Hook.GATEWAY_ERROR.get()("INTEGRATION_TIMEOUT", "Endpoint request timed out")
    answer = call.result()
    if isinstance(answer, tuple) and answer[0] == _THROTTLED:
        return Hook.GATEWAY_ERROR.get()("INTEGRATION_FAILURE", "Internal server error")
    if isinstance(answer, tuple) and answer[0] == _FAILED:
        error = Hook.GATEWAY_ERROR.get()("DEFAULT_5XX", "Internal server error")
        error.status = BAD_GATEWAY
        return error
    return answer


def _error_answer(
    original: Callable[..., tuple[int, Any, Any]], error: Any, *args: Any
) -> tuple[int, Any, Any]:
    status, *rest = original(error, *args)
    return getattr(error, "status", status), rest[0], rest[1]


async def _handle(
    original: Callable[..., Awaitable[tuple[int, Any, Any]]], api_id: str, *args: Any
) -> tuple[int, Any, Any]:
    answer = await original(api_id, *args)
    if answer[0] >= 500:
        name = Hook.GATEWAY_APIS.get().get(api_id, {}).get("name", api_id)
        put_metric("AWS/ApiGateway", "5XXError", [1.0], "Count", {"ApiName": name})
    return answer


def _import(original: Callable[..., str], definition: Document, *rest: Any) -> str:
    paths = {
        path: {"any" if name == _ANY else name: method for name, method in methods.items()}
        for path, methods in (definition.get("paths") or {}).items()
    }
    api_id = original({**definition, "paths": paths}, *rest)
    for kind, response in (definition.get("x-amazon-apigateway-gateway-responses") or {}).items():
        Hook.GATEWAY_RESPONSE.get()(api_id, kind, response)
    return api_id


def _method_settings(original: Callable[[Any], Document], settings: Any) -> Document:
    decoded = [
        {**setting, "ResourcePath": re.sub("^/~1|~1", "/", setting.get("ResourcePath", "/*"))}
        for setting in settings or []
    ]
    return original(decoded)
