"""The command `refit` on a machine without local stack and AWS account, or with a stack in moto."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws
from refit_cli.main import app
from refit_cli.runtime import CommandRuntime
from typer.main import get_command
from typer.testing import CliRunner

from tests.support.cli import (
    BUCKET,
    TABLE,
    ApiGateway,
    CloudFormation,
    FakeLocalStacks,
    Histories,
    Session,
    Stack,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", autouse=True)
def _build_the_command_once() -> Iterator[None]:
    # The runner of Typer builds all subcommands at each call, which takes longer than most of them.
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("typer.testing._get_command", lru_cache(get_command))
        yield


@pytest.fixture(autouse=True)
def _no_aws_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the AWS account and the settings of the machine that runs the tests."""
    for name in ("REFIT_PORT", "REFIT_STACK", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def local_stacks(tmp_path) -> FakeLocalStacks:
    """The local stacks of the machine: none is running."""
    return FakeLocalStacks(tmp_path)


@pytest.fixture
def clients() -> dict[str, Any]:
    """The clients that replace those of boto3, by service."""
    return {}


@pytest.fixture
def runtime(local_stacks, clients) -> CommandRuntime:
    return CommandRuntime(
        local_stacks=local_stacks,
        open_session=partial(Session, clients),
        user_name=lambda: "ada",
        poll_s=0.02,
        history_grace_s=0.1,
        retry_backoff_s=0.0,
    )


@pytest.fixture
def refit(runtime):
    """Run the command and return its result."""

    def run(*arguments: object, runtime: CommandRuntime = runtime, **options: Any) -> Any:
        return CliRunner().invoke(
            app, [str(argument) for argument in arguments], obj=runtime, **options
        )

    return run


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, clients):
    """A Refit stack on AWS: a bucket and a table in moto."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    histories = Histories()
    clients.update(
        cloudformation=CloudFormation(), apigateway=ApiGateway(), stepfunctions=histories
    )
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
        yield Stack(s3, dynamodb, histories)
