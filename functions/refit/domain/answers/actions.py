"""The actions on models: what was requested, and how to follow it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from refit.domain.answers.answer import Answer

ActionName = Literal["retrain", "unblock", "retry", "approve", "reject", "rollback"]


def _whole(value: object) -> object:
    """Return a number such as 3.0, which JSON does not tell from 3, as a whole one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class RollbackBody(BaseModel):
    """The body of `POST /models/{model}/rollback`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: Annotated[int, BeforeValidator(_whole)] = Field(
        ge=1, le=999_999_999, description="An approved version that is older than the live one."
    )


class RetrainBody(BaseModel):
    """The body of `POST /models/{model}/retrain`, which may be absent."""

    model_config = ConfigDict(extra="forbid", strict=True)

    again: bool = Field(
        False,
        description="Retrain even if no label has come and no setting has changed since the last "
        "run, and even if a run that was requested before is active.",
    )


class RetryBody(BaseModel):
    """The body of `POST /models/{model}/retry`, which may be absent."""

    model_config = ConfigDict(extra="forbid", strict=True)

    run: str | None = Field(
        None, min_length=1, max_length=64, description="The run to repeat; default: the last."
    )


class Follow(Answer):
    """How to follow what was requested."""

    path: str = Field(description="Get it again until `until` holds.")
    until: str


class ActionAnswer(Answer):
    """What was requested (202)."""

    model: str
    action: ActionName
    by: str = Field(description="Who asked: the id of the API key.")
    event: str | None = Field(description="Id of the event on the bus, if the action is one.")
    version: int | None
    run: str | None
    text: str = Field(description="What happens now, in one or two sentences.")
    follow: Follow
