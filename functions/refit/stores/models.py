"""ModelTable: the state of each model, its runs and its versions.

Items (pk, sk):
    MODEL#<model>  STATE               domain/pipeline/model_state.py
    MODEL#<model>  RUN#<run>           domain/pipeline/run.py
    MODEL#<model>  BEGUN#<time>#<run>  index of the runs by their start
    MODEL#<model>  VERSION#<10 digits> the run and package of a version number
    MODEL#<model>  ACCEPTED#<version>  the run that used `schema_change = "accept"` of a model.toml
    MODELS         <model>             index of the models

Every change is one conditional write or one transaction, so repeating a step has no further effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Attr, Key

from refit.domain.errors import ModelNotFound, SchemaChanged, ServiceThrottled
from refit.domain.moments import iso
from refit.domain.pipeline.model_state import Champion, ModelState
from refit.domain.pipeline.run import Run
from refit.domain.pipeline.schema_change import acceptance_used
from refit.domain.vocabulary import RunStatus
from refit.stores.dynamodb import condition_failed, transact
from refit.stores.retries import TRANSACTION_CONFLICTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from boto3.dynamodb.conditions import ConditionBase

    from refit.domain.moments import Clock
    from refit.domain.vocabulary import RunCause
    from refit.stores.dynamodb import Item, Table, Write
    from refit.stores.retries import RetryPolicy


BEGUN = "BEGUN#"
_VERSION = "VERSION#"

_NOT_REMOVING = Attr("removing_since").not_exists()


class BeginResult(StrEnum):
    """Outcome of `begin_run`."""

    STARTED = "started"
    KNOWN = "known"
    BUSY = "busy"
    OUTDATED = "outdated"


@dataclass(frozen=True)
class TakesFiles:
    """That a run takes new files from the drop folder.

    Attributes:
        after: `ModelState.consumed_by` when it was decided which files are new.
    """

    after: str | None


def model_pk(model: str) -> str:
    """Return the partition key of all items in ModelTable that belong to a model."""
    return f"MODEL#{model}"


class ModelStore:
    """Models, their runs and their versions."""

    def __init__(
        self, table: Table, clock: Clock, conflicts: RetryPolicy = TRANSACTION_CONFLICTS
    ) -> None:
        self._table = table
        self._clock = clock
        self._conflicts = conflicts

    def models(self) -> list[str]:
        """Return the names of all models, in order."""
        return [item["sk"] for item in self._table.query(Key("pk").eq("MODELS"))]

    def state(self, model: str) -> ModelState:
        """Return the state of a model; an unknown model has an empty state."""
        return ModelState.model_validate(self._table.get(_key(model, "STATE")) or {})

    def champion(self, model: str) -> Champion | None:
        """Return the live version of a model, or None when no version is live."""
        return self.state(model).champion

    def run(self, model: str, run: str) -> Run | None:
        """Return a run, or None when it does not exist."""
        item = self._table.get(_key(model, f"RUN#{run}"))
        return Run.model_validate(item) if item else None

    def runs(self, model: str) -> list[Run]:
        """Return all runs of a model, latest first."""
        condition = Key("pk").eq(model_pk(model)) & Key("sk").begins_with("RUN#")
        runs = [Run.model_validate(item) for item in self._table.query(condition)]
        return sorted(runs, key=lambda run: run.started_at, reverse=True)

    def run_of_version(self, model: str, version: int) -> str | None:
        """Return the run that made a version, or None when there is no such version."""
        item = self._table.get(_key(model, f"{_VERSION}{version:010d}"))
        return str(item["run"]) if item else None

    def package_of_version(self, model: str, version: int) -> str | None:
        """Return the model package of a version, or None when there is no such version."""
        item = self._table.get(_key(model, f"{_VERSION}{version:010d}"))
        return str(item["package_arn"]) if item else None

    def packages_after(self, model: str, version: int) -> list[tuple[int, str]]:
        """Return number and model package of all versions after a version, in order."""
        bounds = Key("sk").between(f"{_VERSION}{version + 1:010d}", f"{_VERSION}~")
        items = self._table.query(Key("pk").eq(model_pk(model)) & bounds)
        return [(int(item["version"]), str(item["package_arn"])) for item in items]

    def begin_run(
        self,
        model: str,
        run: str,
        cause: RunCause,
        takes: TakesFiles | None,
        champion: int | None = None,
        reason: str | None = None,
        retry_of: str | None = None,
    ) -> BeginResult:
        """Record a run and take the lock of the model, in one transaction.

        Args:
            model: name of the model.
            run: id of the run.
            cause: why the run begins.
            takes: given when the run takes new files from the drop folder. Its consumed.txt must
                have been written.
            champion: the version that must be live; None when any version may be live.
            reason: why a retraining begins, for a person.
            retry_of: the run that is repeated, if it is.

        Returns:
            STARTED when this call began the run. KNOWN when the run was begun before. BUSY when
            another run holds the lock, another version is live, or the model is being removed. If
            another run holds the lock, the model is marked pending, and the next run starts when
            that one ends. OUTDATED when another run has taken files since it was decided which
            files are new.

        Raises:
            ServiceThrottled: when all attempts of the transaction conflicted with others.
        """
        now = iso(self._clock())
        record = self._table.put_request(
            {
                **_key(model, f"RUN#{run}"),
                "run": run,
                "model": model,
                "cause": cause,
                "status": RunStatus.STARTED,
                "started_at": now,
                "updated_at": now,
                **({"reason": reason} if reason else {}),
                **({"retry_of": retry_of} if retry_of else {}),
            },
            condition=Attr("pk").not_exists(),
        )
        index = self._table.put_request({"pk": "MODELS", "sk": model})
        begun = self._table.put_request(_key(model, f"{BEGUN}{now}#{run}") | {"run": run})
        writes = [record, self._lock(model, run, now, takes, champion), index, begun]
        for _ in self._conflicts.attempts():
            codes = transact(self._table.client, writes)
            if not codes:
                return BeginResult.STARTED
            if condition_failed(codes[0]):
                return BeginResult.KNOWN
            if condition_failed(codes[1]):
                state = self.state(model)
                if takes is not None and state.consumed_by != takes.after:
                    return BeginResult.OUTDATED
                # If the lock has been released meanwhile, nobody would see that data is pending.
                if self.mark_pending(model) or not _may_begin(state, champion):
                    return BeginResult.BUSY
        raise ServiceThrottled(f"run {run} of {model} conflicted with other writes")

    def _lock(
        self, model: str, run: str, now: str, takes: TakesFiles | None, champion: int | None
    ) -> Write:
        changes: Item = {"active_run": run, "active_since": now, "last_run": run}
        condition: ConditionBase = Attr("active_run").not_exists() & _NOT_REMOVING
        if takes is not None:
            changes |= {"consumed_by": run, "pending": False}
            consumed_by = Attr("consumed_by")
            unchanged = consumed_by.eq(takes.after) if takes.after else consumed_by.not_exists()
            condition = condition & unchanged
        if champion is not None:
            condition = condition & Attr("champion.version").eq(champion)
        return self._table.update_request(_key(model, "STATE"), set=changes, condition=condition)

    def mark_pending(self, model: str) -> bool:
        """Record that new data arrived while a run is active; return False if none is active."""
        return self._set_state(model, {"pending": True}, Attr("active_run").exists())

    def clear_pending(self, model: str) -> None:
        """Record that no data is pending, unless a run is active meanwhile."""
        self._set_state(model, {"pending": False}, Attr("active_run").not_exists())

    def update_run(self, model: str, run: str, **values: Any) -> bool:
        """Set attributes of a run, such as its status; None removes an attribute.

        Returns:
            False when there is no such run: its model was removed.
        """
        changes = values | {"updated_at": iso(self._clock())}
        key = _key(model, f"RUN#{run}")
        return self._table.apply(
            self._table.update_request(key, set=changes, condition=Attr("pk").exists())
        )

    def release_run(self, model: str, run: str) -> bool:
        """Release the lock of the model if this run holds it; return whether data is pending."""
        self._set_state(
            model, {"active_run": None, "active_since": None}, Attr("active_run").eq(run)
        )
        return self.state(model).pending

    def record_version(self, model: str, version: int, run: str, package_arn: str) -> bool:
        """Record the run and the model package of a version number.

        Returns:
            False when the number belongs to another run.
        """
        values = {"run": run, "package_arn": package_arn, "version": version}
        is_free = Attr("run").not_exists() | Attr("run").eq(run)
        key = _key(model, f"{_VERSION}{version:010d}")
        is_recorded = self._table.apply(
            self._table.update_request(key, set=values, condition=is_free)
        )
        if is_recorded:
            self.update_run(model, run, version=version, package_arn=package_arn)
        return is_recorded

    def begin_deployment(self, model: str, deployment: str, execution_arn: str) -> bool:
        """Take the deployment lock. It succeeds if this deployment already holds the lock.

        Args:
            model: name of the model.
            deployment: id of the deployment.
            execution_arn: its execution, whose end gives the lock back.

        Returns:
            False when another deployment of the model holds the lock, or the model is being
            removed.
        """
        return self._set_state(
            model,
            {
                "deployment": deployment,
                "deployment_since": iso(self._clock()),
                "deployment_execution": execution_arn,
            },
            _NOT_REMOVING & (Attr("deployment").not_exists() | Attr("deployment").eq(deployment)),
        )

    def name_deployment(self, model: str, deployment: str, run: str, execution_arn: str) -> None:
        """Record, in the state and in the run, that a deployment deploys a run."""
        self._set_state(model, {"deployment_run": run}, Attr("deployment").eq(deployment))
        self.update_run(model, run, status=RunStatus.DEPLOYING, deploy_execution_arn=execution_arn)

    def end_deployment(self, model: str, deployment: str) -> None:
        """Release the deployment lock if this deployment holds it."""
        self._set_state(
            model,
            {
                "deployment": None,
                "deployment_since": None,
                "deployment_execution": None,
                "deployment_run": None,
            },
            Attr("deployment").eq(deployment),
        )

    def promote(self, model: str, champion: Champion, accepted_by: str | None = None) -> None:
        """Make a version the champion.

        Args:
            model: name of the model.
            champion: the version.
            accepted_by: version of the model.toml whose `schema_change = "accept"` admitted the
                columns of the version; None when its columns needed no acceptance. The acceptance
                is recorded as used in the same transaction.

        Raises:
            SchemaChanged: when another run has used the acceptance.
            ModelNotFound: when the model is being removed.
            ServiceThrottled: when all attempts of the transaction conflicted with others.
        """
        state = self._table.update_request(
            _key(model, "STATE"),
            set={"champion": champion.model_dump(exclude_none=True)},
            condition=_NOT_REMOVING,
        )
        writes = [state]
        if accepted_by is not None:
            writes.append(self._acceptance(model, accepted_by, champion.run))
        for _ in self._conflicts.attempts():
            codes = transact(self._table.client, writes)
            if not codes:
                return
            if condition_failed(codes[0]):
                raise ModelNotFound(f"the model {model!r} is being removed")
            if accepted_by is not None and condition_failed(codes[1]):
                user = self.acceptance_used_by(model, accepted_by)
                raise SchemaChanged(acceptance_used(model, str(user)))
        raise ServiceThrottled(f"the promotion of {model} conflicted with other writes")

    def record_cache(self, model: str, run: str, until: datetime) -> bool:
        """Record until when predictions of the live version are cached.

        Returns:
            False when the version of the run is not live (any more).
        """
        return self._table.apply(
            self._table.update_request(
                _key(model, "STATE"),
                set={"champion.cached_until": iso(until)},
                condition=Attr("champion.run").eq(run),
            )
        )

    def acceptance_used_by(self, model: str, settings_version: str) -> str | None:
        """Return the run that used `schema_change = "accept"` of a version of model.toml, if any.

        The acceptance is used when a version goes live with the columns that it admitted.
        """
        item = self._table.get(_key(model, f"ACCEPTED#{settings_version}"))
        return str(item["run"]) if item else None

    def _acceptance(self, model: str, settings_version: str, run: str) -> Write:
        return self._table.update_request(
            _key(model, f"ACCEPTED#{settings_version}"),
            set={"run": run},
            condition=Attr("run").not_exists() | Attr("run").eq(run),
        )

    def begin_removal(self, model: str, settles_at: datetime) -> ModelState:
        """Begin the removal of a model, or continue it; return its state.

        From now on no run and no deployment of it begins, and no version of it is live.

        Args:
            model: name of the model.
            settles_at: time until which processes that began earlier may still write. It is kept
                when the removal had begun before.
        """
        self._table.apply(
            self._table.update_request(
                _key(model, "STATE"),
                set={"champion": None},
                set_once={
                    "removing_since": iso(self._clock()),
                    "removal_settles_at": iso(settles_at),
                },
            )
        )
        return self.state(model)

    def item_keys(self, model: str) -> Iterator[Item]:
        """Yield the keys of all items of a model, except for its state and its index entry."""
        for item in self._table.query(Key("pk").eq(model_pk(model)), attributes="pk, sk"):
            if item["sk"] != "STATE":
                yield item

    def delete_items(self, model: str) -> None:
        """Delete all items of a model, except for its state and its index entry."""
        self._table.delete_many(self.item_keys(model))

    def is_known(self, model: str) -> bool:
        """Return whether the model has a state or an entry in the index of the models."""
        return any(
            self._table.get(key) is not None
            for key in (_key(model, "STATE"), {"pk": "MODELS", "sk": model})
        )

    def forget(self, model: str) -> None:
        """Delete the state of a model and its index entry, which end its removal."""
        self._table.delete_many([_key(model, "STATE"), {"pk": "MODELS", "sk": model}])

    def _set_state(self, model: str, values: Item, condition: ConditionBase | None = None) -> bool:
        write = self._table.update_request(_key(model, "STATE"), set=values, condition=condition)
        return self._table.apply(write)


def _may_begin(state: ModelState, champion: int | None) -> bool:
    """Return whether only the lock of another run can have refused a run."""
    is_live = state.champion is not None and state.champion.version == champion
    return state.removing_since is None and (champion is None or is_live)


def _key(model: str, sk: str) -> Item:
    return {"pk": model_pk(model), "sk": sk}
