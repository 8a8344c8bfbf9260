"""`GET /models` and `GET /models/{model}`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from refit.domain.answers.answer import Answer, Page
from refit.domain.answers.holds import Hold
from refit.domain.answers.loop import LoopAnswer
from refit.domain.answers.runs import RunSummary
from refit.domain.answers.stage import Stage
from refit.domain.moments import Moment
from refit.domain.monitoring.verdict import TrendPoint
from refit.domain.vocabulary import Task


class ChampionAnswer(Answer):
    """The live version."""

    version: int
    run: str
    endpoint: str
    endpoint_status: str | None = Field(
        None, description="SageMaker's status, or `missing`; null in the list of models."
    )
    promoted_at: str


class QualitySummary(Answer):
    """The quality of the live version in its last cohorts, for a list."""

    metric: str = Field(description="`accuracy` or `rmse`.")
    value: float | None
    held_out: float | None = Field(description="The same metric on the held-out rows.")
    predictions: int
    labelled: int
    drifted: bool
    log10: float | None = Field(description="Evidence of drift.")
    threshold: float
    shifted_inputs: int


class ModelSummary(Answer):
    """A model in the list."""

    model: str
    stage: Stage
    text: str = Field(description="The stage in one sentence.")
    champion: ChampionAnswer | None
    last_run: RunSummary | None
    quality: QualitySummary | None
    trend: tuple[TrendPoint, ...] = Field(description="The last cohorts, oldest first; at most 24.")


class ModelsAnswer(Page):
    """`GET /models`, in the order of their names."""

    models: tuple[ModelSummary, ...]


class FormColumn(Answer):
    """A column of a row to predict, in the order in which the API takes its values."""

    name: str
    type: Literal["number", "category", "boolean", "date", "ignored"]
    values: tuple[str, ...] | None = Field(description="Texts of a category; at most 500.")
    example: str | None = Field(description="A cell of the training data.")


class FormAnswer(Answer):
    """What a page needs to make a form for predictions and labels."""

    label: str
    task: Task
    classes: tuple[str, ...] | None = Field(
        description="Null for a regression; at most 1,000 are listed."
    )
    columns: tuple[FormColumn, ...] = Field(
        description="At most 4,096 are listed, and fewer if their names and texts are long."
    )
    columns_total: int
    image_side: int | None = Field(
        description="Side of a square picture, if the inputs can be one: a square number, from 16 "
        "on, of numeric columns."
    )
    image_max: float | None = Field(
        None, description="Largest value of a pixel in the training data; null without pictures."
    )


class AlarmAnswer(Answer):
    """A CloudWatch alarm of the model."""

    kind: str = Field(description="Such as `quality-drift`.")
    name: str
    state: Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
    reason: str
    since: Moment | None
    description: str


class SettingsAnswer(Answer):
    """The settings in force: model.toml as the run of the live version recorded it."""

    run: str = Field(description="The run that recorded them.")
    values: dict[str, Any] = Field(description="By section and key, with all defaults.")


class ModelAnswer(Answer):
    """`GET /models/{model}`."""

    model: str
    stage: Stage
    text: str = Field(description="The stage in one sentence.")
    champion: ChampionAnswer | None
    active_run: str | None
    pending: bool = Field(description="New data waits for the active run to end.")
    removing_since: Moment | None
    holds: tuple[Hold, ...] = Field(
        description="What holds the model, and the command with which a person frees it."
    )
    loop: LoopAnswer | None = Field(description="Null without a live version.")
    trend: tuple[TrendPoint, ...] = Field(description="The last cohorts, oldest first; at most 24.")
    last_run: RunSummary | None
    settings: SettingsAnswer | None
    form: FormAnswer | None = Field(description="Null without a live version.")
    alarms: tuple[AlarmAnswer, ...]
