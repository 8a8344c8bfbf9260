"""Requests to an API with the authorizer AWS_IAM are signed by the caller's credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.credentials import Credentials
from refit_cli.api.model_api import ApiAccess, ModelApi
from refit_cli.api.request_signature import RequestSignature

if TYPE_CHECKING:
    import pytest
    from requests import PreparedRequest

URL = "https://a1b2.execute-api.eu-west-1.amazonaws.com/v1"


def sent(monkeypatch: pytest.MonkeyPatch, access: ApiAccess) -> PreparedRequest:
    requests: list[PreparedRequest] = []

    class Stop(Exception):
        pass

    def send(_: object, request: PreparedRequest, **__: object) -> None:
        requests.append(request)
        raise Stop

    monkeypatch.setattr("requests.adapters.HTTPAdapter.send", send)
    try:
        ModelApi(access, "predictions").post(b"1,2\n", "text/csv")
    except Stop:
        return requests[0]
    raise AssertionError("nothing was sent")


def test_a_signed_request_names_the_key_service_and_region(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signature = RequestSignature(Credentials("AKIAEXAMPLE", "secret", "token"), "eu-west-1")
    request = sent(monkeypatch, ApiAccess(URL, "key", "digits", signature=signature))
    authorization = request.headers["Authorization"]
    assert authorization.startswith("AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/")
    assert "/eu-west-1/execute-api/aws4_request" in authorization
    assert "content-type;host;x-amz-date;x-amz-security-token" in authorization
    assert request.headers["X-Amz-Security-Token"] == "token"
    assert request.headers["x-api-key"] == "key"


def test_without_the_authorizer_a_request_has_the_key_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request = sent(monkeypatch, ApiAccess(URL, "key", "digits"))
    assert "Authorization" not in request.headers
    assert request.headers["x-api-key"] == "key"
