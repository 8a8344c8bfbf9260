"""Web pages of other sites and callers without credentials cannot use the local stack."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import requests

if TYPE_CHECKING:
    from stack_under_test import LocalAws

PAGE = "https://other.example"


@pytest.fixture(scope="module")
def bucket(aws: LocalAws) -> str:
    name = "guarded"
    aws.client("s3").create_bucket(Bucket=name)
    aws.client("s3").put_object(Bucket=name, Key="key", Body=b"mine")
    return name


def sent(aws: LocalAws, method: str, path: str, **headers: str) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.request(method, f"{aws.url}{path}", headers=named, data="{}", timeout=20)


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": PAGE}, {"Authorization": "AWS4-HMAC-SHA256 Credential=any"}],
    ids=["command", "page", "signed"],
)
@pytest.mark.parametrize("path", ["/_ministack/reset", "/_ministack/config", "/_localstack/health"])
def test_nobody_reaches_the_routes_of_the_emulator_itself(
    aws: LocalAws, bucket: str, path: str, headers: dict[str, str]
) -> None:
    assert sent(aws, "POST", path, **headers).status_code == 403
    assert aws.client("s3").get_object(Bucket=bucket, Key="key")["Body"].read() == b"mine"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
def test_a_page_of_another_site_is_refused_even_if_it_knows_the_keys(
    aws: LocalAws, bucket: str, method: str
) -> None:
    url = aws.client("s3").generate_presigned_url(
        "get_object", Params={"Bucket": bucket, "Key": "key"}
    )
    answer = requests.request(method, url, headers={"Origin": PAGE}, timeout=20)
    assert (answer.status_code, PAGE in answer.json()["message"]) == (403, True)
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("host", ["other.example", "other.example:80", "127.0.0.1.other.example"])
def test_a_foreign_name_for_this_machine_is_refused(aws: LocalAws, host: str) -> None:
    assert sent(aws, "GET", "/_ministack/health", Host=host).status_code == 403
    assert sent(aws, "GET", "/_aws/execute-api/any/v1/", Host=host).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "bucket.localhost", "[::1]"])
def test_the_names_of_the_loopback_interface_are_answered(aws: LocalAws, host: str) -> None:
    assert sent(aws, "GET", "/_ministack/health", Host=host).ok


def test_s3_denies_a_request_without_a_signature(aws: LocalAws, bucket: str) -> None:
    for method, path in (("GET", "/"), ("GET", f"/{bucket}/key"), ("PUT", f"/{bucket}/other")):
        answer = sent(aws, method, path)
        assert (answer.status_code, "<Code>AccessDenied</Code>" in answer.text) == (403, True)


def test_a_presigned_address_needs_no_further_signature(aws: LocalAws, bucket: str) -> None:
    url = aws.client("s3").generate_presigned_url(
        "get_object", Params={"Bucket": bucket, "Key": "key"}
    )
    assert requests.get(url, timeout=20).content == b"mine"


def test_other_services_name_the_missing_token(aws: LocalAws) -> None:
    of_json = sent(
        aws,
        "POST",
        "/",
        X_Amz_Target="DynamoDB_20120810.ListTables",
        Content_Type="application/x-amz-json-1.0",
    )
    body: dict[str, Any] = json.loads(of_json.text)
    assert (of_json.status_code, body["__type"]) == (400, "MissingAuthenticationTokenException")
    of_xml = sent(aws, "POST", "/", Content_Type="application/x-www-form-urlencoded")
    assert (of_xml.status_code, "MissingAuthenticationToken" in of_xml.text) == (403, True)
