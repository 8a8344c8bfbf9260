"""Requests to the routes that show and operate models, as API Gateway passes them on."""

from __future__ import annotations

import json
import re
from typing import Any

from refit.handlers import operate_models, read_models

from tests.support.aws_stack import CONTEXT
from tests.support.events import sample

KEY = sample("read_models")["requestContext"]["identity"]["apiKeyId"]


def event_of(
    method: str, path: str, query: dict[str, str] | None = None, body: Any = None
) -> dict[str, Any]:
    """Return the event of a request."""
    event = sample("read_models")
    routes = [*read_models.ROUTES, *operate_models.ROUTES]
    for resource in routes:
        found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", resource), path)
        if found:
            event |= {"resource": resource, "pathParameters": found.groupdict() or None}
    event |= {"httpMethod": method, "path": path, "queryStringParameters": query}
    event["multiValueQueryStringParameters"] = query and {k: [v] for k, v in query.items()}
    event["body"] = body if body is None or isinstance(body, str) else json.dumps(body)
    return event


def send(event: dict[str, Any]) -> tuple[int, Any]:
    """Give an event to the function that has its route; return status and content."""
    handler = operate_models if event["resource"] in operate_models.ROUTES else read_models
    answer = handler.handler(event, CONTEXT)
    content = json.loads(answer["body"])
    if answer["statusCode"] >= 400:
        assert content.keys() == {"error"}
        assert content["error"].keys() == {"code", "message"}
    return answer["statusCode"], content


def get(path: str, **query: str) -> Any:
    """Return the content of a GET that is answered with 200."""
    status, content = send(event_of("GET", path, query or None))
    assert status == 200, content
    return content


def refused(method: str, path: str, query: Any = None, body: Any = None) -> tuple[int, str]:
    """Return status and code of a request that is refused."""
    status, content = send(event_of(method, path, query, body))
    assert status >= 400, content
    return status, content["error"]["code"]


def act(path: str, body: Any = None) -> Any:
    """Return the content of an action that is answered with 202."""
    status, content = send(event_of("POST", path, body=body))
    assert status == 202, content
    return content
