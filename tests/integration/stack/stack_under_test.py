"""What the tests of the ground share: how to start one and speak to it."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import time
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAGROUNDUNDERTEST", "AWS_SECRET_ACCESS_KEY": "ground-under-test"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(look: Callable[[], Any], deadline_s: float = 20) -> Any:
    """Look until there is something to see."""
    end = time.monotonic() + deadline_s
    while not (seen := look()):
        assert time.monotonic() < end, f"nothing to see within {deadline_s} s; last was {seen!r}"
        time.sleep(0.05)
    return seen


def packed(code: str) -> bytes:
    """Return a deployment package of one module, app."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("app.py", code)
    return content.getvalue()


@dataclass
class Ground:
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, service: str, **credentials: str) -> Any:
        keys = credentials or {name.lower(): value for name, value in KEYS.items()}
        return boto3.client(service, endpoint_url=self.url, region_name="us-east-1", **keys)

    def role(self, name: str, service: str, *statements: dict[str, Any]) -> str:
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": f"{service}.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
        iam = self.client("iam")
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        if statements:
            document = {"Version": "2012-10-17", "Statement": list(statements)}
            iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(document))
        return str(made["Role"]["Arn"])

    def function(self, name: str, code: str, **settings: Any) -> str:
        made = self.client("lambda").create_function(
            FunctionName=name,
            Runtime=RUNTIME,
            Handler="app.handler",
            Role=settings.pop("role", None) or self.role(f"{name}-role", "lambda"),
            Code={"ZipFile": packed(code)},
            **{"Timeout": 20, "MemorySize": 256, **settings},
        )
        return str(made["FunctionArn"])

    def call(self, name: str, event: Any = None) -> tuple[Any, str | None]:
        """Invoke a function; return its answer and its `FunctionError`."""
        answer = self.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
        return json.loads(answer["Payload"].read()), answer.get("FunctionError")

    def machine(self, name: str, definition: dict[str, Any], *statements: dict[str, Any]) -> str:
        made = self.client("stepfunctions").create_state_machine(
            name=name,
            definition=json.dumps({"QueryLanguage": "JSONata", **definition}),
            roleArn=self.role(f"{name}-role", "states", *statements),
        )
        return str(made["stateMachineArn"])

    def start(self, machine: str, given: Any = None) -> str:
        started = self.client("stepfunctions").start_execution(
            stateMachineArn=machine, input=json.dumps(given or {})
        )
        return str(started["executionArn"])

    def ended(self, execution: str, deadline_s: float = 20) -> dict[str, Any]:
        states = self.client("stepfunctions")

        def look() -> dict[str, Any] | None:
            seen: dict[str, Any] = states.describe_execution(executionArn=execution)
            return None if seen["status"] == "RUNNING" else seen

        return until(look, deadline_s)

    def run(self, machine: str, given: Any = None) -> Any:
        """Run a state machine to its end; return its output, or the error's name."""
        end = self.ended(self.start(machine, given))
        return json.loads(end["output"]) if end["status"] == "SUCCEEDED" else end["error"]

    def log(self, group: str, stream: str | None = None) -> list[str]:
        logs = self.client("logs")
        try:
            names = {"logStreamNames": [stream]} if stream else {}
            found = logs.filter_log_events(logGroupName=group, **names)
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [event["message"] for event in found["events"]]


@contextmanager
def standing(state: Path, alarm_minute_s: float = 60) -> Iterator[Ground]:
    """Start a ground, give it, and end it; its alarms may be told that a minute is shorter."""
    port = free_port()
    probe = str(Path(__file__).with_name("probe_server.py"))
    with (state / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, probe, str(port), state, str(alarm_minute_s)],
            env={**os.environ, **KEYS},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    made = Ground(port)

    def answers() -> bool:
        assert server.poll() is None, (state / "log").read_text()
        try:
            return requests.get(f"{made.url}/_ministack/health", timeout=5).ok
        except requests.ConnectionError:
            return False

    until(answers, 30)
    yield made
    server.terminate()
    assert server.wait(20) == 0
    if server.stdin:
        server.stdin.close()


ALLOW_TASKS = {
    "Effect": "Allow",
    "Action": ["sagemaker:*", "lambda:InvokeFunction"],
    "Resource": "*",
}
