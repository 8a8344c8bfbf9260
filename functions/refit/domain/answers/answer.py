"""What all answers have in common: names in camel case, pages, and one form of errors."""

from __future__ import annotations

from pydantic import AliasGenerator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Answer(BaseModel):
    """A part of an answer. `refit status --json` prints the same names."""

    model_config = ConfigDict(
        frozen=True,
        from_attributes=True,
        alias_generator=AliasGenerator(serialization_alias=to_camel),
    )


class Page(Answer):
    """A part of a list that can grow."""

    next: str | None = Field(
        None,
        description="Send it as `next` to get what follows; null at the end. It is opaque, and "
        "belongs to this list only.",
    )


class ErrorDetail(Answer):
    """What is wrong."""

    code: str = Field(description="Stable name of the error, such as `RunNotFound`.")
    message: str = Field(description="What happened and what to do, for a person.")


class ErrorAnswer(Answer):
    """Every answer with a status from 400 on."""

    error: ErrorDetail
