"""Start one run for the files that were dropped together.

Invoked by  IngestQueue, which delays each S3 event by the quiet period (batches of up to 10)
Input       SQS records with "Object Created" events, {"model"} from a run that ended,
            {"model", "run"} from an earlier look at the drop folder, or "Run Retry Requested"
            events/ingest.json, events/ingest_pending.json, events/ingest_check.json,
            events/ingest_retry.json
Output      the ids of the failed messages
Raises      nothing: a message that keeps failing is moved to the dead-letter queue
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from refit.domain.vocabulary import EventName
from refit.handlers.queues import per_model, written_object
from refit.handlers.wiring import services
from refit.usecases.find_model import model_of
from refit.usecases.ingest_drop import DropMessage, ingest_drop
from refit.usecases.retry_run import retry_run


class RetryRequest(BaseModel):
    """The detail of "Run Retry Requested"; `run` is the run to repeat."""

    model: str
    run: str


class DropCheck(BaseModel):
    """A reason to look at the drop folder of a model; see `DropMessage`."""

    model: str
    run: str | None = None


def _parse(message: dict[str, Any]) -> tuple[str, DropMessage | RetryRequest] | None:
    if message.get("detail-type") == EventName.RETRY_REQUESTED:
        request = RetryRequest.model_validate(message["detail"])
        return request.model, request
    if "model" in message:
        check = DropCheck.model_validate(message)
        return check.model, DropMessage(run=check.run)
    written = written_object(message)
    model = model_of(services(), written.key, "raw")
    if model is None:
        return None
    return model, DropMessage(file=(written.key, written.version))


def _handle(model: str, messages: list[DropMessage | RetryRequest]) -> None:
    for message in messages:
        if isinstance(message, RetryRequest):
            retry_run(services(), model, message.run)
    if drops := [message for message in messages if isinstance(message, DropMessage)]:
        ingest_drop(services(), model, drops)


handler = per_model(_parse, _handle)
