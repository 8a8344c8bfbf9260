"""Read the models and runs of a stack from its table and its bucket."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ClientError
from refit.domain.evaluation.gate import GateDecision
from refit.domain.evaluation.report import Evaluation
from refit.domain.monitoring.verdict import Verdict
from refit.domain.naming import ModelKeys
from refit.domain.pipeline.model_state import ModelState
from refit.domain.pipeline.run import Run
from refit.domain.retraining.state import Retraining
from refit.domain.vocabulary import RunStatus

if TYPE_CHECKING:
    from datetime import datetime

    from refit_cli.connection import StackConnection

ENDED = frozenset({RunStatus.DEPLOYED, RunStatus.REFUSED, RunStatus.FAILED, RunStatus.SUPERSEDED})
_NEWEST_REFUSALS = 200

# S3 rounds times to whole seconds, and its clock differs from the clock of the table's writer.
_CLOCK_TOLERANCE = timedelta(seconds=2)


@dataclass(frozen=True)
class CurrentObject:
    """An object below a model's raw/ folder, at its current version."""

    key: str
    version: str
    last_modified: datetime


class Records:
    """Reads the records of one stack."""

    def __init__(self, connection: StackConnection) -> None:
        self._connection = connection
        self._stack = connection.stack

    def models(self) -> list[str]:
        """Return the names of all models, sorted."""
        return sorted(item["sk"] for item in self._query("MODELS"))

    def state(self, model: str) -> ModelState:
        """Return the state of a model; empty for an unknown model."""
        return ModelState.model_validate(self._item(model, "STATE"))

    def runs(self, model: str) -> list[Run]:
        """Return all runs of a model, newest first."""
        items = self._query(f"MODEL#{model}", "RUN#")
        runs = [Run.model_validate(item) for item in items]
        return sorted(runs, key=lambda run: run.started_at, reverse=True)

    def run(self, model: str, run: str) -> Run | None:
        """Return one run, or None when there is no such run."""
        item = self._item(model, f"RUN#{run}")
        return Run.model_validate(item) if item else None

    def verdict(self, model: str) -> Verdict | None:
        """Return the newest verdict on a live version, or None before the first."""
        verdict = self._item(model, "MONITOR").get("verdict")
        return None if verdict is None else Verdict.model_validate(verdict)

    def retraining(self, model: str) -> Retraining:
        """Return the state of a model's retraining; healthy if nothing is recorded."""
        item = self._item(model, "RETRAINING")
        return Retraining.model_validate(
            {name: value for name, value in item.items() if name not in {"pk", "sk"}}
        )

    def newest_file(self, model: str) -> CurrentObject | None:
        """Return the data file that was uploaded last and still exists, or None."""
        pages = (
            self._connection.client("s3")
            .get_paginator("list_object_versions")
            .paginate(Bucket=self._stack.bucket, Prefix=ModelKeys(model).raw)
        )
        current = [
            CurrentObject(entry["Key"], entry["VersionId"], entry["LastModified"])
            for page in pages
            for entry in page.get("Versions", [])
            if entry["IsLatest"] and not entry["Key"].endswith("/")
        ]
        return max(current, key=lambda file: file.last_modified, default=None)

    def files_of_run(self, model: str, run: str) -> frozenset[tuple[str, str]] | None:
        """Return (key, version) of the files of a run's drop; None before drop.json is written."""
        drop = self._json(ModelKeys(model).run(run).drop)
        if drop is None:
            return None
        return frozenset((file["key"], file["version"]) for file in drop.get("files", []))

    def evaluation(self, model: str, run: str) -> Evaluation | None:
        """Return a run's evaluation, or None while there is none."""
        evaluation = self._json(ModelKeys(model).run(run).evaluation)
        return None if evaluation is None else Evaluation.model_validate(evaluation)

    def decision(self, model: str, run: str) -> GateDecision | None:
        """Return the gate's decision on a run, or None before there is one."""
        decision = self._json(ModelKeys(model).run(run).gate)
        return None if decision is None else GateDecision.model_validate(decision)

    def labels(self, model: str) -> dict[str, Any]:
        """Return the LABELS item: the number of labels by status; empty before the first label."""
        return self._item(model, "LABELS")

    def refusal(self, folder: str) -> str | None:
        """Return why files in a folder whose name is no model name were refused, or None."""
        pages = (
            self._connection.client("s3")
            .get_paginator("list_objects_v2")
            .paginate(Bucket=self._stack.bucket, Prefix="_refused/")
        )
        entries = [entry for page in pages for entry in page.get("Contents", [])]
        entries.sort(key=lambda entry: entry["LastModified"], reverse=True)
        for entry in entries[:_NEWEST_REFUSALS]:
            refused = self._json(entry["Key"]) or {}
            if str(refused.get("key", "")).startswith(f"{folder}/"):
                return str(refused.get("reason"))
        return None

    def endpoint_status(self, endpoint: str) -> str:
        """Return SageMaker's status of an endpoint, or `missing`."""
        try:
            answer = self._connection.client("sagemaker").describe_endpoint(EndpointName=endpoint)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationException":
                raise
            return "missing"
        return str(answer["EndpointStatus"])

    def _json(self, key: str) -> Any:
        s3 = self._connection.client("s3")
        try:
            return json.loads(s3.get_object(Bucket=self._stack.bucket, Key=key)["Body"].read())
        except s3.exceptions.NoSuchKey:
            return None

    def _item(self, model: str, sk: str) -> dict[str, Any]:
        answer = self._connection.client("dynamodb").get_item(
            TableName=self._stack.model_table,
            Key={"pk": {"S": f"MODEL#{model}"}, "sk": {"S": sk}},
            ConsistentRead=True,
        )
        return _plain(answer.get("Item", {}))

    def _query(self, pk: str, sk_prefix: str | None = None) -> list[dict[str, Any]]:
        condition, values = "pk = :pk", {":pk": {"S": pk}}
        if sk_prefix:
            condition += " AND begins_with(sk, :sk)"
            values[":sk"] = {"S": sk_prefix}
        pages = (
            self._connection.client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=self._stack.model_table,
                KeyConditionExpression=condition,
                ExpressionAttributeValues=values,
                ConsistentRead=True,
            )
        )
        return [_plain(item) for page in pages for item in page["Items"]]


def has_ended(run: Run) -> bool:
    """Return whether a run has ended. A run that awaits approval has not."""
    return run.status in ENDED


def run_to_follow(records: Records, model: str, runs: list[Run]) -> Run | None:
    """Return the run to follow: the newest, or None while newer data has no run yet.

    The uploaded files and the files of each run are read from the bucket. So `refit watch` waits
    for the run of a `refit put` just before it, and does not report the outcome of the run before.
    `runs` are the model's runs, newest first.
    """
    if not runs:
        return None
    newest = records.newest_file(model)
    if newest is None:
        return runs[0]
    for run in runs:
        files = records.files_of_run(model, run.run)
        started_after = run.started_at >= newest.last_modified - _CLOCK_TOLERANCE
        if (files is None and started_after) or (newest.key, newest.version) in (files or ()):
            return runs[0]
        if not started_after:
            return None
    return None


def _plain(item: dict[str, Any]) -> dict[str, Any]:
    deserializer = TypeDeserializer()
    return {key: deserializer.deserialize(value) for key, value in item.items()}
