"""A stack of its own, with a live model, is destroyed: first all but the data, then the data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from refit_cli.main import app
from refit_local.stack import lifecycle
from typer.testing import CliRunner

from tests.e2e.conftest import free_port
from tests.e2e.driver import User
from tests.e2e.listed_resources import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit_local.stack.record import StackInfo

    from tests.e2e.conftest import Digits

DATA = {"s3 list_buckets": 1, "dynamodb list_tables": 2}


@pytest.fixture
def stack() -> Iterator[StackInfo]:
    port = free_port()
    stack = lifecycle.up(port)
    try:
        yield stack
    finally:
        lifecycle.down(port, discard=True)


def sources_of_logs(stack: StackInfo) -> set[str]:
    """Return the sources of the lines that `refit logs` shows, in the order of time."""
    result = CliRunner().invoke(app, ["logs", "digits", "--port", str(stack.port), "--json"])
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert lines == sorted(lines, key=lambda line: line["time"])
    return {line["source"] for line in lines}


def destroy(stack: StackInfo, *options: str) -> dict[str, Any]:
    arguments = ["destroy", "--port", str(stack.port), "--yes", "--json", *options]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    description: dict[str, Any] = json.loads(result.stdout)
    return description


def test_nothing_is_left_of_a_stack_and_its_model(stack: StackInfo, digits: Digits) -> None:
    user = User(stack)
    before = listed(user)
    assert before["lambda list_functions"] > 20
    user.drop("digits", {"digits.csv": digits.csv(slice(0, 600))})
    assert user.wait_for_end("digits")["status"] == "DEPLOYED"
    assert user.predict("digits", digits.rows(slice(0, 3))).status_code == 200
    assert sources_of_logs(stack) == {"function", "state", "training", "transform"}
    # The run of the second drop is active when the stack is destroyed.
    user.drop("digits", {"more.csv": digits.csv(slice(600, 900))})
    user.wait_for_status("digits", 2, "TRAINING")

    first = destroy(stack)
    found = {kind: each["count"] for kind, each in first["found"].items()}
    assert found["endpoints"] == found["model_packages"] == 1
    assert found["alarms"] == 9
    assert found["executions"] >= 1
    assert set(first["kept"]) >= {"AWS::S3::Bucket", "AWS::DynamoDB::Table", "object_versions"}
    assert listed(user) == DATA

    assert destroy(stack, "--delete-data")["left"] == {}
    assert listed(user) == {}
    assert destroy(stack, "--delete-data")["found"] == {}
