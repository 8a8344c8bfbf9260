"""`POST /models/{model}/predictions` and `POST /models/{model}/ground-truth`, for the reference."""

from __future__ import annotations

from typing import Any

from pydantic import AliasGenerator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from refit.domain.answers.answer import Answer
from refit.domain.inferences.label_outcome import LabelStatus


class Body(BaseModel):
    """A part of the body of a request."""

    model_config = ConfigDict(extra="forbid", alias_generator=AliasGenerator(alias=to_camel))


class PredictionsBody(Body):
    """Rows to predict. `text/csv` takes the same rows as lines."""

    instances: list[list[Any] | dict[str, Any]] = Field(
        min_length=1,
        description="Each row as a list of values in the order of the columns, or by column name.",
    )


class PredictionAnswer(Answer):
    """The prediction of one row."""

    inference_id: str = Field(description="Send it back with the label.")
    prediction: str | float
    probabilities: dict[str, float] | None = Field(
        None, description="By class; absent if the model gives none."
    )


class PredictionsAnswer(Answer):
    """The predictions, in the order of the rows."""

    model: str
    model_version: int
    predictions: list[PredictionAnswer]


class LabelBody(Body):
    """What really happened to one prediction."""

    inference_id: str
    label: str | float | bool
    observed_at: str | None = Field(None, description="ISO 8601 with a time zone; default: now.")


class GroundTruthBody(Body):
    """Labels of predictions."""

    labels: list[LabelBody] = Field(min_length=1, max_length=500)


class LabelResult(Answer):
    """What became of one label."""

    inference_id: str
    status: LabelStatus
    reason: str | None = Field(None, description="Why it was rejected; absent otherwise.")


class GroundTruthAnswer(Answer):
    """What became of the labels, in their order."""

    model: str
    results: list[LabelResult]
    counts: dict[LabelStatus, int]
