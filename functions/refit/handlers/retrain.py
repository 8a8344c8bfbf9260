"""Take a model's retraining one step further, when anything happened that may matter to it.

Invoked by  RetrainQueue (batches of up to 10): Drift Detected, Run Finished, Retraining Requested
            and Retraining Unblocked from the bus, and {"model"} from those who look
Input       SQS records around bus events        events/retrain.json, events/retrain_requested.json
            or {"model"}                         events/retrain_check.json
Output      the failed message ids only
Raises      nothing of its own: a message that keeps failing goes to the dead-letter queue

The rules stand in domain/retraining/rules.py. A message only says whose turn it is: what is decided
on is read anew, so it does not matter how often or in which order messages come. A run is begun
before that is written down, under an id that follows from its episode: to begin it again changes
nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from refit.domain.errors import DatasetNotFound, ServiceThrottled, SettingsInvalid
from refit.domain.model_settings import RetrainingSettings, parse_settings
from refit.domain.naming import ModelKeys
from refit.domain.pipeline.manifest import Manifest
from refit.domain.retraining.rules import Facts, RunFacts, Start, step
from refit.domain.retraining.state import Command, Retraining
from refit.stores import bus, retraining, s3, store
from refit.telemetry import logger
from refit.usecases.start_run import start_execution

_ROUNDS = 20
"""A state that others change so often meanwhile is left to the next delivery."""

_LOCK_RELEASE_S = 2
"""The end of a run is told just before its lock is given back."""

_COMMANDS = {
    bus.EventName.RETRAINING_REQUESTED: "retrain",
    bus.EventName.RETRAINING_UNBLOCKED: "unblock",
}

processor = BatchProcessor(event_type=EventType.SQS)


class Detail(BaseModel):
    """What is read of a bus event's detail."""

    model_config = ConfigDict(extra="ignore")

    model: str
    run: str | None = None
    by: str = "somebody"


class Event(BaseModel):
    """A bus event."""

    model_config = ConfigDict(extra="ignore")

    id: str
    time: datetime
    name: bus.EventName = Field(alias="detail-type")
    detail: Detail


class Look(BaseModel):
    """The message of somebody who found that a model's state should be looked at."""

    model_config = ConfigDict(extra="ignore")

    model: str


_MESSAGE: TypeAdapter[Event | Look] = TypeAdapter(Event | Look)


class Counted(BaseModel):
    """What is read of drop.json: the labelled predictions there were when it was written."""

    model_config = ConfigDict(extra="ignore")

    labels: int = 0


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> Any:
    """Handle a batch of messages, each by itself."""
    return process_partial_response(
        event=event, record_handler=_retrain, processor=processor, context=context
    )


def _retrain(record: Any) -> None:
    message = _MESSAGE.validate_json(record["body"])
    if isinstance(message, Look):
        _settle(message.model, None)
        return
    model, run = message.detail.model, message.detail.run
    found = _settle(model, _command(message))
    if found.owed is not None and run is not None and store.load_state(model).active_run == run:
        bus.poke_retrain(model, _LOCK_RELEASE_S)


def _command(event: Event) -> Command | None:
    kind = _COMMANDS.get(event.name)
    if kind is None:
        return None
    return Command.model_validate(
        {"id": event.id, "kind": kind, "by": event.detail.by, "at": event.time}
    )


def _settle(model: str, command: Command | None) -> Retraining:
    """Take steps until nothing is left to do; return the state then."""
    for _ in range(_ROUNDS):
        before = retraining.load(model)
        now = datetime.now(UTC)
        state = store.load_state(model)
        facts = _facts(model, before, state, command)
        taken = step(model, before, facts, _settings(model, state.champion), now)
        if taken.start is not None:
            _begin(model, taken.start)
        elif taken.retraining == before:
            return before
        else:
            for notice in taken.notices:
                bus.notify(f"Refit: retraining of {model} is blocked", notice)
            if retraining.save(model, taken.retraining):
                _log(model, before, taken.retraining)
    raise ServiceThrottled(f"the retraining of {model} was changed by others {_ROUNDS} times")


def _log(model: str, before: Retraining, after: Retraining) -> None:
    logger.info(
        "retraining",
        extra={
            "model": model,
            "before": before.state,
            "after": after.state,
            "run": after.run,
            "owed": after.owed and after.owed.why,
        },
    )


def _facts(
    model: str, before: Retraining, state: store.ModelState, command: Command | None
) -> Facts:
    """Read what is. The lock is read before the run: one that has ended gave it back after."""
    champion = state.champion
    verdict = retraining.load_verdict(model) if champion else None
    alarm = changed_at = None
    if champion and verdict and verdict.version == champion.version and verdict.quality:
        alarm = verdict.quality.sentence if verdict.drifted else None
        changed_at = verdict.quality.since if verdict.drifted else None
    changed_labels = 0
    if champion and changed_at:
        changed_labels = retraining.labelled_rows_since(model, champion.version, changed_at)
    return Facts(
        champion=champion.version if champion else None,
        alarm=alarm,
        changed_at=changed_at,
        new_labels=_new_labels(model, champion) if champion else 0,
        changed_labels=changed_labels,
        active_run=None if state.lock_is_stale else state.active_run,
        run=_run(model, before.run_to_look_for(model)),
        command=command,
    )


def _new_labels(model: str, champion: store.Champion) -> int:
    """Return how many predictions were joined with a label since the champion's training set."""
    seen = Counted.model_validate(s3.get_json(ModelKeys(model).run(champion.run).drop)).labels
    return max(0, retraining.labelled_rows(model) - seen)


def _run(model: str, run: str | None) -> RunFacts | None:
    """Return what is known of a run. A start that broke off is taken up here."""
    known = store.load_run(model, run) if run else None
    if known is None or run is None:
        return None
    if known["status"] == store.RunStatus.STARTED:
        start_execution(model, run)
    finished = known.get("finished_at")
    return RunFacts(
        run=run,
        cause=known["cause"],
        status=known["status"],
        started_at=datetime.fromisoformat(known["started_at"]),
        finished_at=datetime.fromisoformat(finished) if finished else None,
        message=known.get("message", ""),
    )


def _settings(model: str, champion: store.Champion | None) -> RetrainingSettings:
    """Return what model.toml says now; when it cannot be read, what the live version's said."""
    keys = ModelKeys(model)
    try:
        return parse_settings(s3.get_bytes(keys.settings).decode()).retraining
    except DatasetNotFound:
        return RetrainingSettings()
    except (SettingsInvalid, UnicodeDecodeError) as error:
        logger.warning("model.toml is not used", extra={"model": model, "reason": str(error)})
        return _manifest(model, champion).settings.retraining if champion else RetrainingSettings()


def _manifest(model: str, champion: store.Champion) -> Manifest:
    return Manifest.model_validate(s3.get_json(ModelKeys(model).run(champion.run).manifest))


def _begin(model: str, start: Start) -> None:
    """Begin a run, unless another holds the lock or another version is live by now."""
    champion = store.load_champion(model)
    if champion is None or champion.version != start.version:
        return
    if store.load_run(model, start.run) is None:
        _write_drop(model, start, champion)
    begun = store.begin_run(model, start.run, start.cause, None, champion=start.version)
    logger.info("retraining asked for", extra={"model": model, "run": start.run, "begun": begun})
    if begun is not store.Begun.BUSY:
        start_execution(model, start.run)


def _write_drop(model: str, start: Start, champion: store.Champion) -> None:
    """Say what the run trains on: what the champion did, and what was labelled since."""
    # Counted first: what is counted is in the ledger already, and what is not counts as new.
    labels = retraining.labelled_rows(model)
    manifest = _manifest(model, champion)
    known = {part.key for part in manifest.slices}
    slices = [
        {"key": part.key, "version": part.version, "size": part.size, "fresh": False}
        for part in manifest.slices
    ]
    slices += [
        {"key": entry.key, "version": entry.version, "size": entry.size, "fresh": True}
        for entry in s3.list_keys(ModelKeys(model).labelled)
        if entry.key not in known
    ]
    s3.put_json(
        ModelKeys(model).run(start.run).drop,
        {
            "model": model,
            "run": start.run,
            "cause": start.cause,
            "files": [file.model_dump(mode="json") for file in manifest.files],
            "slices": slices,
            "fresh_since": start.changed_at and start.changed_at.isoformat(),
            "episode": start.episode,
            "reason": start.reason,
            "labels": labels,
        },
    )
