"""Advance the retraining of a model after an event that may matter to it.

Invoked by  RetrainQueue (batches of up to 10): Drift Detected, Run Finished, Retraining Requested
            and Retraining Unblocked from the bus, and {"model"} from CheckDrift
Input       SQS records around bus events        events/retrain.json, events/retrain_requested.json
            or {"model"}                         events/retrain_check.json
Output      the failed message ids only
Raises      nothing of its own: a message that keeps failing goes to the dead-letter queue
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from refit.domain.retraining.state import UserCommand
from refit.domain.vocabulary import EventName
from refit.handlers.queues import per_message
from refit.handlers.wiring import services
from refit.usecases.retrain import retrain

_COMMANDS: dict[EventName, Literal["retrain", "unblock"]] = {
    EventName.RETRAINING_REQUESTED: "retrain",
    EventName.RETRAINING_UNBLOCKED: "unblock",
}


class RetrainDetail(BaseModel):
    """The detail of a bus event.

    Attributes:
        run: the run that finished.
        again: retrain even if nothing has changed since the last run.
        expected_run: the run of which the user was told that it answers the request.
    """

    model: str
    run: str | None = None
    by: str = "a user"
    again: bool = False
    expected_run: str | None = None


class RetrainEvent(BaseModel):
    """An event of the bus."""

    id: str
    time: datetime
    name: EventName = Field(alias="detail-type")
    detail: RetrainDetail


def _handle(message: dict[str, Any]) -> None:
    if "model" in message:
        retrain(services(), message["model"])
        return
    event = RetrainEvent.model_validate(message)
    kind = _COMMANDS.get(event.name)
    command = (
        UserCommand(
            id=event.id,
            kind=kind,
            by=event.detail.by,
            at=event.time,
            again=event.detail.again,
            expected_run=event.detail.expected_run,
        )
        if kind
        else None
    )
    retrain(services(), event.detail.model, command, finished_run=event.detail.run)


handler = per_message(_handle)
