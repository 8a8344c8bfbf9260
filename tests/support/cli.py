"""The stack for tests of the command line: moto, and fakes for what moto does not support."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.exceptions import ClientError
from botocore.loaders import Loader, create_loader
from pydantic import BaseModel
from refit.domain.pipeline.model_state import Champion, ModelState
from refit_cli.runtime import LocalStacks
from refit_local.stack.record import StackInfo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BUCKET = "refit-data"
TABLE = "refit-models"
API_URL = "https://api.example.test/v1"
API_KEYS = {
    "predict": "the-key-of-predictions",
    "label": "the-key-of-labels",
    "operate": "the-key-of-operators",
}
TRAIN, DEPLOY, BATCH = (
    f"arn:aws:states:us-east-1:123456789012:stateMachine:refit-{name}"
    for name in ("train", "deploy", "batch")
)

OUTPUTS = {
    "BucketName": BUCKET,
    "ModelTableName": TABLE,
    "InferenceTableName": "refit-inferences",
    "NamePrefix": "refit",
    "ApiUrl": API_URL,
    "DashboardUrl": "https://us-east-1.console.aws.amazon.com/cloudwatch/home#dashboards:name=refit",
    "ApiAuthorizer": "NONE",
    "PredictApiKeyId": "predict-id",
    "LabelApiKeyId": "label-id",
    "OperateApiKeyId": "operate-id",
    "TrainStateMachineArn": TRAIN,
    "DeployStateMachineArn": DEPLOY,
    "BatchStateMachineArn": BATCH,
}


CHAMPION = Champion(
    version=1,
    run="r1",
    package_arn="arn:package/1",
    endpoint="refit-digits",
    endpoint_config="refit-digits-1",
    variant="v1",
    promoted_at="2026-11-20T12:00:00.000+00:00",
)


class CloudFormation:
    """A fake of CloudFormation with one stack, `refit`.

    Attributes:
        parameters: of the stack.
    """

    def __init__(self) -> None:
        self.parameters = {"AllowedScripts": "no", "AllowedImages": ""}

    def describe_stacks(self, StackName: str) -> dict[str, Any]:
        if StackName != "refit":
            raise ClientError(
                {"Error": {"Code": "ValidationError", "Message": "does not exist"}},
                "DescribeStacks",
            )
        outputs = [{"OutputKey": key, "OutputValue": value} for key, value in OUTPUTS.items()]
        parameters = [
            {"ParameterKey": key, "ParameterValue": value} for key, value in self.parameters.items()
        ]
        return {"Stacks": [{"Outputs": outputs, "Parameters": parameters}]}


class ApiGateway:
    def get_api_key(self, apiKey: str, includeValue: bool) -> dict[str, Any]:
        assert includeValue
        return {"value": API_KEYS[apiKey.removesuffix("-id")]}


class Histories:
    """A fake of Step Functions that returns execution histories."""

    def __init__(self) -> None:
        self.events: dict[str, list[dict[str, Any]]] = {}

    def get_paginator(self, operation: str) -> Histories:
        assert operation == "get_execution_history"
        return self

    def paginate(
        self,
        executionArn: str,
        includeExecutionData: bool,
        PaginationConfig: dict[str, Any] | None = None,
    ) -> list[dict[str, list[dict[str, Any]]]]:
        events = self.events.get(executionArn, [])
        return [{"events": events[:3]}, {"events": events[3:]}]


def history(*steps: tuple[str, float, float | None], ended: bool = True) -> list[dict[str, Any]]:
    """Return the events of an execution with these steps: (name, entered, left) in seconds."""
    origin = datetime.now(UTC) - timedelta(seconds=100)
    moments: list[tuple[float, str, dict[str, Any]]] = []
    for name, entered, left in steps:
        moments.append((entered, "TaskStateEntered", {"stateEnteredEventDetails": {"name": name}}))
        if left is not None:
            moments.append((left, "TaskStateExited", {"stateExitedEventDetails": {"name": name}}))
    if ended:
        moments.append((max(moment[0] for moment in moments), "ExecutionSucceeded", {}))
    return [
        {"id": number, "type": kind, "timestamp": origin + timedelta(seconds=at), **details}
        for number, (at, kind, details) in enumerate(
            sorted(moments, key=lambda moment: moment[0]), 1
        )
    ]


@dataclass
class Stack:
    """The stack that the commands use; a test fills it."""

    s3: Any
    dynamodb: Any
    histories: Histories

    def put(self, key: str, body: bytes | str | dict[str, Any]) -> str:
        """Store an object and return its version."""
        if isinstance(body, dict):
            body = json.dumps(body)
        answer = self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        return str(answer["VersionId"])

    def keys(self) -> list[str]:
        listed = self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return [entry["Key"] for entry in listed]

    def add_run(self, model: str, run: str, status: str, **values: Any) -> None:
        started_at = values.pop("started_at", datetime.now(UTC))
        item = {
            "pk": f"MODEL#{model}",
            "sk": f"RUN#{run}",
            "run": run,
            "model": model,
            "status": status,
            "cause": "drop",
            "started_at": started_at.isoformat(timespec="milliseconds"),
            "updated_at": started_at.isoformat(timespec="milliseconds"),
            **values,
        }
        self.dynamodb.Table(TABLE).put_item(Item=item)
        self.dynamodb.Table(TABLE).put_item(Item={"pk": "MODELS", "sk": model})

    def set_state(self, model: str, champion: Champion, **values: Any) -> None:
        state = ModelState(champion=champion, **values)
        self.put_item(model, "STATE", state.model_dump(mode="json", exclude_none=True))

    def create_inference_table(self) -> None:
        self.dynamodb.create_table(
            TableName=OUTPUTS["InferenceTableName"],
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        )

    def add_inferences(self, model: str, count: int) -> None:
        table = self.dynamodb.Table(OUTPUTS["InferenceTableName"])
        with table.batch_writer() as batch:
            for number in range(count):
                batch.put_item(Item={"id": f"{model}#{number}", "model": model})

    def inference_ids(self) -> set[str]:
        items = self.dynamodb.Table(OUTPUTS["InferenceTableName"]).scan()["Items"]
        return {str(item["id"]) for item in items}

    def item_keys(self, model: str) -> list[str]:
        """Return the sort keys of a model's items."""
        items = self.dynamodb.Table(TABLE).scan()["Items"]
        return sorted(str(item["sk"]) for item in items if item["pk"] == f"MODEL#{model}")

    def put_item(self, model: str, sk: str, values: BaseModel | dict[str, Any]) -> None:
        """Store an item of a model in the form that the functions write."""
        text = values.model_dump_json() if isinstance(values, BaseModel) else json.dumps(values)
        item = json.loads(text, parse_float=Decimal)
        self.dynamodb.Table(TABLE).put_item(Item={"pk": f"MODEL#{model}", "sk": sk, **item})

    def add_digits(self) -> None:
        """Add a model with a live version and a run that failed after it."""
        before = datetime.now(UTC) - timedelta(minutes=90)
        self.add_run(
            "digits",
            "r1",
            "DEPLOYED",
            version=1,
            started_at=before,
            finished_at=(before + timedelta(seconds=75)).isoformat(),
            metrics={"accuracy": Decimal("0.975"), "task": "classification"},
        )
        self.add_run("digits", "r2", "FAILED", error="DatasetEmpty", message="no usable row")
        self.set_state("digits", CHAMPION)


@cache
def _loader() -> Loader:
    return create_loader()


class Session:
    """A boto3 session in which a test can replace the clients of some services.

    All sessions share one loader: each command opens a session, and reading the models is slow.
    """

    def __init__(self, clients: dict[str, Any], **credentials: str) -> None:
        botocore_session = botocore.session.get_session()
        botocore_session.register_component("data_loader", _loader())
        self._session = boto3.Session(botocore_session=botocore_session, **credentials)
        self._clients = clients

    @property
    def region_name(self) -> str | None:
        return self._session.region_name

    def client(self, service: str, **options: Any) -> Any:
        return self._clients.get(service) or self._session.client(service, **options)


@dataclass
class FakeLocalStacks(LocalStacks):
    """A fake of the local stacks; the stack in moto takes the place of the running one.
    Attributes:
        calls: calls of the commands, in order.
        running: the stack that was started.
        error: error that the next call of `up` or `down` raises.
    """

    state_dir: Path
    calls: list[tuple[object, ...]] = field(default_factory=list)
    running: StackInfo | None = None
    error: Exception | None = None

    def info(self, port: int) -> StackInfo | None:
        return self.running if self.running and self.running.port == port else None

    def up(
        self,
        port: int,
        state_dir: Path | None,
        *,
        keep: bool,
        detach: bool,
        log: Callable[[str], None],
    ) -> StackInfo:
        self.calls.append(("up", port, state_dir, keep, detach))
        if self.error:
            raise self.error
        log("MiniStack responds")
        self.running = StackInfo(
            port=port,
            pid=4242,
            state_dir=self.state_dir,
            endpoint_url=None,
            region="us-east-1",
            access_key_id="testing",
            secret_access_key="testing",
            stack_name="refit",
            api_url=API_URL,
            api_keys=API_KEYS,
        )
        return self.running

    def down(self, port: int, *, discard: bool, log: Callable[[str], None]) -> bool:
        self.calls.append(("down", port, discard))
        if self.error:
            raise self.error
        log("stopped")
        self.running = None
        return True

    def log_path(self, port: int) -> Path:
        """Simulate a user who presses Ctrl-C while the log is shown."""
        raise KeyboardInterrupt
