"""The bets on the error rate of the whole model and on the error rate of each class.

The weighted mean of the evidence of several detectors is itself evidence, so the number of classes
needs no correction for multiple tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from refit.domain.monitoring.evidence import (
    ALTERNATIVES,
    alternatives_to,
    log_evidence,
    log_gains,
    log_mean,
    upper_bound,
)
from refit.domain.monitoring.label_delay import LabelCounts, counted_predictions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.evaluation.resampling import Floats, Integers
    from refit.domain.monitoring.baseline import Baseline
    from refit.domain.monitoring.cohort import Cohort
    from refit.domain.monitoring.evidence import CountedPredictions

LIMIT_CONFIDENCE = 0.99
LIVE_CONFIDENCE = 0.999
"""Confidence of the bound that includes live labels; it is recomputed when they have doubled."""

_LARGEST_LIMIT = 1 - 1e-9
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
    """The bets of one detector in every cohort.

    Attributes:
        limits: (n_cohorts,) tolerated error rates.
        predictions: the predictions that decide the bets.
        gains: (n_cohorts, ALTERNATIVES) logarithm of the factor by which each stake is multiplied.
    """

    detector: Detector
    limits: Floats
    predictions: CountedPredictions
    gains: Floats


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
            were complete when it was judged.
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
    return min(rate, _LARGEST_LIMIT)


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


def bet_of(
    detector: Detector, cohorts: Sequence[Cohort], complete: Integers, tolerance: float
) -> Bet:
    """Return the bets of one detector.

    Args:
        detector: the monitored error rate.
        cohorts: n_cohorts cohorts in the order of time.
        complete: (n_cohorts,) for each cohort, the number of cohorts, from the first, whose labels
            were complete when it was judged.
        tolerance: allowed increase of the error rate, as a share ≥ 0.
    """
    labels = _label_counts(detector, cohorts)
    limits = tolerated_error_rates(detector, labels, complete, tolerance)
    predictions = counted_predictions(labels, complete, limits)
    gains = log_gains(predictions, limits, alternatives_to(limits))
    return Bet(detector, limits, predictions, gains)


def _label_counts(detector: Detector, cohorts: Sequence[Cohort]) -> LabelCounts:
    code = detector.class_code
    if code is None:
        in_time = [(cohort.matured.labelled, cohort.matured.errors) for cohort in cohorts]
        by_now = [(cohort.shown.labelled, cohort.shown.errors) for cohort in cohorts]
    else:
        in_time = [cohort.matured.classes.get(code, (0, 0)) for cohort in cohorts]
        by_now = [cohort.shown.classes.get(code, (0, 0)) for cohort in cohorts]
    labelled, errors = _columns(in_time)
    labelled_by_now, errors_by_now = _columns(by_now)
    predictions, labelled_of_all = _columns(
        [(cohort.predictions, cohort.matured.labelled) for cohort in cohorts]
    )
    return LabelCounts(
        labelled=labelled,
        errors=errors,
        labelled_by_now=labelled_by_now,
        errors_by_now=errors_by_now,
        unlabelled=predictions - labelled_of_all,
        predictions=predictions,
    )


@dataclass(frozen=True)
class CombinedEvidence:
    """The evidence of all detectors together.

    Attributes:
        logs: (n_cohorts,) logarithms of the evidence after each cohort.
        parts: (n_detectors,) logarithms of what each detector contributes after the last cohort.
        carrier: the detector that contributes most to the evidence after the last cohort.
        change: index of the cohort from which on that detector's best bet has gained most.
    """

    logs: Floats
    parts: Floats
    carrier: Bet
    change: int


def weigh(bets: Sequence[Bet], cap: Floats) -> CombinedEvidence:
    """Return the weighted mean of the evidence of the detectors.

    Args:
        bets: bets of all detectors.
        cap: (n_cohorts,), n_cohorts ≥ 1, logarithm of the largest factor by which each cohort may
            multiply a stake.
    """
    stakes = [
        log_evidence(np.minimum(bet.gains, cap[:, None]), bet.predictions.counted) for bet in bets
    ]
    means = np.stack([log_mean(each, np.full(ALTERNATIVES, 1 / ALTERNATIVES)) for each in stakes])
    weights = np.array([bet.detector.weight for bet in bets])
    parts = means[:, -1] + np.log(weights)
    index = int(np.argmax(parts))
    carrier = bets[index]
    gains = np.minimum(carrier.gains[:, stakes[index][-1].argmax()], cap)
    change = int(np.argmin(np.cumsum(gains) - gains))
    return CombinedEvidence(log_mean(means.T, weights), parts, carrier, change)


def _columns(pairs: Sequence[tuple[int, int]]) -> tuple[Integers, Integers]:
    table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]
