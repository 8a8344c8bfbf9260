"""ModelTable: the state of each model, its runs and its versions.

Items (pk, sk):
    MODEL#<model>  STATE               champion, active_run, active_since, owed, consumed_until
    MODEL#<model>  RUN#<run>           one run: status, cause, times, executions, outcome
    MODEL#<model>  VERSION#<10 digits> the run and package behind a version number
    MODELS         <model>             the index of the models

Every change is one conditional write, so a step that is delivered twice changes nothing twice.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict

from refit.environment import environment
from refit.stores.clients import client, error_code, passing_troubles_named

# A lock older than this belongs to a run whose end was lost: longer than any run may take.
STALE_LOCK = timedelta(days=8)


class RunStatus(StrEnum):
    """Where a run is. The last five are its end."""

    STARTED = "STARTED"
    PREPARING = "PREPARING"
    TRAINING = "TRAINING"
    EVALUATING = "EVALUATING"
    REGISTERING = "REGISTERING"
    DEPLOYING = "DEPLOYING"
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    DEPLOYED = "DEPLOYED"
    REFUSED = "REFUSED"
    FAILED = "FAILED"
    SUPERSEDED = "SUPERSEDED"


class Begun(StrEnum):
    """What became of the wish to begin a run."""

    STARTED = "started"
    KNOWN = "known"
    BUSY = "busy"


class Champion(BaseModel):
    """The live version of a model."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: int
    run: str
    package_arn: str
    endpoint: str
    endpoint_config: str
    variant: str
    promoted_at: str


class ModelState(BaseModel):
    """The STATE item of a model."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    champion: Champion | None = None
    active_run: str | None = None
    active_since: str | None = None
    deployment: str | None = None
    deployment_run: str | None = None
    owed: bool = False
    consumed_until: str | None = None

    @property
    def lock_is_stale(self) -> bool:
        """Say whether the lock may be taken from the run that holds it."""
        return self.active_since is not None and self.active_since < _stale()


def now() -> str:
    """Return this moment as an ISO 8601 text in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _stale() -> str:
    return (datetime.now(UTC) - STALE_LOCK).isoformat(timespec="milliseconds")


def _pk(model: str) -> str:
    return f"MODEL#{model}"


def _dynamo(values: dict[str, Any]) -> dict[str, Any]:
    serializer = TypeSerializer()
    return {key: serializer.serialize(_decimal(value)) for key, value in values.items()}


def _decimal(value: Any) -> Any:
    """DynamoDB's numbers are decimals: a float is written as it prints."""
    if isinstance(value, float):
        return Decimal(str(value))
    if isinstance(value, dict):
        return {key: _decimal(part) for key, part in value.items()}
    return value


def _plain(item: dict[str, Any]) -> dict[str, Any]:
    deserializer = TypeDeserializer()
    return {key: deserializer.deserialize(value) for key, value in item.items()}


def _key(model: str, sk: str) -> dict[str, Any]:
    return _dynamo({"pk": _pk(model), "sk": sk})


def _get(model: str, sk: str) -> dict[str, Any] | None:
    with passing_troubles_named():
        answer = client("dynamodb").get_item(
            TableName=environment().model_table, Key=_key(model, sk), ConsistentRead=True
        )
    return _plain(answer["Item"]) if "Item" in answer else None


def load_state(model: str) -> ModelState:
    """Return a model's state; an unknown model has an empty one."""
    return ModelState.model_validate(_get(model, "STATE") or {})


def load_champion(model: str) -> Champion | None:
    """Return the live version of a model, or None while there is none."""
    return load_state(model).champion


def models() -> list[str]:
    """Return the names of all models, in order."""
    request = {
        "TableName": environment().model_table,
        "KeyConditionExpression": "pk = :models",
        "ExpressionAttributeValues": {":models": {"S": "MODELS"}},
    }
    with passing_troubles_named():
        pages = list(client("dynamodb").get_paginator("query").paginate(**request))
    return [item["sk"]["S"] for page in pages for item in page["Items"]]


def load_run(model: str, run: str) -> dict[str, Any] | None:
    """Return a run's item, or None when there is no such run."""
    return _get(model, f"RUN#{run}")


def run_of_version(model: str, version: int) -> str | None:
    """Return the run that made a version, or None when there is no such version."""
    item = _get(model, f"VERSION#{version:010d}")
    return str(item["run"]) if item else None


def begin_run(
    model: str, run: str, cause: str, consumed_until: str | None, champion: int | None = None
) -> Begun:
    """Record a run and take the model's lock, in one step.

    Args:
        model: its name.
        run: its id.
        cause: why it is begun.
        consumed_until: newest time stamp of the files it takes from the drop folder; None when it
            takes none, so that what was dropped meanwhile still counts as new.
        champion: the version that must be live; None when any may be.

    Returns:
        STARTED when this call began it; KNOWN when it was begun before; BUSY when another run
        holds the lock, or another version is live. A busy model owes the run: it is told so here,
        and pays when it ends.
    """
    moment = now()
    taken, condition, values = _lock(run, moment, consumed_until, champion)
    table = environment().model_table
    writes = [
        {
            "Put": {
                "TableName": table,
                "Item": _dynamo(
                    {
                        "pk": _pk(model),
                        "sk": f"RUN#{run}",
                        "run": run,
                        "model": model,
                        "cause": cause,
                        "status": RunStatus.STARTED,
                        "started_at": moment,
                        "updated_at": moment,
                    }
                ),
                "ConditionExpression": "attribute_not_exists(pk)",
            }
        },
        {
            "Update": {
                "TableName": table,
                "Key": _key(model, "STATE"),
                "UpdateExpression": taken,
                "ConditionExpression": condition,
                "ExpressionAttributeValues": _dynamo(values),
                **({"ExpressionAttributeNames": {"#version": "version"}} if champion else {}),
            }
        },
        {"Put": {"TableName": table, "Item": _dynamo({"pk": "MODELS", "sk": model})}},
    ]
    try:
        with passing_troubles_named():
            client("dynamodb").transact_write_items(TransactItems=writes)
    except ClientError as error:
        if error_code(error) != "TransactionCanceledException":
            raise
        refused = [reason.get("Code") for reason in error.response["CancellationReasons"]]
        if refused[0] == "ConditionalCheckFailed":
            return Begun.KNOWN
        if refused[1] == "ConditionalCheckFailed":
            owe(model)
            return Begun.BUSY
        raise
    return Begun.STARTED


def _lock(
    run: str, moment: str, consumed_until: str | None, champion: int | None
) -> tuple[str, str, dict[str, Any]]:
    """Return how the lock is taken: what is set, on which condition, with which values."""
    values: dict[str, Any] = {":run": run, ":now": moment, ":stale": _stale()}
    taken = "SET active_run = :run, active_since = :now"
    condition = "(attribute_not_exists(active_run) OR active_since < :stale)"
    if consumed_until is not None:
        taken += ", consumed_until = :until, owed = :no"
        values |= {":until": consumed_until, ":no": False}
    if champion:
        condition += " AND champion.#version = :champion"
        values[":champion"] = champion
    return taken, condition, values


def owe(model: str) -> None:
    """Note that something came while a run was active."""
    _set(model, "STATE", {"owed": True})


def _set(
    model: str,
    sk: str,
    values: dict[str, Any],
    condition: str | None = None,
    extra: dict[str, Any] | None = None,
) -> bool:
    """Set attributes of an item; with a condition, say whether it held."""
    sets = {key: value for key, value in values.items() if value is not None}
    removes = [key for key, value in values.items() if value is None]
    names = {f"#{key}": key for key in values}
    expression = "SET " + ", ".join(f"#{key} = :{key}" for key in sets) if sets else ""
    if removes:
        expression += " REMOVE " + ", ".join(f"#{key}" for key in removes)
    filled = _dynamo({f":{key}": value for key, value in (sets | (extra or {})).items()})
    request = {
        "TableName": environment().model_table,
        "Key": _key(model, sk),
        "UpdateExpression": expression.strip(),
        "ExpressionAttributeNames": names,
        **({"ExpressionAttributeValues": filled} if filled else {}),
        **({"ConditionExpression": condition} if condition else {}),
    }
    try:
        with passing_troubles_named():
            client("dynamodb").update_item(**request)
    except ClientError as error:
        if error_code(error) != "ConditionalCheckFailedException":
            raise
        return False
    return True


def update_run(model: str, run: str, **values: Any) -> None:
    """Set attributes of a run that exists, such as its status; None removes one."""
    _set(model, f"RUN#{run}", values | {"updated_at": now()}, condition="attribute_exists(pk)")


def release_run(model: str, run: str) -> bool:
    """Give the lock back, when this run holds it. Say whether something is owed."""
    _set(
        model,
        "STATE",
        {"active_run": None, "active_since": None},
        condition="active_run = :run",
        extra={"run": run},
    )
    return load_state(model).owed


def record_version(model: str, version: int, run: str, package_arn: str) -> None:
    """Remember which run and package a version number stands for."""
    values = {"run": run, "package_arn": package_arn, "version": version}
    _set(model, f"VERSION#{version:010d}", values)
    update_run(model, run, version=version, package_arn=package_arn)


def begin_deployment(model: str, deployment: str) -> bool:
    """Take the deployment lock; holding it already counts as taking it.

    Returns:
        False when another deployment of the model holds it.
    """
    return _set(
        model,
        "STATE",
        {"deployment": deployment, "deployment_since": now()},
        condition="attribute_not_exists(deployment) OR deployment = :deployment "
        "OR deployment_since < :stale",
        extra={"stale": _stale()},
    )


def name_deployment(model: str, deployment: str, run: str, execution_arn: str) -> None:
    """Note which run the deployment that holds the lock makes live, here and with the run."""
    _set(
        model,
        "STATE",
        {"deployment_run": run},
        condition="deployment = :held",
        extra={"held": deployment},
    )
    update_run(model, run, status=RunStatus.DEPLOYING, deploy_execution_arn=execution_arn)


def end_deployment(model: str, deployment: str) -> None:
    """Give the deployment lock back, when this deployment holds it."""
    _set(
        model,
        "STATE",
        {"deployment": None, "deployment_since": None, "deployment_run": None},
        condition="deployment = :held",
        extra={"held": deployment},
    )


def promote(model: str, champion: Champion) -> None:
    """Make a version the champion."""
    _set(model, "STATE", {"champion": champion.model_dump()})
