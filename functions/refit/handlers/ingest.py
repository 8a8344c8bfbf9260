"""Start one run for the files that were dropped together.

Invoked by  IngestQueue, which delays each S3 event by the quiet period (batches of up to 10)
Input       SQS records with "Object Created" events, or {"model"} from a run that ended
            events/ingest.json
Output      the ids of the failed messages
Raises      nothing: a message that keeps failing is moved to the dead-letter queue
"""

from __future__ import annotations

from typing import Any

from refit.handlers.queues import per_message, written_object
from refit.handlers.wiring import services
from refit.usecases.find_model import model_of
from refit.usecases.ingest_drop import ingest_drop


@per_message
def handler(message: dict[str, Any]) -> None:
    """Handle one message."""
    if "model" in message:
        ingest_drop(services(), message["model"])
        return
    written = written_object(message)
    model = model_of(services(), written.key, "raw")
    if model is not None:
        ingest_drop(services(), model, (written.key, written.version))
