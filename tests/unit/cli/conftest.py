"""A stack for the command line to speak to: moto, and three services that moto lacks here."""

from __future__ import annotations

from functools import cache
from typing import Any

import boto3
import botocore.loaders
import botocore.session
import pytest
from botocore.exceptions import ClientError
from cli_stack import BUCKET, TABLE, ApiGateway, CloudFormation, Histories, Stack
from moto import mock_aws
from refit_cli.main import app
from refit_local.stack import lifecycle
from typer.testing import CliRunner


@pytest.fixture(autouse=True)
def _no_ground(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no command find the ground or the AWS account of the machine that runs the tests."""
    monkeypatch.setattr(lifecycle, "info", lambda port=4566: None)
    for name in ("REFIT_PORT", "REFIT_STACK", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(autouse=True, scope="session")
def _service_models_are_read_once():
    """Let all sessions share one loader: each command begins a session, and reading is slow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", cache(botocore.loaders.create_loader))
        yield


@pytest.fixture
def refit():
    """Run the command and return its result."""

    def run(*arguments: object, **options: Any) -> Any:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], **options)

    return run


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch):
    """Stand a Refit on AWS: a bucket and a table in moto."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    histories = Histories()
    standing = {
        "cloudformation": CloudFormation(ClientError),
        "apigateway": ApiGateway(),
        "stepfunctions": histories,
    }
    real = boto3.Session.client

    def client(session: boto3.Session, service: str, **options: Any) -> Any:
        return standing.get(service) or real(session, service, **options)

    with mock_aws():
        s3, dynamodb = boto3.client("s3"), boto3.resource("dynamodb")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        dynamodb.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
        )
        monkeypatch.setattr(boto3.Session, "client", client)
        yield Stack(s3, dynamodb, histories)
