"""Start one run for the files that were dropped together.

Invoked by  IngestQueue, which delays each S3 event by the quiet period (batches of up to 10)
Input       SQS records with "Object Created" events, {"model"} from a run that ended, or
            {"model", "run"} from an earlier look at the drop folder
            events/ingest.json, events/ingest_pending.json, events/ingest_check.json
Output      the ids of the failed messages
Raises      nothing: a message that keeps failing is moved to the dead-letter queue
"""

from __future__ import annotations

from typing import Any

from refit.handlers.queues import per_model, written_object
from refit.handlers.wiring import services
from refit.usecases.find_model import model_of
from refit.usecases.ingest_drop import DropMessage, ingest_drop


def _parse(message: dict[str, Any]) -> tuple[str, DropMessage] | None:
    if "model" in message:
        return message["model"], DropMessage(run=message.get("run"))
    written = written_object(message)
    model = model_of(services(), written.key, "raw")
    if model is None:
        return None
    return model, DropMessage(file=(written.key, written.version))


def _handle(model: str, messages: list[DropMessage]) -> None:
    ingest_drop(services(), model, messages)


handler = per_model(_parse, _handle)
