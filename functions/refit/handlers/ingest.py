"""Start one run for the files that were dropped together.

Invoked by  IngestQueue, which delays each S3 event by the quiet period (batches of up to 10)
Input       SQS records around "Object Created" events, or {"model"} from a run that ended
            events/ingest.json
Output      the failed message ids only
Raises      nothing of its own: a message that keeps failing goes to the dead-letter queue

An S3 event starts a run only when its file is the newest of the drop folder, or the folder has been
quiet since: of several files dropped together the last one's event does. The run's id comes from
the files' versions, so the same drop starts the same run.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)

from refit.domain.errors import DatasetNotFound, SettingsInvalid
from refit.domain.model_settings import DataSettings, parse_settings
from refit.domain.naming import ModelKeys, run_id
from refit.domain.pipeline.drop import Dropped, files_of_drop, is_quiet
from refit.environment import environment
from refit.stores import s3, store
from refit.telemetry import logger
from refit.usecases import find_model as drops
from refit.usecases.start_run import start_execution

processor = BatchProcessor(event_type=EventType.SQS)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> Any:
    """Handle a batch of messages, each by itself."""
    return process_partial_response(
        event=event, record_handler=_ingest, processor=processor, context=context
    )


def _ingest(record: Any) -> None:
    message = json.loads(record["body"])
    poked = "model" in message
    key = f"{message['model']}/raw/" if poked else message["detail"]["object"]["key"]
    model = drops.model_of(key, "raw")
    if model is None:
        return
    version = None if poked else message["detail"]["object"].get("version-id")
    _start_when_quiet(model, None if poked else (key, version))


def _start_when_quiet(model: str, cause: tuple[str, str | None] | None) -> None:
    dropped = [
        Dropped(entry.key, entry.version, entry.size, entry.etag, entry.last_modified)
        for entry in s3.list_keys(ModelKeys(model).raw)
        if not entry.key.endswith("/")
    ]
    state = store.load_state(model)
    if state.active_run:
        start_execution(model, state.active_run)
    files = files_of_drop(dropped, state.consumed_until, _data_settings(model).scope)
    if not files:
        logger.info("nothing new was dropped", extra={"model": model})
        return
    quiet = timedelta(seconds=environment().quiet_seconds)
    if not is_quiet(files, cause, datetime.now(UTC), quiet):
        logger.info("more is being dropped; its own event starts the run", extra={"model": model})
        return
    _start(model, files)


def _start(model: str, files: list[Dropped]) -> None:
    run = run_id(model, [(file.key, file.version) for file in files])
    s3.put_json(
        ModelKeys(model).run(run).drop,
        {
            "model": model,
            "run": run,
            "cause": "drop",
            "files": [asdict(file) for file in files],
        },
    )
    consumed_until = max(file.last_modified for file in files).isoformat()
    begun = store.begin_run(model, run, "drop", consumed_until)
    logger.info("run asked for", extra={"model": model, "run": run, "begun": begun})
    if begun is store.Begun.STARTED:
        start_execution(model, run)


def _data_settings(model: str) -> DataSettings:
    """Return the model's settings for data; a bad file is reported by the run that reads it."""
    try:
        return parse_settings(s3.get_bytes(ModelKeys(model).settings).decode()).data
    except (DatasetNotFound, SettingsInvalid, UnicodeDecodeError):
        return DataSettings()
