"""Generate docs/openapi.json and docs/api.md from the definition of the answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api_routes import EVERY_ROUTE, KEYS, ROUTES, Route
from pydantic.json_schema import models_json_schema
from reference_tables import meaning_of, table
from refit.domain.answers.answer import ErrorAnswer
from refit.domain.answers.paging import MAX_TOKEN
from refit.domain.naming import MODEL_NAME_PATTERN

if TYPE_CHECKING:
    from pydantic import BaseModel

FOLDER = Path(__file__).parent

_PARAMETERS: dict[str, dict[str, Any]] = {
    "model": {"type": "string", "pattern": rf"^{MODEL_NAME_PATTERN}$", "example": "digits"},
    "run": {"type": "string", "example": "3f0c9a1b2d4e"},
    "version": {"type": "integer", "minimum": 1, "maximum": 999_999_999, "example": 3},
}

INTRODUCTION = """# HTTP API

Generated from `functions/refit/domain/answers/` by `.venv/bin/python docs/generate_api.py`, as is
[openapi.json](openapi.json), the OpenAPI 3.1 document of the same routes.

The base URL is the output `ApiUrl` of the stack. Every request needs the header `x-api-key`, and
each key opens its own routes only ([which key is which](aws.md)). Names are those that
`refit status MODEL --json` prints. Times are ISO 8601 in UTC.

## Errors

Every status from 400 on has the same form:

```json
{"error": {"code": "RunNotFound", "message": "the model 'digits' has no run 'abc'"}}
```

| status | code | on routes |
|---|---|---|
"""

NOTES = """
A route that does not exist, and a request without a key, are answered by API Gateway with 403. A
method that a route does not have is answered with 405 and the header `Allow`.

## Lists

A list that can grow has pages: `limit` is the most elements of a page, and `next` continues where
the page before ended. A page may have fewer elements than `limit` before the end, because an answer
has at most 4 MB (Lambda returns 6 MB): go on until `next` is null. The order is stable: new
elements appear where the order puts them, and none is shown twice or left out. `next` is opaque; a
token of another list, or one that was changed, is refused with `ParameterInvalid`.

| list | order | `limit` | default |
|---|---|---|---|
"""

COSTS = """
## What a request reads

| route | reads |
|---|---|
| `GET /models` | one Query, and for each 50 models three BatchGetItem; no SageMaker, no CloudWatch, no object |
| `GET /models/{model}` | two BatchGetItem, one Query of at most 16 label counters, DescribeEndpoint, DescribeAlarms, and two objects of the bucket (three if rows can be pictures), which the function keeps |
| `GET /models/{model}/runs` | three BatchGetItem and one Query |
| `GET /models/{model}/runs/{run}` | two BatchGetItem and one GetItem; six objects of the bucket, of which the function keeps four; at most two pages of 1,000 events of each of two execution histories; while it trains, at most 5 MB of the log of one training job, and DescribeHyperParameterTuningJob |
| `GET /models/{model}/quality` | two BatchGetItem; one Query of the cohorts of a page, with up to 16 counters each, and one of label counters; three objects of the bucket, of which the function keeps two |
| `GET /models/{model}/versions` | four BatchGetItem, one ListModelPackages, and two objects of the bucket for each version, of which the function keeps one |

`GET /models` with 50 models takes four requests of DynamoDB. They read four items of each model,
consistently: about six read units a model, so 300 in all, and more if the runs have many columns.

## Actions

An action is answered with 202 when it was requested: it is carried out by the same events and state
machines as if it had been requested elsewhere, so the answer says how to follow it. A request that
is sent twice has no second effect: it is refused with 409 when the first one has had its effect.
`by` is the id of the API key. It stands in the events, in the state of the retraining, and in the
approval description of the model package.

**Rollback.** The newest approved version of a model is the one that is live. A rollback therefore
sets all approved versions that are newer than the chosen one to `Rejected`, oldest first and the
live one last. The last of these events starts the deployment of the chosen version, as if a person
had rejected the live one. If the request is interrupted, the live version stays live, and the same
request completes it. To go forward again, approve the newer version.

## Cross-origin requests

Browsers may use the API from pages of its own origin only. The parameter `ApiAllowedOrigin` of the
stack allows one other origin, such as `https://console.example.com`; by default it is empty, and no
answer has CORS headers.
"""


def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    answers = {route.answer for route in ROUTES} | {ErrorAnswer}
    bodies = {route.body for route in ROUTES if route.body}
    inputs = [(model, "serialization") for model in sorted(answers, key=lambda it: it.__name__)]
    inputs += [(model, "validation") for model in sorted(bodies, key=lambda it: it.__name__)]
    _, definitions = models_json_schema(
        inputs,  # type: ignore[arg-type]
        ref_template="#/components/schemas/{model}",
    )
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Refit",
            "version": "1",
            "description": "Predict, record ground truth, and show and operate models.",
        },
        "servers": [{"url": "{apiUrl}", "variables": {"apiUrl": {"default": "/"}}}],
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {
                key: {"type": "apiKey", "in": "header", "name": "x-api-key", "description": text}
                for key, text in KEYS.items()
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "security": [{route.key: []}],
        "parameters": _parameters(route),
        "responses": _responses(route),
    }
    if route.body is not None:
        content: dict[str, Any] = {"application/json": {"schema": _reference(route.body)}}
        content |= {kind: {"schema": {"type": "string"}} for kind in route.body_types}
        operation["requestBody"] = {"required": route.is_body_required, "content": content}
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    named = [part[1:-1] for part in route.path.split("/") if part.startswith("{")]
    parameters: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {key: it for key, it in _PARAMETERS[name].items() if key != "example"},
            "example": _PARAMETERS[name]["example"],
        }
        for name in named
    ]
    if route.paging is None:
        return parameters
    limit = {
        "type": "integer",
        "minimum": 1,
        "maximum": route.paging.largest,
        "default": route.paging.usual,
    }
    return [
        *parameters,
        {"name": "limit", "in": "query", "schema": limit, "description": "Most elements."},
        {
            "name": "next",
            "in": "query",
            "schema": {"type": "string", "minLength": 1, "maxLength": MAX_TOKEN},
            "description": "From the page before.",
        },
    ]


def _responses(route: Route) -> dict[str, Any]:
    responses: dict[str, Any] = {
        str(route.success): {
            "description": "Requested." if route.success == 202 else "The answer.",
            "content": {"application/json": {"schema": _reference(route.answer)}},
        }
    }
    for status, codes in _errors(route).items():
        responses[str(status)] = {
            "description": ", ".join(codes),
            "content": {"application/json": {"schema": _reference(ErrorAnswer)}},
        }
        if status == 405:
            responses["405"]["headers"] = {"Allow": {"schema": {"type": "string"}}}
        if status == 503:
            responses["503"]["headers"] = {"Retry-After": {"schema": {"type": "string"}}}
    return responses


def _errors(route: Route) -> dict[int, list[str]]:
    errors: dict[int, list[str]] = {}
    for status, code in sorted({*route.errors, *EVERY_ROUTE}):
        errors.setdefault(status, []).append(code)
    return errors


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def page() -> str:
    """Return the whole page."""
    schemas = document()["components"]["schemas"]
    parts = [INTRODUCTION, *_error_rows(), NOTES]
    parts += [
        f"| `{route.path}` | {route.paging.order} | 1 to {route.paging.largest} "
        f"| {route.paging.usual} |\n"
        for route in ROUTES
        if route.paging
    ]
    parts += [COSTS, *(_section(route) for route in ROUTES), "\n# Forms of the answers\n"]
    parts += [_form_section(name, schemas[name]) for name in sorted(schemas)]
    return "".join(parts)


def _error_rows() -> list[str]:
    codes: dict[tuple[int, str], list[str]] = {}
    for route in ROUTES:
        for pair in route.errors:
            codes.setdefault(pair, []).append(route.name)
    rows = [(*pair, "all") for pair in EVERY_ROUTE]
    rows += [(*pair, ", ".join(f"`{name}`" for name in names)) for pair, names in codes.items()]
    return [
        f"| {status} | `{code}`{' (API Gateway)' if code.isupper() else ''} | {where} |\n"
        for status, code, where in sorted(rows)
    ]


def _section(route: Route) -> str:
    body = ""
    if route.body is not None:
        optional = "" if route.is_body_required else " (may be absent)"
        kinds = "".join(f", or `{kind}`" for kind in route.body_types)
        body = f"\n- body: {_link(route.body.__name__)}{optional}{kinds}"
    statuses = ", ".join(str(status) for status in _errors(route))
    return (
        f"\n## {route.method} {route.path}\n\n{route.summary}\n\n- key: `{route.key}`{body}\n"
        f"- answer: {route.success} {_link(route.answer.__name__)}\n- errors: {statuses}\n"
    )


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def _form_section(name: str, schema: dict[str, Any]) -> str:
    text = schema.get("description", "").split("\n\n")[0].replace("\n", " ")
    if "enum" in schema:
        values = ", ".join(f"`{value}`" for value in schema["enum"])
        return f"\n### {name}\n\n{text}\n\n{values}\n"
    rows = [
        (f"`{key}`", _form(field), meaning_of(field))
        for key, field in schema.get("properties", {}).items()
    ]
    return f"\n### {name}\n\n{text}\n\n{table(('name', 'form', 'meaning'), rows)}"


def _form(schema: dict[str, Any]) -> str:  # noqa: PLR0911 (one for each form)
    """Describe the form of a value in words."""
    if "$ref" in schema:
        return _link(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(_form(part) for part in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = schema.get("type", "any value")
    if kind == "array":
        return f"list of {_form(schema['items'])}" if "items" in schema else "list"
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"object of {_form(inner)}" if isinstance(inner, dict) else "object"
    return "time" if schema.get("format") == "date-time" else str(kind)


def openapi_text() -> str:
    """Return docs/openapi.json."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    (FOLDER / "openapi.json").write_text(openapi_text())
    (FOLDER / "api.md").write_text(page())
