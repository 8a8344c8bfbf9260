"""Start one run for the files that were dropped together.

Each event of a file has waited for the quiet period in the queue. The run starts with the event
that finds the drop complete (`domain/pipeline/drop.py`): of several files that are dropped
together, that of the last one. Files that were uploaded in parts do not tell when they were
completed. If the events of some of them have not been seen, a message checks after another quiet
period that the folder has not changed.

The run takes the files that no run has taken, by key and version. The list of what was taken is
replaced in the transaction that begins the run, so two processes cannot take the same file, and
events that are repeated, late or out of order start no second run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from refit.domain.data_settings import DataSettings
from refit.domain.errors import ServiceThrottled, SettingsInvalid
from refit.domain.naming import ModelKeys, run_id
from refit.domain.pipeline.drop import WaitReason, files_of_drop, wait_for_more
from refit.domain.pipeline.drop_files import is_marker
from refit.domain.pipeline.manifest import Drop
from refit.stores.models import BeginResult, TakesFiles
from refit.stores.retries import TRANSACTION_CONFLICTS
from refit.telemetry import logger
from refit.usecases.start_drop import start_or_refuse
from refit.usecases.start_run import start_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.pipeline.drop import ConsumedFiles, FileVersion
    from refit.domain.pipeline.manifest import ObjectVersion
    from refit.usecases.services import Services


@dataclass(frozen=True)
class DropMessage:
    """One reason to look at the drop folder of a model. All None: a run of the model has ended.

    Attributes:
        file: key and version of the file whose event has waited; the version is None for the
            latest one.
        run: the run of all new files a quiet period ago, which starts if no file has come since.
    """

    file: tuple[str, str | None] | None = None
    run: str | None = None


@dataclass(frozen=True)
class _Folder:
    """The new files of a drop folder, at one time.

    Attributes:
        run: id of the run that trains on them.
        taken_by: the last run that had taken files.
    """

    model: str
    files: Sequence[ObjectVersion]
    run: str
    consumed: ConsumedFiles
    taken_by: str | None


def ingest_drop(services: Services, model: str, messages: Sequence[DropMessage]) -> None:
    """Start a run for the new files in the drop folder of a model, if no more files are arriving.

    Raises:
        ServiceThrottled: when other processes took files in each attempt, or AWS throttled.
    """
    messages = [message for message in messages if not _is_done(services, model, message)]
    if not messages:
        return
    files = [message.file for message in messages if message.file]
    events = {(key, version) for key, version in files if version is not None}
    latest = frozenset(key for key, version in files if version is None)
    waited = services.drop_waits.add_events(model, events)
    wait = services.drop_waits.wait_of(model)
    are_events = len(files) == len(messages) and not latest
    if wait and are_events and not wait.is_over(waited, events):
        logger.info("these files cannot complete the drop", extra={"model": model})
        return
    checked = frozenset(message.run for message in messages if message.run)
    for _ in TRANSACTION_CONFLICTS.attempts():
        folder = _new_files(services, model, events if are_events else None)
        if folder is None or _must_wait(services, folder, waited, latest, checked):
            return
        if _begin(services, folder) is not BeginResult.OUTDATED:
            return
    raise ServiceThrottled(f"other runs of {model} took files in each attempt to begin a run")


def _is_done(services: Services, model: str, message: DropMessage) -> bool:
    """Return whether a message asks for a run that has begun and has an execution."""
    run = services.models.run(model, message.run) if message.run else None
    return run is not None and run.train_execution_arn is not None


def _new_files(services: Services, model: str, events: set[FileVersion] | None) -> _Folder | None:
    """List the drop folder, unless the events are those of old files; return None if none is new.

    Args:
        services: the AWS services and the clock of this process.
        model: name of the model.
        events: the files whose events are being handled; None if there is another reason to look.
    """
    prefix = ModelKeys(model).raw
    # The state is read first: what is listed later and is not in its list is new.
    state = services.models.state(model)
    if state.active_run:
        start_run(services, model, state.active_run)
    consumed = services.artifacts.consumed_files(model, state.consumed_by)
    if events and consumed.has_all(events):
        services.drop_waits.discard_events(model, events)
        logger.info("no new files", extra={"model": model})
        return None
    objects = services.bucket.list(prefix)
    dropped = [entry for entry in objects if not is_marker(entry.key.removeprefix(prefix))]
    files = files_of_drop(dropped, consumed, _data_settings(services, model).scope)
    if not files:
        logger.info("no new files", extra={"model": model})
        services.drop_waits.forget(model)
        if state.pending:
            services.models.clear_pending(model)
        return None
    run = run_id(model, [(file.key, file.unique_version) for file in files])
    return _Folder(model, files, run, consumed, state.consumed_by)


def _must_wait(
    services: Services,
    folder: _Folder,
    waited: frozenset[FileVersion],
    latest: frozenset[str],
    checked: frozenset[str],
) -> bool:
    """Return whether the drop is not complete, after making sure that it is looked at again.

    Args:
        services: the AWS services and the clock of this process.
        folder: the new files.
        waited: files whose events have waited for the quiet period.
        latest: keys whose latest version has waited.
        checked: runs of all new files a quiet period ago.
    """
    if folder.run in checked:
        return False
    waited |= {file.pair for file in folder.files if file.key in latest}
    quiet_s = services.environment.quiet_seconds
    wait = wait_for_more(folder.files, waited, services.now(), timedelta(seconds=quiet_s))
    if wait is None:
        return False
    if wait.reason is WaitReason.UPLOADS_IN_PARTS:
        services.messaging.enqueue_drop_check(folder.model, folder.run, quiet_s)
    services.drop_waits.remember(folder.model, wait)
    logger.info(wait.reason.value, extra={"model": folder.model, "awaited": len(wait.awaited)})
    return True


def _begin(services: Services, folder: _Folder) -> BeginResult:
    model, run, keys = folder.model, folder.run, ModelKeys(folder.model).run(folder.run)
    services.drop_waits.forget(model)
    if services.models.run(model, run) is not None:
        return BeginResult.KNOWN  # the lists of a run never change
    drop = Drop(model=model, run=run, cause="drop", files=tuple(folder.files))
    services.bucket.put_json(keys.drop, drop.model_dump(mode="json"))
    consumed = folder.consumed.and_also(folder.files)
    services.bucket.put(keys.consumed, consumed.text().encode(), "text/plain")
    result = services.models.begin_run(model, run, "drop", TakesFiles(folder.taken_by))
    logger.info("run requested", extra={"model": model, "run": run, "result": result})
    if result is BeginResult.STARTED:
        start_or_refuse(services, drop)
    return result


def _data_settings(services: Services, model: str) -> DataSettings:
    """Return `[data]` of model.toml. An invalid file is ignored, because the run reports it."""
    try:
        return services.artifacts.current_settings(model).data
    except SettingsInvalid:
        return DataSettings()
