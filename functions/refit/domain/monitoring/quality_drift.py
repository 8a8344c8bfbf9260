"""Test whether the live version has become worse than it was on its held-out rows.

The test is a pure function of counters: the same cohorts give the same verdict in any order.

>>> from datetime import UTC, datetime, timedelta
>>> from refit.domain.model_settings import MonitoringSettings
>>> from refit.domain.monitoring.baseline import Baseline
>>> from refit.domain.monitoring.cohort import Cohort, Matured, Shown
>>> monday, hour = datetime(2026, 1, 5, tzinfo=UTC), timedelta(hours=1)
>>> baseline = Baseline(
...     task="classification", rows_of="new", rows=10_000, errors=800, quality={"accuracy": 0.92}
... )
>>> def cohort(number, errors):
...     return Cohort(
...         version=1, start=monday + number * hour, seconds=3600, predictions=100,
...         files=frozenset({1, 2}), shown=Shown(100, errors), matured=Matured(100, errors),
...     )
>>> healthy = [cohort(number, errors=8) for number in range(24)]
>>> worse = [cohort(24 + number, errors=20) for number in range(6)]
>>> settings = MonitoringSettings(cohort_s=3600, label_age_s=3600, season_s=0)
>>> now = monday + 48 * hour
>>> judge_quality(healthy, (), baseline, settings, now).drifted
False
>>> verdict = judge_quality(healthy + worse, (), baseline, settings, now)
>>> verdict.drifted, verdict.since == worse[0].start
(True, True)

docs/monitoring.md explains the method. detectors.py defines the bets, evidence.py computes them,
and label_delay.py handles late labels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from refit.domain.monitoring.detectors import (
    KnownBefore,
    bets_of,
    detectors_of,
    label_counts,
    tolerated_error_rate,
    weigh,
)
from refit.domain.monitoring.seasons import Blocks, spans_of
from refit.domain.monitoring.verdict import (
    DRIFTED,
    EvidencePart,
    EvidenceStep,
    QualityVerdict,
    span_text,
)
from refit.domain.season_lengths import season_name, seasons_longer_than

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from refit.domain.evaluation.resampling import Floats, Integers
    from refit.domain.model_settings import MonitoringSettings
    from refit.domain.monitoring.baseline import Baseline
    from refit.domain.monitoring.cohort import Cohort
    from refit.domain.monitoring.detectors import Bet, CombinedEvidence, Detector
    from refit.domain.monitoring.seasons import Span

    Flags = NDArray[np.bool_]

ONE_FILE_COHORTS = 3
"""An alarm whose cohorts have one capture file each needs at least this many cohorts."""

SHOWN_STEPS = 24
_SHOWN_PARTS = 10


def judge_quality(
    cohorts: Iterable[Cohort],
    classes: Sequence[str],
    baseline: Baseline,
    settings: MonitoringSettings,
    now: datetime,
) -> QualityVerdict:
    """Judge the quality of one version by its cohorts.

    Args:
        cohorts: cohorts of this version only, in any order. A cohort is left out while one of its
            predictions is younger than the label age.
        classes: texts of the classes by code; empty for a regression.
        baseline: baseline of this version.
        settings: `[monitoring]` of the run that made the version.
        now: the time of the check.
    """
    age = timedelta(seconds=settings.cohort_s + settings.label_age_s)
    mature = sorted(
        (cohort for cohort in cohorts if cohort.predictions and cohort.start + age <= now),
        key=lambda cohort: cohort.start,
    )
    if not mature:
        return _verdict_without_cohorts(detectors_of(baseline, classes)[0], settings)
    test = _Test.of(mature, classes, baseline, settings)
    threshold = math.log(settings.false_alarm_every)
    evidence = test.evidence(capped=True, last=SHOWN_STEPS)
    if evidence.logs.min() >= threshold:  # when the alarm went off is further back
        evidence = test.evidence(capped=True, last=len(mature))
    if evidence.logs[-1] < threshold and test.is_one_file.any():
        uncapped = test.evidence(capped=False, last=SHOWN_STEPS)
        if uncapped.logs[-1] >= threshold:
            return _verdict(mature, test.bets, uncapped, settings, one_file=True)
    return _verdict(mature, test.bets, evidence, settings, one_file=False)


def log_evidence_after_each(
    cohorts: Sequence[Cohort],
    classes: Sequence[str],
    baseline: Baseline,
    settings: MonitoringSettings,
) -> Floats:
    """Return (n_cohorts,) logarithms of the evidence that a check after each cohort finds.

    The arguments are those of `judge_quality`; the cohorts are in the order of time, and old
    enough.
    """
    test = _Test.of(cohorts, classes, baseline, settings)
    return test.evidence(capped=True, last=len(cohorts)).logs


@dataclass(frozen=True)
class _Test:
    """The bets of all detectors over all spans.

    Attributes:
        is_one_file: (n_cohorts,) whether a cohort's predictions come from a single capture file.
        blocks: blocks of the cohorts by the length of the season.
        log_cap: logarithm of the largest factor by which one file may multiply a stake.
    """

    bets: list[Bet]
    is_one_file: Flags
    blocks: dict[int, Blocks]
    log_cap: float

    @classmethod
    def of(
        cls,
        cohorts: Sequence[Cohort],
        classes: Sequence[str],
        baseline: Baseline,
        settings: MonitoringSettings,
    ) -> _Test:
        cohort_s = settings.cohort_s
        spans = spans_of(cohort_s, settings.season_s, settings.season_swing)
        starts = np.array([int(cohort.start.timestamp()) for cohort in cohorts])
        predictions = np.array([cohort.predictions for cohort in cohorts])
        known = _known_before(starts, settings)
        detectors = detectors_of(baseline, classes)
        return cls(
            bets=[
                bet
                for detector, labels in zip(
                    detectors, label_counts(detectors, cohorts), strict=True
                )
                for bet in bets_of(detector, labels, known, settings.tolerance, spans)
            ],
            is_one_file=np.array([len(cohort.files) < 2 for cohort in cohorts]),
            blocks={
                span.season_s: Blocks.of(starts, predictions, cohort_s, span.season_s)
                for span in spans
                if span.season_s
            },
            log_cap=math.log(settings.false_alarm_every) / ONE_FILE_COHORTS,
        )

    def evidence(self, *, capped: bool, last: int) -> CombinedEvidence:
        """Return the evidence after the last cohorts, with or without a cap on those of one file.

        Rows of one capture file may be repetitions of each other, so one file can multiply a stake
        only up to a cap. Lowering a gain keeps a bet fair.
        """
        cap = np.where(self.is_one_file & capped, self.log_cap, np.inf)
        return weigh(self.bets, self.blocks, cap, last)


def _known_before(starts: Integers, settings: MonitoringSettings) -> KnownBefore:
    wait_s = max(settings.complete_age_s - settings.label_age_s, 0.0)
    complete: Integers = np.searchsorted(starts, starts - wait_s, side="right")
    complete = complete.clip(max=np.arange(len(starts)))  # never the cohort itself
    seasons = seasons_longer_than(settings.cohort_s, settings.season_s)
    if not seasons:
        return KnownBefore(complete, complete)
    ends = np.append(0.0, starts - starts[0] + settings.cohort_s)
    whole: Integers = np.searchsorted(ends[1:], ends // seasons[-1] * seasons[-1], side="right")
    return KnownBefore(complete, whole[complete])


def _verdict(
    cohorts: Sequence[Cohort],
    bets: Sequence[Bet],
    evidence: CombinedEvidence,
    settings: MonitoringSettings,
    *,
    one_file: bool,
) -> QualityVerdict:
    exceeds = evidence.logs >= math.log(settings.false_alarm_every)
    reached = bool(exceeds[-1])
    first = evidence.change if reached else 0
    overall = _overall(bets)
    bet = evidence.carrier if reached else overall
    window = cohorts[first:]
    labels = sum(cohort.matured.labelled for cohort in window)
    coverage = labels / sum(cohort.predictions for cohort in window)
    judged = sum(cohort.matured.labelled for cohort in cohorts)
    held_back = _held_back(judged, coverage, settings, one_file) if reached else None
    drifted = reached and held_back is None
    counted, errors = _counted(bet, first)
    verdict = QualityVerdict(
        drifted=drifted,
        log10_evidence=float(evidence.logs[-1]) / math.log(10),
        threshold=settings.false_alarm_every,
        labels=labels,
        cohorts=len(window),
        since=window[0].start,
        counted=counted,
        errors=errors,
        error_rate=errors / counted if counted else None,
        tolerated_error_rate=_tolerated(bet, first),
        baseline_error=bet.detector.error,
        coverage=coverage,
        selectivity=float(bet.predictions.selectivity[-1]),
        class_name=bet.detector.class_name,
        season_s=bet.span.season_s,
        within_s=bet.span.within_s,
        alarm_cohort=cohorts[_last_crossing(exceeds) - len(exceeds)].start if drifted else None,
        held_back=held_back,
        sentence="",
        parts=_parts(bets, evidence, first),
        steps=_steps(cohorts, overall, evidence),
    )
    sentence = _sentence(verdict) + _first_season(cohorts, overall.span)
    return verdict.model_copy(update={"sentence": sentence})


def _first_season(cohorts: Sequence[Cohort], span: Span) -> str:
    """Return what to say of a version that is younger than a season."""
    whole = cohorts[0].start + timedelta(seconds=span.season_s)
    if cohorts[-1].end >= whole:
        return ""
    return f" Its first {season_name(span.season_s)} is complete at {whole:%Y-%m-%d %H:%M:%S} UTC."


def _overall(bets: Sequence[Bet]) -> Bet:
    """Return the bet on the whole model over the longest span, whose limit has no swing."""
    return next(bet for bet in bets if bet.detector is bets[0].detector and bet.span.swing == 1)


def _counted(bet: Bet, first: int) -> tuple[int, int]:
    """Return the counted predictions, from a cohort on, and how many of them are wrong."""
    predictions = bet.predictions
    return int(predictions.counted[first:].sum()), int(predictions.errors[first:].sum())


def _parts(bets: Sequence[Bet], evidence: CombinedEvidence, first: int) -> tuple[EvidencePart, ...]:
    parts = []
    for index in np.argsort(-evidence.parts, kind="stable")[:_SHOWN_PARTS]:
        bet = bets[index]
        counted, errors = _counted(bet, first)
        parts.append(
            EvidencePart(
                class_name=bet.detector.class_name,
                season_s=bet.span.season_s,
                within_s=bet.span.within_s,
                weight=bet.share,
                log10_evidence=float(evidence.parts[index]) / math.log(10),
                counted=counted,
                errors=errors,
                error_rate=errors / counted if counted else None,
                tolerated_error_rate=_tolerated(bet, first),
                baseline_error=bet.detector.error,
            )
        )
    return tuple(parts)


def _steps(
    cohorts: Sequence[Cohort], overall: Bet, evidence: CombinedEvidence
) -> tuple[EvidenceStep, ...]:
    logs = evidence.logs / math.log(10)
    shown = min(len(logs), SHOWN_STEPS)
    last = zip(cohorts[-shown:], logs[-shown:], overall.limits[-shown:], strict=True)
    return tuple(
        EvidenceStep(
            start=cohort.start,
            log10_evidence=float(log10),
            tolerated_error_rate=float(limit),
        )
        for cohort, log10, limit in last
    )


def _tolerated(bet: Bet, first: int) -> float:
    """Return the tolerated error rate of the counted predictions, averaged from a cohort on."""
    counted, selectivity = bet.predictions.counted[first:], bet.predictions.selectivity[first:]
    limits = bet.limits[first:]
    limits = selectivity * limits / (selectivity * limits + 1 - limits)
    total = int(counted.sum())
    return float(limits @ counted) / total if total else float(limits[-1])


def _verdict_without_cohorts(overall: Detector, settings: MonitoringSettings) -> QualityVerdict:
    return QualityVerdict(
        drifted=False,
        log10_evidence=None,
        threshold=settings.false_alarm_every,
        labels=0,
        cohorts=0,
        since=None,
        counted=0,
        errors=0,
        error_rate=None,
        tolerated_error_rate=tolerated_error_rate(overall.errors, overall.rows, settings.tolerance),
        baseline_error=overall.error,
        coverage=None,
        selectivity=1.0,
        class_name=None,
        season_s=0,
        within_s=0,
        alarm_cohort=None,
        held_back=None,
        sentence="No prediction has reached the label age yet.",
    )


def _last_crossing(exceeds: Flags) -> int:
    """Return the first cohort of the final stretch in which the threshold is exceeded."""
    below = np.flatnonzero(~exceeds)
    return int(below[-1]) + 1 if len(below) else 0


def _held_back(
    labels: int, coverage: float, settings: MonitoringSettings, one_file: bool
) -> str | None:
    if one_file:
        return (
            "the evidence rests on cohorts of one capture file each; at least "
            f"{ONE_FILE_COHORTS} such cohorts are required"
        )
    if labels < settings.min_labels:
        return f"only {labels:,} labels arrived in time; min_labels is {settings.min_labels:,}"
    if coverage < settings.min_coverage:
        return (
            f"{coverage:.2%} of the predictions are labelled; min_coverage is "
            f"{settings.min_coverage:.2%}"
        )
    return None


def _sentence(verdict: QualityVerdict) -> str:
    if verdict.since is None or verdict.error_rate is None or not verdict.labels:
        return f"No drift: no label arrived in time in {verdict.cohorts:,} cohorts."
    name = verdict.class_name
    whose = "" if name is None else f" for rows of class {name!r}"
    numbers = (
        f"{verdict.errors:,} of {verdict.counted:,} predictions{whose} are wrong "
        f"({verdict.error_rate:.2%}) since {verdict.since:%Y-%m-%d %H:%M:%S} UTC. "
        f"The held-out error rate is {verdict.baseline_error:.2%}; up to "
        f"{verdict.tolerated_error_rate:.2%} is tolerated"
        f"{span_text(verdict.season_s, verdict.within_s)}{_allowance(verdict)}. "
        f"Evidence {verdict.evidence_text}, "
        f"alarm threshold {verdict.threshold:,.0f}."
    )
    if verdict.drifted:
        return f"{DRIFTED}{numbers}"
    if verdict.held_back:
        return f"Held back, because {verdict.held_back}: {numbers}"
    return f"No drift: {numbers}"


def _allowance(verdict: QualityVerdict) -> str:
    if verdict.selectivity >= 1.05:
        return (
            " among the predictions labelled in time, because wrong predictions are up to "
            f"{verdict.selectivity:.1f} times as likely to be labelled in time as correct ones"
        )
    if verdict.counted > verdict.labels and verdict.class_name is None:
        unlabelled = verdict.counted - verdict.labels
        return f" ({unlabelled:,} predictions without a label count as correct)"
    return ""
