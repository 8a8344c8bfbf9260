"""What a stack's table and bucket say about its models and runs, in plain values."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ClientError
from refit.domain.evaluation.gate import GateDecision
from refit.domain.evaluation.report import Evaluation
from refit.domain.monitoring.verdict import Verdict
from refit.domain.naming import ModelKeys
from refit.domain.retraining.state import Retraining

if TYPE_CHECKING:
    from refit_cli.connection import Connection

ENDED = frozenset({"DEPLOYED", "REFUSED", "FAILED", "SUPERSEDED"})
NEWEST_REFUSALS = 200

# S3 tells times in whole seconds, and the table's are another service's clock.
CLOCK_SLACK = timedelta(seconds=2)


@dataclass(frozen=True)
class Run:
    """One run of a model. Attributes that its item does not have (yet) are None."""

    run: str
    status: str
    cause: str
    started_at: datetime
    finished_at: datetime | None = None
    train_execution: str | None = None
    deploy_execution: str | None = None
    version: int | None = None
    package_arn: str | None = None
    error: str | None = None
    message: str | None = None
    metrics: dict[str, Any] = field(default_factory=dict)

    @property
    def has_ended(self) -> bool:
        """Say whether nothing more will come of it. One that awaits approval has not ended."""
        return self.status in ENDED


@dataclass(frozen=True)
class DroppedFile:
    """One object below a model's raw/ folder, at its current version."""

    key: str
    version: str
    last_modified: datetime


class Records:
    """Reads the records of one stack."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stack = connection.stack

    def models(self) -> list[str]:
        """Return the names of all models, in order."""
        return sorted(item["sk"] for item in self._query("MODELS"))

    def state(self, model: str) -> dict[str, Any]:
        """Return a model's state; an unknown model has an empty one."""
        return self._item(model, "STATE")

    def runs(self, model: str) -> list[Run]:
        """Return all runs of a model, the newest first."""
        items = self._query(f"MODEL#{model}", "RUN#")
        return sorted((_run(item) for item in items), key=lambda run: run.started_at, reverse=True)

    def run(self, model: str, run: str) -> Run | None:
        """Return one run, or None when there is no such run."""
        item = self._item(model, f"RUN#{run}")
        return _run(item) if item else None

    def verdict(self, model: str) -> Verdict | None:
        """Return what the last look at a live version found, or None before the first."""
        found = self._item(model, "MONITOR").get("verdict")
        return None if found is None else Verdict.model_validate(found)

    def retraining(self, model: str) -> Retraining:
        """Return where a model's retraining stands; one of which nothing is known is healthy."""
        item = self._item(model, "RETRAINING")
        return Retraining.model_validate(
            {name: value for name, value in item.items() if name not in {"pk", "sk"}}
        )

    def newest_file(self, model: str) -> DroppedFile | None:
        """Return the file that was dropped last and is still there, or None."""
        pages = (
            self._connection.client("s3")
            .get_paginator("list_object_versions")
            .paginate(Bucket=self._stack.bucket, Prefix=ModelKeys(model).raw)
        )
        current = [
            DroppedFile(entry["Key"], entry["VersionId"], entry["LastModified"])
            for page in pages
            for entry in page.get("Versions", [])
            if entry["IsLatest"] and not entry["Key"].endswith("/")
        ]
        return max(current, key=lambda file: file.last_modified, default=None)

    def files_of_run(self, model: str, run: str) -> frozenset[tuple[str, str]] | None:
        """Return (key, version) of the files that caused a run; None while that is not written."""
        drop = self._json(ModelKeys(model).run(run).drop)
        if drop is None:
            return None
        return frozenset((file["key"], file["version"]) for file in drop.get("files", []))

    def evaluation(self, model: str, run: str) -> Evaluation | None:
        """Return a run's evaluation, or None while there is none."""
        found = self._json(ModelKeys(model).run(run).evaluation)
        return None if found is None else Evaluation.model_validate(found)

    def decision(self, model: str, run: str) -> GateDecision | None:
        """Return what the gate decided of a run, or None while it has not."""
        found = self._json(ModelKeys(model).run(run).gate)
        return None if found is None else GateDecision.model_validate(found)

    def labels(self, model: str) -> dict[str, Any]:
        """Return how many labels of each kind came; empty before the first."""
        return self._item(model, "LABELS")

    def refusal(self, folder: str) -> str | None:
        """Return why a drop into a folder that can be no model was refused, or None."""
        pages = (
            self._connection.client("s3")
            .get_paginator("list_objects_v2")
            .paginate(Bucket=self._stack.bucket, Prefix="_refused/")
        )
        found = [entry for page in pages for entry in page.get("Contents", [])]
        found.sort(key=lambda entry: entry["LastModified"], reverse=True)
        for entry in found[:NEWEST_REFUSALS]:
            refused = self._json(entry["Key"]) or {}
            if str(refused.get("key", "")).startswith(f"{folder}/"):
                return str(refused.get("reason"))
        return None

    def endpoint_status(self, endpoint: str) -> str:
        """Return the status SageMaker gives of an endpoint, or `missing`."""
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


def run_to_follow(records: Records, model: str, runs: list[Run]) -> Run | None:
    """Return the run whose outcome counts now: the newest, unless a later drop awaits its own.

    What was dropped and what each run took are read from the bucket, so a `put` that was followed
    at once by `watch` is waited for and the outcome of the run before it is not reported again.

    Args:
        records: the stack's records.
        model: the model's name.
        runs: its runs, the newest first.
    """
    if not runs:
        return None
    newest = records.newest_file(model)
    if newest is None:
        return runs[0]
    for run in runs:
        files = records.files_of_run(model, run.run)
        began_after = run.started_at >= newest.last_modified - CLOCK_SLACK
        if (files is None and began_after) or (newest.key, newest.version) in (files or ()):
            return runs[0]
        if not began_after:
            return None
    return None


def _plain(item: dict[str, Any]) -> dict[str, Any]:
    deserializer = TypeDeserializer()
    return {key: deserializer.deserialize(value) for key, value in item.items()}


def _run(item: dict[str, Any]) -> Run:
    version, finished = item.get("version"), item.get("finished_at")
    return Run(
        run=item["sk"].removeprefix("RUN#"),
        status=item["status"],
        cause=str(item.get("cause", "")),
        started_at=datetime.fromisoformat(item["started_at"]),
        finished_at=datetime.fromisoformat(finished) if finished else None,
        train_execution=item.get("train_execution_arn"),
        deploy_execution=item.get("deploy_execution_arn"),
        version=int(version) if version is not None else None,
        package_arn=item.get("package_arn"),
        error=item.get("error"),
        message=item.get("message"),
        metrics=item.get("metrics") or {},
    )
