"""Each API key opens exactly one route: every route is asked with every key."""

from __future__ import annotations

import json
from typing import Any

import pytest
from refit.handlers import predict, record_ground_truth

from tests.support.aws_stack import CONTEXT, Stack, forget_services
from tests.support.events import sample

KEYS = {"predict": "predict00id", "label": "label0000id", "operate": "operate00id", "none": None}
ROUTES = {
    "predict": (predict.handler, "predict"),
    "label": (record_ground_truth.handler, "record_ground_truth"),
}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("route", ROUTES)
def test_a_route_is_opened_by_its_own_key_only(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, route: str, key: str
) -> None:
    handler, name = ROUTES[route]
    monkeypatch.setenv("API_KEY_ID", str(KEYS[route]))
    forget_services()
    event = sample(name)
    event["requestContext"]["identity"]["apiKeyId"] = KEYS[key]
    answer = handler(event, CONTEXT)
    # There is no model, so an opened route answers 404.
    expected = (404, "ModelNotFound") if route == key else (403, "KeyNotAllowed")
    assert (answer["statusCode"], json.loads(answer["body"])["error"]["code"]) == expected


def test_a_request_without_a_context_is_refused(stack: Stack) -> None:
    event: dict[str, Any] = {**sample("predict"), "requestContext": None}
    assert predict.handler(event, CONTEXT)["statusCode"] == 403
