"""Has the live version become worse than it was on held-out rows?

A pure function of counters: the same cohorts give the same verdict, whatever order they came in.
docs/monitoring.md explains the method to a reader who has not met it. What is bet on is in
detectors.py, the arithmetic of bets in evidence.py, how labels that come late are counted in
label_delay.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from refit.domain.monitoring.detectors import bar_over, bet_of, detectors_of, weigh

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from refit.domain.evaluation.resampling import Integers
    from refit.domain.monitoring.baseline import Baseline
    from refit.domain.monitoring.bucket import Bucket
    from refit.domain.monitoring.detectors import Bet, Detector, Evidence

    Flags = NDArray[np.bool_]

ONE_FILE_COHORTS = 3
"""So many cohorts of one capture file each are needed for an alarm, whatever they hold."""

_LARGEST_LOG10 = 300


@dataclass(frozen=True)
class QualityRule:
    """The settings of the test: `[monitoring]` of model.toml.

    Attributes:
        label_age_s: the age at which a prediction enters the test with what is known of it.
        label_wait_s: the age at which its label is taken to be there, if it ever comes.
        cohort_s: how long a cohort is.
        tolerance: how much worse than on the held-out rows is no harm, as a share.
        false_alarm_every: cohorts between two false alarms, in the mean; 1/α.
        min_labels: no alarm before so many of the version's labels were judged.
        min_coverage: no alarm where a smaller share of the predictions that the evidence rests on
            is labelled.
    """

    label_age_s: float
    label_wait_s: float
    cohort_s: float
    tolerance: float = 0.005
    false_alarm_every: float = 8760
    min_labels: int = 50
    min_coverage: float = 0.01


@dataclass(frozen=True)
class QualityVerdict:
    """What the test says, and why.

    All numbers but `evidence` are of the cohorts from `since` on: those that the evidence rests on
    where it reaches the threshold, else all.

    Attributes:
        drifted: the alarm.
        evidence: ≥ 0; at most 1e300, the logarithm has no such end.
        log10_evidence: −∞ before the first prediction.
        threshold: the evidence that makes an alarm: `false_alarm_every`.
        labels: labelled predictions.
        cohorts: with predictions.
        since: start of the cohort in which the change is estimated to have begun.
        counted: answers that the test counts: the labelled ones, and where nothing is known yet
            of how late labels come, the unlabelled ones as right. Of `class_name` where it is set.
        errors: wrong ones of the counted.
        error_rate: errors / counted; None without any.
        bar: the error rate among the counted that is no harm yet.
        baseline_error: on the held-out rows.
        coverage: labelled share of the predictions; None without any.
        selectivity: how many times as readily errors are labelled in time as right answers: the
            upper bound that the bar allows for; 1 where it need not.
        class_name: the class whose errors carry the evidence; None when all classes' do.
        alarm_cohort: since when the evidence is over the threshold without a break.
        held_back: why there is no alarm although the evidence is over the threshold.
        sentence: all of this for a person.
    """

    drifted: bool
    evidence: float
    log10_evidence: float
    threshold: float
    labels: int
    cohorts: int
    since: datetime | None
    counted: int
    errors: int
    error_rate: float | None
    bar: float
    baseline_error: float
    coverage: float | None
    selectivity: float
    class_name: str | None
    alarm_cohort: datetime | None
    held_back: str | None
    sentence: str


def judge_quality(
    buckets: Iterable[Bucket], baseline: Baseline, rule: QualityRule, now: datetime
) -> QualityVerdict:
    """Judge one version by its cohorts.

    Args:
        buckets: of this version alone, in any order. Those with a prediction that is younger than
            the label age are left out.
        baseline: of this version.
        rule: the settings.
        now: the present.
    """
    age = timedelta(seconds=rule.cohort_s + rule.label_age_s)
    ripe = sorted(
        (bucket for bucket in buckets if bucket.predictions and bucket.start + age <= now),
        key=lambda bucket: bucket.start,
    )
    detectors = detectors_of(baseline)
    if not ripe:
        return _nothing_yet(detectors[0], rule)
    complete = _complete(ripe, rule)
    bets = [bet_of(detector, ripe, complete, rule.tolerance) for detector in detectors]
    needed = math.log(rule.false_alarm_every)
    # One replayed file is one piece of news, however many rows it holds. A smaller gain than was
    # won is always fair.
    capped = np.where([bucket.files < 2 for bucket in ripe], needed / ONE_FILE_COHORTS, np.inf)
    evidence = weigh(bets, capped)
    if evidence.logs[-1] >= needed:
        return _verdict(ripe, bets[0], evidence, rule, one_file=False)
    as_if = weigh(bets, np.full(len(ripe), np.inf)) if np.isfinite(capped).any() else evidence
    if as_if.logs[-1] >= needed:
        return _verdict(ripe, bets[0], as_if, rule, one_file=True)
    return _verdict(ripe, bets[0], evidence, rule, one_file=False)


def _complete(buckets: Sequence[Bucket], rule: QualityRule) -> Integers:
    """Return how many cohorts, from the first, had complete labels when each was judged."""
    starts = np.array([bucket.start.timestamp() for bucket in buckets])
    wait_s = max(rule.label_wait_s - rule.label_age_s, 0.0)
    complete: Integers = np.searchsorted(starts, starts - wait_s, side="right")
    return complete.clip(max=np.arange(len(starts)))  # never the cohort itself


def _verdict(
    buckets: Sequence[Bucket],
    overall: Bet,
    evidence: Evidence,
    rule: QualityRule,
    *,
    one_file: bool,
) -> QualityVerdict:
    over = evidence.logs >= math.log(rule.false_alarm_every)
    crossed = bool(over[-1])
    first = evidence.change if crossed else 0
    bet = evidence.carrier if crossed else overall
    window = buckets[first:]
    labels = sum(bucket.labelled for bucket in window)
    coverage = labels / sum(bucket.predictions for bucket in window)
    judged = sum(bucket.labelled for bucket in buckets)
    held_back = _held_back(judged, coverage, rule, one_file) if crossed else None
    drifted = crossed and held_back is None
    counted, errors = bet.cohorts.counted[first:], bet.cohorts.errors[first:]
    selectivity = bet.cohorts.selectivity[first:]
    answers, wrong = int(counted.sum()), int(errors.sum())
    bars = bet.bars[first:]
    bars = selectivity * bars / (selectivity * bars + 1 - bars)
    log10 = float(evidence.logs[-1]) / math.log(10)
    found = QualityVerdict(
        drifted=drifted,
        evidence=10 ** min(log10, _LARGEST_LOG10),
        log10_evidence=log10,
        threshold=rule.false_alarm_every,
        labels=labels,
        cohorts=len(window),
        since=window[0].start,
        counted=answers,
        errors=wrong,
        error_rate=wrong / answers if answers else None,
        bar=float(bars @ counted) / answers if answers else float(bars[-1]),
        baseline_error=bet.detector.error,
        coverage=coverage,
        selectivity=float(selectivity[-1]),
        class_name=bet.detector.class_name,
        alarm_cohort=buckets[_last_crossing(over)].start if drifted else None,
        held_back=held_back,
        sentence="",
    )
    return replace(found, sentence=_sentence(found))


def _nothing_yet(overall: Detector, rule: QualityRule) -> QualityVerdict:
    return QualityVerdict(
        drifted=False,
        evidence=0.0,
        log10_evidence=-math.inf,
        threshold=rule.false_alarm_every,
        labels=0,
        cohorts=0,
        since=None,
        counted=0,
        errors=0,
        error_rate=None,
        bar=bar_over(overall.errors, overall.rows, rule.tolerance),
        baseline_error=overall.error,
        coverage=None,
        selectivity=1.0,
        class_name=None,
        alarm_cohort=None,
        held_back=None,
        sentence="No prediction is old enough to be judged.",
    )


def _last_crossing(over: Flags) -> int:
    """Return the first cohort of the stretch over the threshold that lasts to the end."""
    below = np.flatnonzero(~over)
    return int(below[-1]) + 1 if len(below) else 0


def _held_back(labels: int, coverage: float, rule: QualityRule, one_file: bool) -> str | None:
    if one_file:
        return f"it rests on cohorts of one capture file each, and needs {ONE_FILE_COHORTS} of them"
    if labels < rule.min_labels:
        return f"only {labels:,} labels were judged, and min_labels is {rule.min_labels:,}"
    if coverage < rule.min_coverage:
        return (
            f"{coverage:.2%} of the predictions are labelled, and min_coverage is "
            f"{rule.min_coverage:.2%}"
        )
    return None


def _sentence(verdict: QualityVerdict) -> str:
    whose = "" if verdict.class_name is None else f" of class {verdict.class_name!r}"
    if verdict.since is None or verdict.error_rate is None or not verdict.labels:
        return f"No drift: no label has come in time for {verdict.cohorts:,} cohorts."
    numbers = (
        f"{verdict.errors:,} of {verdict.counted:,} answers{whose} are wrong "
        f"({verdict.error_rate:.2%}) since {verdict.since:%Y-%m-%d %H:%M:%S} UTC; "
        f"{verdict.baseline_error:.2%} were on the held-out rows and up to {verdict.bar:.2%} "
        f"would be no harm{_allowance(verdict)}. The evidence is {_shown(verdict.log10_evidence)}; "
        f"{verdict.threshold:,.0f} makes an alarm."
    )
    if verdict.drifted:
        return f"Drift: {numbers}"
    if verdict.held_back:
        return f"Held back, since {verdict.held_back}: {numbers}"
    return f"No drift: {numbers}"


def _allowance(verdict: QualityVerdict) -> str:
    if verdict.selectivity >= 1.05:
        return (
            f" among those labelled in time, where an error is up to {verdict.selectivity:.1f} "
            "times as likely to be as a right answer"
        )
    if verdict.counted > verdict.labels and verdict.class_name is None:
        return f" (the {verdict.counted - verdict.labels:,} without a label count as right)"
    return ""


def _shown(log10: float) -> str:
    return f"{10**log10:,.1f}" if log10 < 6 else f"10^{log10:,.0f}"
