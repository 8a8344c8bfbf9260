"""Advance the retraining of a model: read the facts, decide the next step, and carry it out.

The rules are in domain/retraining/rules.py. Each step reads all facts again, so the order and the
number of the triggering messages do not matter. A run is begun before the new state is stored. Its
id is derived from its episode, so beginning it again changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.errors import ServiceThrottled, SettingsInvalid
from refit.domain.model_settings import RetrainingSettings
from refit.domain.naming import ModelKeys, RunKeys
from refit.domain.pipeline.manifest import Drop
from refit.domain.retraining.facts import RetrainingFacts
from refit.domain.retraining.ledger_days import days_to_list, slices_of_retraining
from refit.domain.retraining.rules import step
from refit.domain.vocabulary import RunStatus
from refit.stores.models import BeginResult
from refit.telemetry import logger
from refit.usecases.compact_ledger import compacted_days, slices_after
from refit.usecases.last_comparable_run import last_comparable
from refit.usecases.start_run import start_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.pipeline.manifest import Slice
    from refit.domain.pipeline.model_state import Champion, ModelState
    from refit.domain.pipeline.run import Run
    from refit.domain.retraining.facts import RetrainingStart, RetrainingStep
    from refit.domain.retraining.state import RetrainingState, UserCommand
    from refit.usecases.services import Services

_MAX_STEPS = 20
"""More steps than a state can need; then another process keeps changing it."""

_LOCK_RELEASE_S = 2
"""Delay of the next step. Run Finished is published shortly before the run releases its lock."""


def retrain(
    services: Services,
    model: str,
    command: UserCommand | None = None,
    finished_run: str | None = None,
) -> RetrainingState:
    """Take steps until nothing is left to do; return the final state.

    Args:
        services: the AWS services and the clock of this process.
        model: name of the model.
        command: the user command that triggered the use case.
        finished_run: the run whose end triggered the use case. If it still holds the lock of the
            model and a retraining is pending, another step is enqueued.

    Raises:
        ServiceThrottled: when the state kept changing concurrently, or AWS throttled requests.
    """
    state = _take_steps(services, model, command)
    is_waiting = state.pending is not None and finished_run is not None
    if is_waiting and services.models.state(model).active_run == finished_run:
        services.messaging.enqueue_retrain(model, _LOCK_RELEASE_S)
    return state


def _take_steps(services: Services, model: str, command: UserCommand | None) -> RetrainingState:
    for _ in range(_MAX_STEPS):
        before = services.monitoring.retraining(model)
        now = services.now()
        state = services.models.state(model)
        facts = _facts(services, model, before, state, command)
        settings = _retraining_settings(services, model, state.champion)
        taken = step(model, before, facts, settings, now)
        if taken.start is not None:
            _begin(services, model, taken.start)
        elif taken.retraining == before:
            return before
        else:
            _carry_out(services, model, before, taken)
    raise ServiceThrottled(f"{model} still needs retraining steps after {_MAX_STEPS}")


def _carry_out(
    services: Services, model: str, before: RetrainingState, taken: RetrainingStep
) -> None:
    """Send the notices of a step and store its state, unless it was changed concurrently."""
    for notice in taken.notices:
        services.messaging.notify(f"Refit: retraining of {model} is blocked", notice)
    after = taken.retraining
    if services.monitoring.save_retraining(model, after):
        logger.info(
            "retraining",
            extra={
                "model": model,
                "before": before.state,
                "after": after.state,
                "run": after.run,
                "pending": after.pending and after.pending.why,
            },
        )


def _facts(
    services: Services,
    model: str,
    before: RetrainingState,
    state: ModelState,
    command: UserCommand | None,
) -> RetrainingFacts:
    """Read the facts about a model.

    `state` must be read before this function reads the run. A run records its end before it
    releases the lock, so if the lock is free, the run that is read here has ended.
    """
    champion = state.champion
    verdict = services.monitoring.verdict(model) if champion else None
    alarm = changed_at = None
    if champion and verdict and verdict.version == champion.version and verdict.drifted:
        alarm, changed_at = verdict.quality.sentence, verdict.quality.since
    changed_labels = 0
    if champion and changed_at:
        changed_labels = services.monitoring.labelled_rows_since(
            model, champion.version, changed_at
        )
    return RetrainingFacts(
        champion=champion.version if champion else None,
        champion_run=champion.run if champion else None,
        alarm=alarm,
        changed_at=changed_at,
        changed_labels=changed_labels,
        active_run=state.active_run,
        run=_read_run(services, model, before.relevant_run(model)),
        command=command,
        last=last_comparable(services, model, before, champion)
        if champion and (command or before.request)
        else None,
    )


def _read_run(services: Services, model: str, run: str | None) -> Run | None:
    """Read a run; start its execution if the process that began the run did not."""
    record = services.models.run(model, run) if run else None
    if record is not None and record.status is RunStatus.STARTED:
        start_run(services, model, record.run)
    return record


def _retraining_settings(
    services: Services, model: str, champion: Champion | None
) -> RetrainingSettings:
    """Return `[retraining]` of model.toml, or of the live version's run if the file is invalid."""
    try:
        return services.artifacts.current_settings(model).retraining
    except SettingsInvalid as error:
        logger.warning("model.toml is invalid", extra={"model": model, "reason": str(error)})
        if champion is None:
            return RetrainingSettings()
        return services.artifacts.settings(model, champion.run).retraining


def _begin(services: Services, model: str, start: RetrainingStart) -> None:
    """Begin a run, unless another run holds the lock or another version has become live."""
    champion = services.models.champion(model)
    if champion is None or champion.version != start.version:
        return
    if services.models.run(model, start.run) is None:
        drop = _drop_of(services, model, start, champion)
        services.bucket.put_json(RunKeys(model, start.run).drop, drop.model_dump(mode="json"))
    begun = services.models.begin_run(
        model, start.run, start.cause, None, champion=start.version, reason=start.reason
    )
    logger.info("begin retraining", extra={"model": model, "run": start.run, "result": begun})
    if begun is not BeginResult.BUSY:
        start_run(services, model, start.run)


def _drop_of(services: Services, model: str, start: RetrainingStart, champion: Champion) -> Drop:
    """Return the data of a retraining: the champion's data and all labels that arrived since."""
    # Labels are counted before the slices are listed, so the slices contain every counted label. A
    # label that is counted later also counts as new for the next retraining.
    labels = services.monitoring.labelled_rows(model)
    manifest = services.artifacts.manifest(model, champion.run)
    return Drop(
        model=model,
        run=start.run,
        cause=start.cause,
        files=manifest.files,
        slices=slices_to_read(services, model, manifest.slices),
        fresh_since=start.changed_at,
        episode=start.episode,
        reason=start.reason,
        labels=labels,
    )


def slices_to_read(services: Services, model: str, used: Sequence[Slice]) -> tuple[Slice, ...]:
    """Return the objects of the ledger, and whether the champion was trained on them."""
    compacted = compacted_days(services, model)
    slices = slices_after(services, model, compacted)
    for day in days_to_list(used, compacted):
        slices += services.bucket.list(ModelKeys(model).labelled_slices_of(day))
    return slices_of_retraining(used, compacted, slices)
