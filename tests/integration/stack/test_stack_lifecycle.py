"""A ground's whole life, with a small template of its own and the real SAM CLI."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest
from refit_local.stack import lifecycle, record
from refit_local.stack.deploy import client
from refit_local.stack.errors import DeployFailed, PortTaken, StateFolderInUse
from stack_under_test import free_port, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from refit_local.stack.record import StackInfo

# They share one build of the template.
pytestmark = pytest.mark.xdist_group("ground lifecycle")

TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  PythonRuntime: { Type: String }
Resources:
  Echo:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: echo
      Handler: app.handler
      Runtime: !Ref PythonRuntime
      CodeUri: functions/
      Events:
        Post:
          Type: Api
          Properties: { Path: /echo, Method: post, RestApiId: !Ref Api }
  Api:
    Type: AWS::Serverless::Api
    Properties:
      StageName: v1
      Auth:
        ApiKeyRequired: true
        UsagePlan: { CreateUsagePlan: PER_API }
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: kept
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{ AttributeName: pk, AttributeType: S }]
      KeySchema: [{ AttributeName: pk, KeyType: HASH }]
Outputs:
  ApiUrl:
    Value: !Sub https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}/v1
  ApiKeyId:
    Value: !Ref ApiApiKey
"""
SETTINGS = """
version = 0.1
[local.deploy.parameters]
capabilities = "CAPABILITY_IAM CAPABILITY_AUTO_EXPAND"
confirm_changeset = false
fail_on_empty_changeset = false
resolve_s3 = true
parameter_overrides = ""
"""
HANDLER = """
import json
def handler(event, context):
    return {"statusCode": 200, "body": event["body"]}
"""


def written(folder: Path, requirements: str = "") -> Path:
    (folder / "functions").mkdir()
    (folder / "functions" / "app.py").write_text(HANDLER)
    (folder / "functions" / "requirements.txt").write_text(requirements)
    (folder / "template.yaml").write_text(TEMPLATE)
    (folder / "samconfig.toml").write_text(SETTINGS)
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("project"))


@pytest.fixture
def port() -> Iterator[int]:
    chosen = free_port()
    yield chosen
    lifecycle.down(chosen, discard=True)
    shutil.rmtree(record.folder(chosen), ignore_errors=True)


def children(ground: StackInfo) -> list[psutil.Process]:
    return psutil.Process(ground.pid).children(recursive=True)


def call_echo(ground: StackInfo) -> None:
    answer = client(ground, "lambda").invoke(FunctionName="echo", Payload=b'{"body": "1"}')
    assert json.loads(answer["Payload"].read())["body"] == "1"


def test_a_ground_stands_answers_and_is_found_again_with_its_state(
    project: Path, port: int
) -> None:
    said: list[str] = []
    ground = lifecycle.up(port, keep=True, log=said.append, project=project)
    assert lifecycle.info(port) == ground
    assert lifecycle.up(port, log=said.append) == ground
    with pytest.raises(StateFolderInUse, match=f"the ground on port {port} keeps its state in"):
        lifecycle.up(free_port(), ground.state_dir, project=project)
    assert any("stands on port" in line for line in said)
    import requests

    url = f"{ground.api_url}/echo"
    assert requests.post(url, data="hello", timeout=20).status_code == 403
    answer = requests.post(url, data="hello", headers={"x-api-key": ground.api_key}, timeout=20)
    assert (answer.status_code, answer.text) == (200, "hello")
    client(ground, "dynamodb").put_item(TableName="kept", Item={"pk": {"S": "mine"}})
    started = [psutil.Process(ground.pid), *children(ground)]
    assert len(started) > 1, "a Lambda process runs"
    assert lifecycle.down(port)
    assert not any(process.is_running() for process in started)
    assert lifecycle.info(port) is None
    assert not lifecycle.down(port), "there is no ground any more"
    again = lifecycle.up(port, log=said.append, project=project)
    assert "sam build: nothing changed since the last time" in said
    found = client(again, "dynamodb").get_item(TableName="kept", Key={"pk": {"S": "mine"}})
    assert found["Item"] == {"pk": {"S": "mine"}}
    call_echo(again)
    lifecycle.down(port, discard=True)
    assert not again.state_dir.exists()


def test_a_taken_port_is_named_with_the_flag_that_changes_it(project: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"port {taken} is taken.*--port N or REFIT_PORT=N"):
            lifecycle.up(taken, project=project)
    assert not record.folder(taken).exists()


def test_a_folder_of_other_things_is_never_taken_for_state(
    project: Path, port: int, tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(StateFolderInUse, match="name an empty folder with --state"):
        lifecycle.up(port, tmp_path, project=project)
    lifecycle.down(port, discard=True)
    assert (tmp_path / "thesis.txt").exists()


def test_a_template_that_does_not_build_is_shown_whole_and_leaves_nothing(
    tmp_path: Path, port: int
) -> None:
    project = written(tmp_path, requirements="no-such-package==0.0.0\n")
    with pytest.raises(DeployFailed, match=r"(?s)no-such-package.*`sam build` failed"):
        lifecycle.up(port, log=lambda _: None, project=project)
    assert lifecycle.info(port) is None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port))


def in_own_process(project: Path, port: int) -> subprocess.Popen[bytes]:
    """Start `up` in a process of its own, and wait until its server is on file."""
    code = (
        # Where these tests run in the background, a shell had SIGINT ignored in all that follows.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "import sys; from pathlib import Path; from refit_local.stack import lifecycle;"
        f"lifecycle.up({port}, project=Path({str(project)!r})); print('ready', flush=True);"
        f"lifecycle.attend({port})"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    until(lambda: record.read(port) is not None)
    return process


def test_an_interrupted_start_leaves_nothing(project: Path, port: int) -> None:
    starting = in_own_process(project, port)
    known = record.read(port)
    assert known is not None
    server = known.process()
    assert server is not None
    starting.send_signal(signal.SIGINT)
    assert starting.wait(30) != 0
    assert starting.stdout is not None
    starting.stdout.close()
    assert not server.is_running()
    assert record.read(port) is None
    assert not known.info.state_dir.exists()


def test_a_ground_ends_with_the_process_that_started_it(project: Path, port: int) -> None:
    owner = in_own_process(project, port)
    assert owner.stdout is not None
    until(lambda: lifecycle.info(port), 60)
    ground = lifecycle.info(port)
    assert ground is not None
    call_echo(ground)
    family = [psutil.Process(ground.pid), *children(ground)]
    owner.kill()
    owner.wait()
    owner.stdout.close()
    until(lambda: not any(process.is_running() for process in family), 30)


def test_lambda_processes_end_with_a_ground_that_is_killed(project: Path, port: int) -> None:
    ground = lifecycle.up(port, detach=True, log=lambda _: None, project=project)
    call_echo(ground)
    workers = children(ground)
    assert workers
    os.kill(ground.pid, signal.SIGKILL)
    until(lambda: not any(process.is_running() for process in workers), 10)
