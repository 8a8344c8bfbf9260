"""Start one run for the files that were dropped together.

An S3 event starts a run only when its file is the newest of the drop folder, or when no file has
arrived in the folder since. So of several files that are dropped together, the event of the last
one starts the run. The id of the run is derived from the versions of the files, so a repeated event
starts the same run.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from refit.domain.data_settings import DataSettings
from refit.domain.errors import SettingsInvalid
from refit.domain.naming import ModelKeys, run_id
from refit.domain.pipeline.drop import files_of_drop, is_quiet
from refit.domain.pipeline.drop_files import is_marker
from refit.domain.pipeline.manifest import Drop
from refit.stores.models import BeginResult
from refit.telemetry import logger
from refit.usecases.start_run import start_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.pipeline.manifest import ObjectVersion
    from refit.usecases.services import Services


def ingest_drop(
    services: Services, model: str, cause: tuple[str, str | None] | None = None
) -> None:
    """Start a run for the new files in the drop folder of a model, if no more files are arriving.

    Args:
        services: the AWS services and the clock of this process.
        model: name of the model.
        cause: key and version of the object whose event triggers the use case; None when the end of
            a run triggers it.
    """
    objects = services.bucket.list(ModelKeys(model).raw)
    prefix = ModelKeys(model).raw
    dropped = [entry for entry in objects if not is_marker(entry.key.removeprefix(prefix))]
    state = services.models.state(model)
    if state.active_run:
        start_run(services, model, state.active_run)
    files = files_of_drop(dropped, state.consumed_until, _data_settings(services, model).scope)
    if not files:
        logger.info("no new files", extra={"model": model})
        return
    quiet_for = timedelta(seconds=services.environment.quiet_seconds)
    if not is_quiet(files, cause, services.now(), quiet_for):
        logger.info("more files are arriving; their events start the run", extra={"model": model})
        return
    _begin(services, model, files)


def _begin(services: Services, model: str, files: Sequence[ObjectVersion]) -> None:
    run = run_id(model, [(file.key, file.version) for file in files])
    drop = Drop(model=model, run=run, cause="drop", files=tuple(files))
    services.bucket.put_json(ModelKeys(model).run(run).drop, drop.model_dump(mode="json"))
    consumed_until = max(file.last_modified for file in files)
    result = services.models.begin_run(model, run, "drop", consumed_until.isoformat())
    logger.info("run requested", extra={"model": model, "run": run, "result": result})
    if result is BeginResult.STARTED:
        start_run(services, model, run)


def _data_settings(services: Services, model: str) -> DataSettings:
    """Return `[data]` of model.toml. An invalid file is ignored, because the run reports it."""
    try:
        return services.artifacts.current_settings(model).data
    except SettingsInvalid:
        return DataSettings()
