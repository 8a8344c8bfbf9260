"""What the last look at a live version said, as the MONITOR item stores it.

Written by detect_drift, read by retrain, by the API and by the command line, none of which brings
NumPy: so these are plain forms of what quality_drift.py and input_drift.py return.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from refit.domain.moments import Moment

if TYPE_CHECKING:
    from datetime import datetime

TELLING = timedelta(minutes=10)
"""Who raised an alarm tells of it within this time, or did not live to: then the next look does."""


class Part(BaseModel):
    """A part of the verdict."""

    model_config = ConfigDict(frozen=True, extra="ignore", from_attributes=True)


class Quality(Part):
    """What the test of quality drift says: `quality_drift.QualityVerdict`, which explains it.

    Attributes:
        log10_evidence: None before the first prediction.
    """

    drifted: bool
    log10_evidence: float | None
    threshold: float
    labels: int
    cohorts: int
    since: Moment | None
    counted: int
    errors: int
    error_rate: float | None
    bar: float
    baseline_error: float
    coverage: float | None
    selectivity: float
    class_name: str | None
    alarm_cohort: Moment | None
    held_back: str | None
    sentence: str


class Live(Part):
    """The version's figures over its newest cohorts: `live_quality.LiveQuality`, in short.

    Attributes:
        metrics: accuracy and log_loss, or rmse, mae and bias; empty without a label.
        baseline: the same on the held-out rows.
    """

    since: Moment | None
    until: Moment | None
    cohorts: int
    predictions: int
    labelled: int
    coverage: float | None
    label_delay_s: float | None
    metrics: dict[str, float]
    baseline: dict[str, float]


class Shift(Part):
    """A check of the inputs or answers that was flagged: `violations.Violation`, in short."""

    feature_name: str
    description: str
    value: float
    threshold: float
    n: int
    critical: bool


class Inputs(Part):
    """What the newest closed cohort's inputs and answers say.

    Attributes:
        cohort: its start: this one and all before it were looked at, once.
        rows: counted in it.
        flagged: how many checks were.
        shifts: of them, those furthest beyond their threshold.
        estimated_accuracy: what the captured probabilities let expect, before labels come.
    """

    cohort: Moment
    rows: int
    flagged: int
    shifts: tuple[Shift, ...]
    estimated_accuracy: float | None


class Alarm(Part):
    """An alarm of quality drift. It stays when it is taken back, with the time of that.

    Attributes:
        claimed_at: when somebody last set about telling of it.
        told: whether that was done.
        sentence: what the test said when it was raised.
        taken_back_at: when the evidence was no longer enough: labels were corrected or came late.
    """

    version: int
    raised_at: Moment
    claimed_at: Moment
    told: bool
    sentence: str
    taken_back_at: Moment | None = None


class Verdict(Part):
    """All that one look at a live version found.

    Attributes:
        looked_at: when what was counted was read.
        quality: None where the version has no baseline.
        inputs: None before the first closed cohort.
        alarm: the newest of the model, also when it is over.
        revision: counts the changes; each is made on condition of the one before.
    """

    version: int
    run: str
    looked_at: Moment
    quality: Quality | None
    live: Live
    inputs: Inputs | None
    alarm: Alarm | None
    revision: int = 0

    @property
    def drifted(self) -> bool:
        return self.quality is not None and self.quality.drifted


def alarm_after(
    before: Alarm | None, quality: Quality | None, version: int, now: datetime
) -> Alarm | None:
    """Return the alarm that holds, or held last, after a look.

    Args:
        before: after the look before.
        quality: what this look found.
        version: of which.
        now: when.
    """
    standing = before is not None and before.version == version and before.taken_back_at is None
    if quality is None or not quality.drifted:
        return before.model_copy(update={"taken_back_at": now}) if before and standing else before
    if before is None or not standing:
        return Alarm(
            version=version, raised_at=now, claimed_at=now, told=False, sentence=quality.sentence
        )
    if not before.told and now - before.claimed_at > TELLING:
        return before.model_copy(update={"claimed_at": now})
    return before
