"""The stack that the tests of the command line set up, and what it answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

BUCKET = "refit-data"
TABLE = "refit-models"
API_URL = "https://api.example.test/v1"
API_KEY = "the-key"

OUTPUTS = {
    "BucketName": BUCKET,
    "ModelTableName": TABLE,
    "NamePrefix": "refit",
    "ApiUrl": API_URL,
    "ApiKeyId": "key-id",
}


class CloudFormation:
    """Knows one stack, `refit`, and no other."""

    def __init__(self, error: type[Exception]) -> None:
        self._error = error

    def describe_stacks(self, StackName: str) -> dict[str, Any]:
        if StackName != "refit":
            raise self._error(
                {"Error": {"Code": "ValidationError", "Message": "does not exist"}},
                "DescribeStacks",
            )
        outputs = [{"OutputKey": key, "OutputValue": value} for key, value in OUTPUTS.items()]
        return {"Stacks": [{"Outputs": outputs}]}


class ApiGateway:
    def get_api_key(self, apiKey: str, includeValue: bool) -> dict[str, Any]:
        assert (apiKey, includeValue) == ("key-id", True)
        return {"value": API_KEY}


class Histories:
    """Step Functions as far as its histories go: events by execution."""

    def __init__(self) -> None:
        self.events: dict[str, list[dict[str, Any]]] = {}

    def get_paginator(self, operation: str) -> Histories:
        assert operation == "get_execution_history"
        return self

    def paginate(
        self, executionArn: str, includeExecutionData: bool
    ) -> list[dict[str, list[dict[str, Any]]]]:
        events = self.events.get(executionArn, [])
        return [{"events": events[:3]}, {"events": events[3:]}]


def history(*steps: tuple[str, float, float | None], ended: bool = True) -> list[dict[str, Any]]:
    """Make the events of states that were (name, entered, left) at seconds from now."""
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
        for number, (at, kind, details) in enumerate(sorted(moments, key=lambda one: one[0]), 1)
    ]


@dataclass
class Stack:
    """The stack behind the commands, as a test sets it up."""

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
            "status": status,
            "cause": "drop",
            "started_at": started_at.isoformat(timespec="milliseconds"),
            **values,
        }
        self.dynamodb.Table(TABLE).put_item(Item=item)
        self.dynamodb.Table(TABLE).put_item(Item={"pk": "MODELS", "sk": model})

    def set_state(self, model: str, **values: Any) -> None:
        self.dynamodb.Table(TABLE).put_item(Item={"pk": f"MODEL#{model}", "sk": "STATE", **values})

    def put_item(self, model: str, sk: str, values: BaseModel | dict[str, Any]) -> None:
        """Store an item of a model as the functions do."""
        text = values.model_dump_json() if isinstance(values, BaseModel) else json.dumps(values)
        item = json.loads(text, parse_float=Decimal)
        self.dynamodb.Table(TABLE).put_item(Item={"pk": f"MODEL#{model}", "sk": sk, **item})
