"""`GET /models/{model}/versions`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from refit.domain.answers.answer import Answer, Page
from refit.domain.answers.runs import DataAnswer
from refit.domain.moments import Moment
from refit.domain.vocabulary import RunCause, RunStatus


class VersionAnswer(Answer):
    """A version of the model registry."""

    version: int
    run: str | None = Field(description="Null if Refit did not make it.")
    approval: Literal["Approved", "Rejected", "PendingManualApproval"]
    live: bool
    created_at: Moment
    status: RunStatus | None
    cause: RunCause | None
    cause_text: str | None
    metrics: dict[str, float | str]
    data: DataAnswer | None


class VersionsAnswer(Page):
    """`GET /models/{model}/versions`, newest first."""

    model: str
    versions: tuple[VersionAnswer, ...]
