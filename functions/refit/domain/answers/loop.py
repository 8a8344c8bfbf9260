"""The monitoring and the retraining of a live version."""

from __future__ import annotations

from pydantic import Field

from refit.domain.answers.answer import Answer
from refit.domain.moments import Moment
from refit.domain.monitoring.verdict import LiveQuality
from refit.domain.retraining.state import PendingRetraining, RetrainingResult, RetrainingStatus
from refit.domain.vocabulary import RetrainingCause


class EvidenceAnswer(Answer):
    """The evidence of quality drift after the last check."""

    drifted: bool = Field(description="Whether there is an alarm.")
    log10_evidence: float | None = Field(
        serialization_alias="log10", description="Null before the first prediction is judged."
    )
    threshold: float = Field(description="The evidence at which the alarm is raised.")
    labels: int
    cohorts: int
    since: Moment | None = Field(description="When the change is estimated to have begun.")
    counted: int
    errors: int
    error_rate: float | None
    tolerated_error_rate: float = Field(
        serialization_alias="bar", description="The tolerated error rate."
    )
    baseline_error: float = Field(description="Error rate on the held-out rows.")
    coverage: float | None
    class_name: str | None
    held_back: str | None = Field(
        description="Why there is no alarm although the evidence is above the threshold."
    )
    sentence: str


class AlarmOfDrift(Answer):
    """The newest drift alarm, which is kept after it was taken back."""

    version: int
    raised_at: Moment
    taken_back_at: Moment | None
    sentence: str


class Shift(Answer):
    """A column whose live distribution differs from that of the training data."""

    feature_name: str = Field(serialization_alias="feature_name")
    description: str
    value: float
    threshold: float
    n: int
    critical: bool


class InputsAnswer(Answer):
    """The input checks after the newest closed cohort."""

    cohort: Moment = Field(description="Start of the cohort.")
    since: Moment | None = Field(
        description="Start of the span whose inputs are compared with the training data: the "
        "season that ends with the cohort or, without a season, the cohort."
    )
    until: Moment | None = Field(description="End of the span.")
    season_s: int = Field(
        serialization_alias="seasonSeconds",
        description="Length of the season; 0 if single cohorts are compared.",
    )
    compared_from: Moment | None = Field(
        description="When the first whole season ends. Until then only values that the training "
        "data never had are looked for; null if distributions are compared."
    )
    missed: float = Field(
        description="Share of the season's predictions that outages prevented, by which the "
        "thresholds are raised."
    )
    rows: int = Field(description="Rows of the span.")
    flagged: int = Field(description="Number of checks that failed.")
    shifts: tuple[Shift, ...] = Field(description="The failed checks, largest first; at most 20.")
    estimated_accuracy: float | None = Field(
        description="Accuracy that the probabilities of the span suggest; null without "
        "probabilities, and as long as no season is whole."
    )


class LabelsAnswer(Answer):
    """Labels of the model by what became of them."""

    held: int = Field(description="Labels that wait for their prediction now.")
    expired: int
    new: int
    repeat: int
    corrected: int
    rejected: int
    last_label_at: Moment | None
    last_capture_at: Moment | None


class RetrainingAnswer(Answer):
    """The retraining of the model."""

    state: RetrainingStatus
    since: Moment | None
    reason: str | None
    run: str | None
    cause: RetrainingCause | None
    pending: PendingRetraining | None = Field(
        description="A retraining that is due, and why it waits."
    )
    failures: int
    cooled_until: Moment | None
    last: RetrainingResult | None
    note: str | None
    requested_by: str | None = None


class LoopAnswer(Answer):
    """The state of monitoring and retraining of a live version."""

    version: int
    looked_at: Moment | None = Field(description="Time of the last drift check.")
    quality: LiveQuality | None
    evidence: EvidenceAnswer | None
    alarm: AlarmOfDrift | None
    inputs: InputsAnswer | None
    labels: LabelsAnswer
    retraining: RetrainingAnswer
