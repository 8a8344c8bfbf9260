"""Start, find and stop a local stack, with a small template and the real SAM CLI."""

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
import requests
from refit_local.stack import lifecycle, record
from refit_local.stack.deploy import client
from refit_local.stack.errors import DeployFailed, PortTaken, StackBusy, StateFolderInUse
from stack_under_test import free_port, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from refit_local.stack.record import StackInfo

# These tests share one build of the template.
pytestmark = pytest.mark.xdist_group("stack lifecycle")

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
  PredictApiKeyId:
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


def written_project(folder: Path, requirements: str = "") -> Path:
    (folder / "functions").mkdir()
    (folder / "functions" / "app.py").write_text(HANDLER)
    (folder / "functions" / "requirements.txt").write_text(requirements)
    (folder / "template.yaml").write_text(TEMPLATE)
    (folder / "samconfig.toml").write_text(SETTINGS)
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written_project(tmp_path_factory.mktemp("project"))


@pytest.fixture
def port() -> Iterator[int]:
    port = free_port()
    yield port
    lifecycle.down(port, discard=True)
    shutil.rmtree(record.folder(port), ignore_errors=True)


def children(info: StackInfo) -> list[psutil.Process]:
    return psutil.Process(info.pid).children(recursive=True)


def invoke_echo(info: StackInfo) -> None:
    response = client(info, "lambda").invoke(FunctionName="echo", Payload=b'{"body": "1"}')
    assert json.loads(response["Payload"].read())["body"] == "1"


def test_kept_state_is_there_after_the_next_up(project: Path, port: int) -> None:
    log: list[str] = []
    info = lifecycle.up(port, keep=True, log=log.append, project=project)
    assert lifecycle.info(port) == info
    assert lifecycle.up(port, log=log.append) == info
    running = f"the local stack is already running on port {port} (process {info.pid})"
    assert log[-1] == running
    with pytest.raises(StateFolderInUse, match=f"local stack on port {port} keeps its state in"):
        lifecycle.up(free_port(), info.state_dir, project=project)
    assert_api_requires_its_key(info)
    client(info, "dynamodb").put_item(TableName="kept", Item={"pk": {"S": "mine"}})
    started = [psutil.Process(info.pid), *children(info)]
    assert len(started) > 1, "no Lambda process runs"
    assert lifecycle.down(port, log=log.append)
    assert log[-1] == f"the local stack on port {port} has stopped"
    assert not any(process.is_running() for process in started)
    assert lifecycle.info(port) is None
    assert not lifecycle.down(port, log=log.append)
    assert log[-1] == f"no local stack is running on port {port}"
    restarted = lifecycle.up(port, log=log.append, project=project)
    assert "sam build: nothing has changed since the last build" in log
    response = client(restarted, "dynamodb").get_item(TableName="kept", Key={"pk": {"S": "mine"}})
    assert response["Item"] == {"pk": {"S": "mine"}}
    invoke_echo(restarted)
    lifecycle.down(port, discard=True)
    assert not restarted.state_dir.exists()


def test_up_deploys_again_when_the_stack_of_a_running_one_was_destroyed(
    project: Path, port: int
) -> None:
    info = lifecycle.up(port, project=project)
    cloudformation = client(info, "cloudformation")
    cloudformation.delete_stack(StackName=info.stack_name)
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName=info.stack_name, WaiterConfig={"Delay": 1}
    )
    log: list[str] = []
    again = lifecycle.up(port, log=log.append, project=project)
    assert "without a stack in it; building and deploying the template" in log[0]
    assert again.pid == info.pid
    assert again.api_keys != info.api_keys
    assert lifecycle.info(port) == again
    assert_api_requires_its_key(again)
    invoke_echo(again)


def assert_api_requires_its_key(info: StackInfo) -> None:
    url = f"{info.api_url}/echo"
    assert requests.post(url, data="hello", timeout=20).status_code == 403
    response = requests.post(
        url, data="hello", headers={"x-api-key": info.api_keys["predict"]}, timeout=20
    )
    assert (response.status_code, response.text) == (200, "hello")


def test_the_error_for_a_taken_port_names_the_option_that_changes_it(project: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"port {taken} is taken.*--port N or REFIT_PORT=N"):
            lifecycle.up(taken, project=project)
    assert not record.folder(taken).exists()


def test_a_folder_with_other_files_is_neither_used_nor_deleted(
    project: Path, port: int, tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(StateFolderInUse, match="name an empty folder with --state"):
        lifecycle.up(port, tmp_path, project=project)
    lifecycle.down(port, discard=True)
    assert (tmp_path / "thesis.txt").exists()


def test_a_failed_build_shows_the_whole_output_and_stops_the_server(
    tmp_path: Path, port: int
) -> None:
    project = written_project(tmp_path, requirements="no-such-package==0.0.0\n")
    with pytest.raises(DeployFailed, match=r"(?s)no-such-package.*`sam build` failed"):
        lifecycle.up(port, log=lambda _: None, project=project)
    assert lifecycle.info(port) is None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port))


def up_in_own_process(project: Path, port: int) -> subprocess.Popen[bytes]:
    """Run `up` in a process of its own, and wait until its server is recorded."""
    code = (
        # A shell ignores SIGINT in background jobs, and child processes inherit that.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "import sys; from pathlib import Path; from refit_local.stack import lifecycle;"
        f"lifecycle.up({port}, project=Path({str(project)!r})); print('ready', flush=True);"
        f"lifecycle.attend({port})"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    until(lambda: record.read(port) is not None)
    return process


def test_an_interrupted_start_leaves_no_process_and_no_files(project: Path, port: int) -> None:
    starting = up_in_own_process(project, port)
    recorded = record.read(port)
    assert recorded is not None
    server = recorded.process()
    assert server is not None
    starting.send_signal(signal.SIGINT)
    assert starting.wait(30) != 0
    assert starting.stdout is not None
    starting.stdout.close()
    assert not server.is_running()
    assert record.read(port) is None
    assert not recorded.info.state_dir.exists()


def test_up_fails_while_another_process_starts_the_stack(project: Path, port: int) -> None:
    starting = up_in_own_process(project, port)
    with pytest.raises(StackBusy, match=f"a local stack is being started on port {port}"):
        lifecycle.up(port, project=project)
    starting.send_signal(signal.SIGINT)
    assert starting.wait(30) != 0
    assert starting.stdout is not None
    starting.stdout.close()


def test_a_down_beside_an_up_leaves_no_folder_behind(project: Path, port: int) -> None:
    starting = up_in_own_process(project, port)
    recorded = record.read(port)
    assert recorded is not None
    lifecycle.down(port, log=lambda _: None)
    # The other process gave the lock back before `down` deleted the folder.
    assert not recorded.info.state_dir.exists()
    assert record.read(port) is None
    assert starting.wait(30) != 0
    assert starting.stdout is not None
    starting.stdout.close()
    assert not recorded.info.state_dir.exists()


def test_the_stack_stops_when_the_process_that_started_it_is_killed(
    project: Path, port: int
) -> None:
    owner = up_in_own_process(project, port)
    assert owner.stdout is not None
    until(lambda: lifecycle.info(port), 60)
    info = lifecycle.info(port)
    assert info is not None
    invoke_echo(info)
    processes = [psutil.Process(info.pid), *children(info)]
    owner.kill()
    owner.wait()
    owner.stdout.close()
    until(lambda: not any(process.is_running() for process in processes), 30)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_build_ends_when_the_process_that_started_it_ends_by_a_signal(
    tmp_path: Path, port: int, number: signal.Signals
) -> None:
    project = written_project(tmp_path)
    template = TEMPLATE.replace(
        "Type: AWS::Serverless::Function",
        "Type: AWS::Serverless::Function\n    Metadata: { BuildMethod: makefile }",
    )
    (project / "template.yaml").write_text(template)
    (project / "functions" / "Makefile").write_text("build-Echo:\n\tsleep 900\n")
    starting = up_in_own_process(project, port)

    def build() -> list[psutil.Process] | None:
        """Return SAM and the program that it runs, once that runs."""
        processes = psutil.Process(starting.pid).children(recursive=True)
        return processes if "sleep" in [process.name() for process in processes] else None

    processes = until(build, 60)
    starting.send_signal(number)
    assert starting.wait(30) == -number
    assert starting.stdout is not None
    starting.stdout.close()
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert not alive


def test_lambda_processes_end_when_the_server_is_killed(project: Path, port: int) -> None:
    info = lifecycle.up(port, detach=True, log=lambda _: None, project=project)
    invoke_echo(info)
    workers = children(info)
    assert workers
    os.kill(info.pid, signal.SIGKILL)
    until(lambda: not any(process.is_running() for process in workers), 10)
