"""`GET /models/{model}/quality`."""

from __future__ import annotations

from pydantic import Field

from refit.domain.answers.answer import Answer, Page
from refit.domain.answers.loop import AlarmOfDrift, EvidenceAnswer, InputsAnswer, LabelsAnswer
from refit.domain.moments import Moment
from refit.domain.monitoring.inputs_record import InputColumn
from refit.domain.monitoring.verdict import EvidencePart


class MetricAnswer(Answer):
    """The metric that judges the model."""

    name: str
    title: str
    higher_is_better: bool


class CohortAnswer(Answer):
    """All predictions that the live version made within one interval."""

    start: Moment
    end: Moment
    predictions: int
    labelled: int
    coverage: float | None
    label_delay_s: float | None = Field(serialization_alias="labelDelaySeconds")
    errors: int
    error_rate: float | None
    metrics: dict[str, float]
    log10: float | None = Field(
        description="Evidence after this cohort, as of the last check; known of the last 24 "
        "judged cohorts."
    )
    bar: float | None = Field(description="Tolerated error rate in this cohort; known as `log10`.")


class EvidenceChange(Answer):
    """A cohort that changed the evidence."""

    start: Moment
    before: float | None = Field(description="log10 of the evidence before the cohort.")
    after: float
    text: str


class QualityAnswer(Page):
    """`GET /models/{model}/quality`: the live version, its newest cohorts first."""

    model: str
    version: int | None = Field(description="The live version; null without one.")
    looked_at: Moment | None
    metric: MetricAnswer | None
    held_out: dict[str, float] = Field(description="The metrics on the held-out rows.")
    evidence: EvidenceAnswer | None
    parts: tuple[EvidencePart, ...] = Field(
        description="What the evidence consists of, largest first; at most 20."
    )
    changes: tuple[EvidenceChange, ...] = Field(
        description="The cohorts that changed the evidence most; at most 5."
    )
    alarm: AlarmOfDrift | None
    labels: LabelsAnswer | None
    series: tuple[CohortAnswer, ...]
    inputs: InputsAnswer | None
    columns: tuple[InputColumn, ...] = Field(
        description="Inputs and predictions of the span of `inputs`, ranked by their shift; at "
        "most 50."
    )
