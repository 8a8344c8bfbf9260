"""The verdict on a live version: its stored form (the MONITOR item) and its published form.

`model_dump()` gives the stored form. `model_dump(by_alias=True)` gives the published form, whose
names are in camel case. This module does not import NumPy, because the predict API and the command
line read verdicts, too.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, AliasGenerator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from refit.domain.moments import Moment
from refit.domain.monitoring.violations import Violation
from refit.domain.season_lengths import season_name

if TYPE_CHECKING:
    from datetime import datetime

NOTIFICATION_TIMEOUT = timedelta(minutes=10)
"""If the check that raised an alarm has not notified people by then, a later check does."""

DRIFTED = "Drift: "
"""How the sentence of a verdict begins if there is drift."""

_MAX_LOG10_EVIDENCE = 300
_WRITTEN_AS_POWER = 6


def _none_if_infinite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


class VerdictPart(BaseModel):
    """A part of a verdict."""

    model_config = ConfigDict(
        frozen=True, alias_generator=AliasGenerator(serialization_alias=to_camel)
    )


class EvidencePart(VerdictPart):
    """What one detector contributes to the evidence: the whole model, or one class.

    The contributions add up to the evidence. The numbers describe the cohorts from `since` on.

    Attributes:
        class_name: the class; None for the model as a whole.
        season_s: the bets are judged after whole seasons of this length; 0 for every cohort.
        within_s: length of the season within which the tolerated error rate may be exceeded, and
            for which it is raised therefore; 0 if it is not raised.
        weight: share of the stakes that bet on this error rate.
        log10_evidence: log10 of the contribution; None before the first judged prediction.
        counted: predictions that the detector counts.
        tolerated_error_rate: as in `QualityVerdict`.
        baseline_error: error rate on the held-out rows.
    """

    class_name: str | None
    season_s: int = Field(0, serialization_alias="seasonSeconds")
    within_s: int = Field(0, serialization_alias="withinSeconds")
    weight: float
    log10_evidence: Annotated[float | None, AfterValidator(_none_if_infinite)] = Field(
        serialization_alias="log10"
    )
    counted: int
    errors: int
    error_rate: float | None
    tolerated_error_rate: float = Field(serialization_alias="bar")
    baseline_error: float


def span_text(season_s: int, within_s: int) -> str:
    """Return over which span an error rate is tolerated, to follow "is tolerated"."""
    if season_s and within_s:
        return f" over a single {season_name(season_s)} of a {season_name(within_s)}"
    if season_s:
        return f" over a whole {season_name(season_s)}"
    return f" at single times of a {season_name(within_s)}" if within_s else ""


class EvidenceStep(VerdictPart):
    """The evidence after one cohort, and the error rate that was tolerated in it."""

    start: Moment
    log10_evidence: Annotated[float | None, AfterValidator(_none_if_infinite)] = Field(
        serialization_alias="log10"
    )
    tolerated_error_rate: float = Field(serialization_alias="bar")


class QualityVerdict(VerdictPart):
    """The result of the test for quality drift, and its reasons.

    If the evidence reaches the threshold, the numbers describe the cohorts from `since` on, which
    the evidence is based on. Otherwise they describe all cohorts.

    Attributes:
        drifted: whether there is an alarm.
        log10_evidence: None before the first prediction that can be judged.
        threshold: the evidence at which the alarm is raised: `false_alarm_every`.
        labels: labelled predictions.
        cohorts: cohorts that have predictions.
        since: start of the cohort in which the change is estimated to have begun.
        counted: predictions that the test counts: the labelled ones and, while the label delay is
            unknown, the unlabelled ones as correct. If `class_name` is set, only those of the
            class.
        errors: how many of the counted predictions are wrong.
        error_rate: errors / counted; None when nothing is counted.
        tolerated_error_rate: the error rate of the counted predictions up to which a version is
            not worse than its baseline.
        baseline_error: error rate on the held-out rows.
        coverage: labelled share of the predictions; None without predictions.
        selectivity: how many times as likely a wrong prediction is to be labelled in time as a
            correct one. This upper bound is included in the tolerated error rate; it is 1 if no
            allowance is needed.
        class_name: the class whose errors contribute most to the evidence; None when it is the
            model as a whole.
        season_s: as in `EvidencePart`, of the part that contributes most.
        within_s: as in `EvidencePart`.
        alarm_cohort: the cohort since which the evidence has been above the threshold.
        held_back: why there is no alarm although the evidence is above the threshold.
        sentence: a summary for people.
        parts: what the evidence consists of, largest first.
        steps: the evidence after each of the last cohorts, oldest first.
    """

    drifted: bool
    log10_evidence: Annotated[float | None, AfterValidator(_none_if_infinite)] = Field(
        serialization_alias="log10"
    )
    threshold: float
    labels: int
    cohorts: int
    since: Moment | None
    counted: int
    errors: int
    error_rate: float | None
    tolerated_error_rate: float = Field(serialization_alias="bar")
    baseline_error: float
    coverage: float | None
    selectivity: float
    class_name: str | None
    season_s: int = Field(0, serialization_alias="seasonSeconds")
    within_s: int = Field(0, serialization_alias="withinSeconds")
    alarm_cohort: Moment | None
    held_back: str | None
    sentence: str
    parts: tuple[EvidencePart, ...] = ()
    steps: tuple[EvidenceStep, ...] = ()

    @property
    def evidence(self) -> float:
        """The evidence, 0 to 1e300; use `log10_evidence` for larger values."""
        if self.log10_evidence is None:
            return 0.0
        return float(10 ** min(self.log10_evidence, _MAX_LOG10_EVIDENCE))

    @property
    def evidence_text(self) -> str:
        """The evidence for people; a power of ten from a million on."""
        log10 = self.log10_evidence
        if log10 is None or log10 < _WRITTEN_AS_POWER:
            return f"{self.evidence:,.1f}"
        return f"10^{log10:,.0f}"


class LiveQuality(VerdictPart):
    """The quality of a version in some of its cohorts, from the labels that are known now.

    Attributes:
        since: start of the first cohort; None without cohorts.
        until: end of the last cohort; None without cohorts.
        predictions: captured predictions.
        labelled: how many of them have a label.
        coverage: labelled / predictions; None without predictions.
        label_delay_s: average seconds from a prediction to its first label; None without labels.
        metrics: accuracy and, where probabilities were captured, log_loss; or rmse, mae and bias
            in the unit of the label. Empty without labels.
        baseline: the same metrics on the held-out rows.
    """

    since: Moment | None
    until: Moment | None
    cohorts: int
    predictions: int
    labelled: int
    coverage: float | None
    label_delay_s: float | None = Field(serialization_alias="labelDelaySeconds")
    metrics: dict[str, float]
    baseline: dict[str, float]


class TrendPoint(VerdictPart):
    """One cohort in a short series.

    Attributes:
        value: accuracy or, of a regression, RMSE; None without labels.
    """

    start: Moment
    predictions: int
    labelled: int
    value: float | None


class InputVerdict(VerdictPart):
    """The result of the input checks after the newest closed cohort of a version.

    Attributes:
        cohort: start of the cohort. It and all cohorts before it have been checked once.
        since: start of the span whose inputs are compared with the training data: the season that
            ends with the cohort or, without a season, the cohort; None in verdicts of before.
        until: end of the span.
        season_s: length of the season; 0 if single cohorts are compared.
        compared_from: when the first whole season ends. Until then only values that the training
            data never had are looked for; None if distributions are compared.
        missed: share of the season's predictions that outages prevented, by which the thresholds
            are raised.
        rows: number of rows counted in the span.
        flagged: number of checks that failed.
        shifts: the failed checks that exceed their thresholds most.
        estimated_accuracy: accuracy expected from the captured probabilities of the span, before
            labels arrive; None if it is unknown, and as long as no season is whole.
    """

    cohort: Moment
    since: Moment | None = None
    until: Moment | None = None
    season_s: int = Field(0, serialization_alias="seasonSeconds")
    compared_from: Moment | None = None
    missed: float = 0.0
    rows: int
    flagged: int
    shifts: tuple[Violation, ...]
    estimated_accuracy: float | None


class DriftAlarm(VerdictPart):
    """A quality-drift alarm, which is kept after it was taken back.

    Attributes:
        claimed_at: when a check last began to notify people of the alarm.
        notified: whether people were notified.
        sentence: summary of the verdict that raised the alarm.
        taken_back_at: when the evidence fell below the threshold again, because labels were
            corrected or arrived late.
    """

    version: int
    raised_at: Moment
    claimed_at: Moment
    notified: bool
    sentence: str
    taken_back_at: Moment | None = None


class Verdict(VerdictPart):
    """The result of one drift check of a live version.

    Attributes:
        checked_at: when the counters were read.
        alarm: the newest alarm of the model, whether or not it is still active.
        trend: the last cohorts, oldest first.
        revision: number of changes. A change is stored only if the revision is still the one that
            was read.
    """

    version: int
    run: str
    checked_at: Moment = Field(serialization_alias="lookedAt")
    quality: QualityVerdict
    live: LiveQuality
    inputs: InputVerdict | None
    alarm: DriftAlarm | None
    trend: tuple[TrendPoint, ...] = ()
    revision: int = 0

    @property
    def drifted(self) -> bool:
        return self.quality.drifted


def alarm_after(
    before: DriftAlarm | None, quality: QualityVerdict, version: int, now: datetime
) -> DriftAlarm | None:
    """Return the newest alarm of a model after a check.

    Args:
        before: the newest alarm before the check.
        quality: the result of the check.
        version: the version that was checked.
        now: time of the check.
    """
    active = before is not None and before.version == version and before.taken_back_at is None
    if not quality.drifted:
        return before.model_copy(update={"taken_back_at": now}) if before and active else before
    if before is None or not active:
        return DriftAlarm(
            version=version,
            raised_at=now,
            claimed_at=now,
            notified=False,
            sentence=quality.sentence,
        )
    if not before.notified and now - before.claimed_at > NOTIFICATION_TIMEOUT:
        return before.model_copy(update={"claimed_at": now})
    return before
