"""What these tests share: a running emulator, and functions that call its services."""

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

    from botocore.config import Config

RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIASTACKUNDERTEST1", "AWS_SECRET_ACCESS_KEY": "stack-under-test"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(check: Callable[[], Any], deadline_s: float = 20) -> Any:
    """Poll until the check returns something true, and return it."""
    end = time.monotonic() + deadline_s
    while not (result := check()):
        assert time.monotonic() < end, f"still {result!r} after {deadline_s} s"
        time.sleep(0.05)
    return result


def allow(action: str | list[str], resource: str = "*") -> dict[str, Any]:
    """Return a statement of an identity-based policy."""
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trust_policy(*services: str) -> str:
    """Return the trust policy of a role for services, e.g. `lambda`."""
    principals = {"Service": [f"{service}.amazonaws.com" for service in services]}
    return policy({"Effect": "Allow", "Principal": principals, "Action": "sts:AssumeRole"})


def packed(code: str) -> bytes:
    """Return a deployment package with one module, app."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("app.py", code)
    return content.getvalue()


@dataclass
class LocalAws:
    """The services of a running emulator."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, service: str, config: Config | None = None, **credentials: str) -> Any:
        keys = credentials or {name.lower(): value for name, value in KEYS.items()}
        return boto3.client(
            service, endpoint_url=self.url, region_name="us-east-1", config=config, **keys
        )

    def role(self, name: str, service: str, *statements: dict[str, Any]) -> str:
        iam = self.client("iam")
        created = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust_policy(service))
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy(*statements))
        return str(created["Role"]["Arn"])

    def function(self, name: str, code: str, **settings: Any) -> str:
        created = self.client("lambda").create_function(
            FunctionName=name,
            Runtime=RUNTIME,
            Handler="app.handler",
            Role=settings.pop("role", None) or self.role(f"{name}-role", "lambda"),
            Code={"ZipFile": packed(code)},
            **{"Timeout": 20, "MemorySize": 256, **settings},
        )
        return str(created["FunctionArn"])

    def invoke(self, name: str, event: Any = None) -> tuple[Any, str | None]:
        """Invoke a function; return its payload and its `FunctionError`."""
        response = self.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
        return json.loads(response["Payload"].read()), response.get("FunctionError")

    def machine(self, name: str, definition: dict[str, Any], *statements: dict[str, Any]) -> str:
        created = self.client("stepfunctions").create_state_machine(
            name=name,
            definition=json.dumps({"QueryLanguage": "JSONata", **definition}),
            roleArn=self.role(f"{name}-role", "states", *statements),
        )
        return str(created["stateMachineArn"])

    def start(self, machine: str, state_input: Any = None) -> str:
        started = self.client("stepfunctions").start_execution(
            stateMachineArn=machine, input=json.dumps(state_input or {})
        )
        return str(started["executionArn"])

    def ended(self, execution: str) -> dict[str, Any]:
        """Wait until an execution has ended; return its description."""
        states = self.client("stepfunctions")

        def description() -> dict[str, Any] | None:
            described: dict[str, Any] = states.describe_execution(executionArn=execution)
            return None if described["status"] == "RUNNING" else described

        return until(description)

    def run(self, machine: str, state_input: Any = None) -> Any:
        """Run a state machine to its end; return its output, or the error's name."""
        end = self.ended(self.start(machine, state_input))
        return json.loads(end["output"]) if end["status"] == "SUCCEEDED" else end["error"]

    def queue(self, name: str, service: str, **attributes: str) -> tuple[str, str]:
        """Create a queue that a service may send to; return its URL and ARN."""
        arn = f"arn:aws:sqs:us-east-1:000000000000:{name}"
        statement = allow("sqs:SendMessage", arn)
        statement["Principal"] = {"Service": f"{service}.amazonaws.com"}
        attributes["Policy"] = policy(statement)
        created = self.client("sqs").create_queue(QueueName=name, Attributes=attributes)
        return str(created["QueueUrl"]), arn

    def received(self, queue_url: str) -> list[Any]:
        """Wait for messages; return their bodies, parsed as JSON."""
        receive = self.client("sqs").receive_message
        messages = until(lambda: receive(QueueUrl=queue_url, WaitTimeSeconds=1).get("Messages"))
        return [json.loads(message["Body"]) for message in messages]

    def table(self, name: str, **settings: Any) -> dict[str, Any]:
        """Create a table whose key is the string `id`; return its description."""
        created: dict[str, Any] = self.client("dynamodb").create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            **settings,
        )["TableDescription"]
        return created

    def log(self, group: str, stream: str | None = None) -> list[str]:
        logs = self.client("logs")
        try:
            streams = {"logStreamNames": [stream]} if stream else {}
            events = logs.filter_log_events(logGroupName=group, **streams)["events"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [event["message"] for event in events]


@contextmanager
def running_emulator(
    state: Path, alarm_minute_s: float = 60, **environment: str
) -> Iterator[LocalAws]:
    """Run MiniStack with all corrections; alarms may use a shorter minute."""
    aws, server = started_emulator(state, alarm_minute_s, **environment)
    yield aws
    server.terminate()
    assert server.wait(20) == 0
    if server.stdin:
        server.stdin.close()


def started_emulator(
    state: Path, alarm_minute_s: float = 60, **environment: str
) -> tuple[LocalAws, subprocess.Popen[bytes]]:
    """Start MiniStack with all corrections; wait until it responds."""
    port = free_port()
    probe = str(Path(__file__).with_name("probe_server.py"))
    with (state / "log").open("ab") as log:
        server = subprocess.Popen(
            [sys.executable, probe, str(port), state, str(alarm_minute_s)],
            env={**os.environ, **KEYS, **environment},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    aws = LocalAws(port)

    def responds() -> bool:
        assert server.poll() is None, (state / "log").read_text()
        try:
            return requests.get(f"{aws.url}/_ministack/health", timeout=5).ok
        except requests.ConnectionError:
            return False

    until(responds, 30)
    return aws, server


_RULE_ACTIONS = ["events:PutTargets", "events:PutRule", "events:DescribeRule"]
MANAGED_RULES = allow(_RULE_ACTIONS)
"""What a state machine needs for `.sync` tasks besides the rights on its jobs."""

ALLOW_TASKS = allow(["sagemaker:*", "lambda:InvokeFunction", *_RULE_ACTIONS])
