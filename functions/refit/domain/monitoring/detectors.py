"""The bets on the error rate of the whole model and on the error rate of each class.

The weighted mean of the evidence of several detectors is itself evidence, so the number of classes
needs no correction for multiple tests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from refit.domain.monitoring.cohort import ClassCounts
from refit.domain.monitoring.evidence import (
    LARGEST_LIMIT,
    CountedPredictions,
    log_evidence,
    log_gains,
    log_mean,
    odds_ratios,
    raised_odds,
    upper_bound,
)
from refit.domain.monitoring.label_delay import LabelCounts, counted_predictions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from refit.domain.evaluation.resampling import Floats, Integers
    from refit.domain.monitoring.baseline import Baseline
    from refit.domain.monitoring.cohort import Cohort
    from refit.domain.monitoring.seasons import Blocks, Span

LIMIT_CONFIDENCE = 0.99
LIVE_CONFIDENCE = 0.999
"""Confidence of the bound that includes live labels; it is recomputed when they have doubled."""

CLASSES_WEIGHT = 0.25
"""Weight of all class detectors together; the rest is the weight of the whole model's detector."""

FEWEST_CLASS_ROWS = 20
"""A class with fewer held-out rows has no detector of its own."""


@dataclass(frozen=True)
class Detector:
    """An error rate that is monitored: the error rate of the whole model or of one class.

    Attributes:
        class_code: code of the class; None for the whole model.
        class_name: text of the class; None for the whole model.
        weight: weight of this detector in the evidence.
        rows: held-out rows.
        errors: held-out rows that were predicted wrong.
    """

    class_code: int | None
    class_name: str | None
    weight: float
    rows: int
    errors: int

    @property
    def error(self) -> float:
        """The error rate on the held-out rows; 0 without rows."""
        return self.errors / max(self.rows, 1)


@dataclass(frozen=True)
class Bet:
    """The bets of one detector over one span, in every cohort.

    Attributes:
        limits: (n_cohorts,) tolerated error rates of the span.
        predictions: the predictions that decide the bets.
        ratios: (n_bets,) the bets, as odds ratios to the tolerated error rates.
        gains: (n_cohorts, n_bets) logarithm of the factor by which each stake is multiplied.
    """

    detector: Detector
    span: Span
    limits: Floats
    predictions: CountedPredictions
    ratios: Floats
    gains: Floats

    @property
    def share(self) -> float:
        """Share of all stakes."""
        return self.detector.weight * self.span.share

    def if_correct(self) -> Floats:
        """Return the gains if all counted predictions were correct."""
        counted, selectivity = self.predictions.counted, self.predictions.selectivity
        correct = CountedPredictions(counted, np.zeros_like(counted), selectivity)
        return log_gains(correct, self.limits, self.ratios)


def tolerated_error_rate(errors: int, rows: int, tolerance: float) -> float:
    """Return the error rate up to which a version counts as healthy, from its held-out rows.

    The result is the larger of two limits. The upper 99 % bound of the held-out error rate allows
    for the uncertainty of few rows. The held-out error rate plus the tolerance allows for
    differences that do not matter. Adding both allowances would reduce the detection power.

    Args:
        errors: wrong predictions on the held-out rows.
        rows: number of held-out rows; without any, every error rate is tolerated.
        tolerance: allowed increase of the error rate, as a share ≥ 0.
    """
    bound = upper_bound(errors, rows, LIMIT_CONFIDENCE)
    return _below_one(max(bound, errors / max(rows, 1) + tolerance))


def tolerated_error_rates(
    detector: Detector, labels: LabelCounts, complete: Integers, tolerance: float
) -> Floats:
    """Return the tolerated error rate of each cohort: the held-out limit, lowered by live labels.

    The bound is computed over held-out rows and live labels together when there are as many
    complete live labels as held-out rows, and again whenever the live labels have doubled. Live
    labels can only lower the limit, so drift cannot raise it. The limit never falls below the
    held-out error rate plus the tolerance, so a version that was better for a while may return to
    its held-out quality without an alarm.

    Args:
        detector: the monitored error rate.
        labels: label counts of n_cohorts cohorts.
        complete: (n_cohorts,) for each cohort, the number of cohorts, from the first, whose labels
            were complete when it was judged, of whole seasons only.
        tolerance: allowed increase of the error rate, as a share ≥ 0.

    Returns:
        (n_cohorts,) limits that never rise from one cohort to the next.
    """
    limits = np.full(len(complete), tolerated_error_rate(detector.errors, detector.rows, tolerance))
    live = np.append(0, np.cumsum(labels.labelled_by_now))[complete]
    wrong = np.append(0, np.cumsum(labels.errors_by_now))[complete]
    floor = _below_one(detector.error + tolerance)
    required = max(detector.rows, 1)
    while len(live) and required <= live[-1]:
        index = int(np.searchsorted(live, required))
        bound = upper_bound(
            detector.errors + int(wrong[index]), detector.rows + int(live[index]), LIVE_CONFIDENCE
        )
        limits[index:] = np.minimum(limits[index:], max(bound, floor))
        required = 2 * int(live[index])
    return limits


def _below_one(rate: float) -> float:
    """Return a limit below 1, because the odds of an error rate of 1 are infinite."""
    return min(rate, LARGEST_LIMIT)


def detectors_of(baseline: Baseline, classes: Sequence[str]) -> list[Detector]:
    """Return the detectors: first the model's, then one for each class with enough held-out rows.

    Args:
        baseline: baseline of the version.
        classes: texts of the version's classes by code; empty for a regression.
    """
    monitored = {
        name: held_out
        for name, held_out in (baseline.classes or {}).items()
        if held_out.support >= FEWEST_CLASS_ROWS
    }
    weight = 1 - CLASSES_WEIGHT if monitored else 1.0
    codes = {name: code for code, name in enumerate(classes)}
    return [Detector(None, None, weight, baseline.rows, baseline.errors)] + [
        Detector(
            codes[name], name, CLASSES_WEIGHT / len(monitored), held_out.support, held_out.missed
        )
        for name, held_out in monitored.items()
    ]


@dataclass(frozen=True)
class KnownBefore:
    """What is known of earlier cohorts when a cohort is judged.

    Attributes:
        complete: (n_cohorts,) for each cohort, the number of cohorts, from the first, whose labels
            were complete.
        whole: (n_cohorts,) the same, of whole seasons only.
    """

    complete: Integers
    whole: Integers


def bets_of(
    detector: Detector,
    labels: LabelCounts,
    known: KnownBefore,
    tolerance: float,
    spans: Sequence[Span],
) -> list[Bet]:
    """Return the bets of one detector, for each span.

    Args:
        detector: the monitored error rate.
        labels: its label counts.
        known: what was known before each of them.
        tolerance: allowed increase of the error rate, as a share ≥ 0.
        spans: the spans of the test.
    """
    limits = tolerated_error_rates(detector, labels, known.whole, tolerance)
    predictions = counted_predictions(labels, known.complete, limits)
    bets = []
    for span in spans:
        raised = raised_odds(limits, span.swing)
        ratios = odds_ratios(raised, span.smallest_ratio, span.bets)
        gains = log_gains(predictions, raised, ratios)
        bets.append(Bet(detector, span, raised, predictions, ratios, gains))
    return bets


def label_counts(detectors: Sequence[Detector], cohorts: Sequence[Cohort]) -> list[LabelCounts]:
    """Return the label counts of each detector, of n_cohorts cohorts in the order of time."""
    labelled, errors = _columns((each.matured.labelled, each.matured.errors) for each in cohorts)
    by_now, wrong_by_now = _columns((each.shown.labelled, each.shown.errors) for each in cohorts)
    predictions = np.array([cohort.predictions for cohort in cohorts], dtype=np.int64)
    unlabelled = predictions - labelled
    codes = [each.class_code for each in detectors if each.class_code is not None]
    in_time = _by_class(codes, [cohort.matured.classes for cohort in cohorts])
    now = _by_class(codes, [cohort.shown.classes for cohort in cohorts])
    counts = []
    for detector in detectors:
        if detector.class_code is not None:
            labelled, errors = in_time[detector.class_code]
            by_now, wrong_by_now = now[detector.class_code]
        counts.append(LabelCounts(labelled, errors, by_now, wrong_by_now, unlabelled, predictions))
    return counts


def _by_class(
    codes: Sequence[int], counts: Sequence[Mapping[int, tuple[int, int]]]
) -> dict[int, Integers]:
    """Return (2, n_cohorts) labelled predictions and errors by the code of the class."""
    columns: dict[int, Integers] = {
        code: np.zeros((2, len(counts)), dtype=np.int64) for code in codes
    }
    if not codes:
        return columns
    tables = [each if isinstance(each, ClassCounts) else ClassCounts(each) for each in counts]
    cohort = np.repeat(np.arange(len(tables)), [len(each) for each in tables])
    code, labelled, errors = map(np.asarray, ClassCounts.joined(tables))
    for wanted, column in columns.items():
        rows = code == wanted
        column[:, cohort[rows]] = labelled[rows], errors[rows]
    return columns


@dataclass(frozen=True)
class CombinedEvidence:
    """The evidence of all bets together.

    Attributes:
        logs: (n,) logarithms of the evidence after each of the last n cohorts.
        parts: (n_bets,) logarithms of what each bet contributes to its span after the last cohort.
        carrier: the bet that contributes most to the evidence after the last cohort.
        change: index of the cohort from which on the carrier's best stake has gained most.
    """

    logs: Floats
    parts: Floats
    carrier: Bet
    change: int


def weigh(
    bets: Sequence[Bet], blocks: Mapping[int, Blocks], cap: Floats, last: int
) -> CombinedEvidence:
    """Return the evidence: the largest of the spans, each the weighted sum of its detectors.

    With seasons, stakes of each phase of the season are looked at in turn. Their first alarm comes
    after half as many cohorts as that of stakes that are looked at in every cohort, at least; so
    the evidence is halved.

    Args:
        bets: bets of all detectors over all spans.
        blocks: blocks of the cohorts by the length of the season.
        cap: (n_cohorts,), n_cohorts ≥ 1, logarithm of the largest factor by which each cohort may
            multiply a stake.
        last: number of cohorts, from the end, after which the evidence is wanted.
    """
    halved = math.log(2) if blocks else 0.0
    means = []
    for bet in bets:
        evidence = _evidence_of_bets(bet, blocks, cap, last)
        mean = log_mean(evidence, np.full(len(bet.ratios), 1 / len(bet.ratios)))
        means.append(mean + math.log(bet.share) - halved)
    of_bets = np.stack(means)
    seasons = np.array([bet.span.season_s for bet in bets])
    of_spans = [
        log_mean(of_bets[seasons == season_s].T, np.ones((seasons == season_s).sum()))
        for season_s in np.unique(seasons)
    ]
    now = np.array([of_span[-1] for of_span in of_spans])
    strongest = seasons == np.unique(seasons)[now.argmax()]
    parts = of_bets[:, -1]
    carrier = bets[int(np.where(strongest, parts, -np.inf).argmax())]
    change = _change(carrier, blocks, cap)
    return CombinedEvidence(np.max(of_spans, axis=0), parts, carrier, change)


def _evidence_of_bets(bet: Bet, blocks: Mapping[int, Blocks], cap: Floats, last: int) -> Floats:
    gains, counted = _capped(bet.gains, cap), bet.predictions.counted
    if not bet.span.season_s:
        return log_evidence(gains, counted[:, None], last)
    return blocks[bet.span.season_s].evidence(gains, bet.if_correct, counted, last)


def _capped(gains: Floats, cap: Floats) -> Floats:
    return np.minimum(gains, cap[:, None]) if np.isfinite(cap).any() else gains


def _change(bet: Bet, blocks: Mapping[int, Blocks], cap: Floats) -> int:
    """Return the index of the cohort with the stake that has gained most."""
    best = _evidence_of_bets(bet, blocks, cap, 1)[-1].argmax()
    gains = _capped(bet.gains, cap)[:, [best]]
    if bet.span.season_s:
        return blocks[bet.span.season_s].change(gains, lambda: bet.if_correct()[:, [best]])
    before = np.cumsum(gains) - gains[:, 0]
    return int(np.argmin(before))


def _columns(pairs: Iterable[tuple[int, int]]) -> tuple[Integers, Integers]:
    table = np.array(list(pairs), dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]
