"""What is bet on: the errors of the model as a whole, and those of each class.

A weighted mean of evidences is an evidence again, so many classes need no correction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from refit.domain.evidence import (
    ALTERNATIVES,
    alternatives_to,
    log_evidence,
    log_gains,
    log_mean,
    upper_bound,
)
from refit.domain.label_delay import Labels, counted_cohorts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refit.domain.baseline import Baseline
    from refit.domain.evidence import Cohorts
    from refit.domain.quality_drift import Bucket
    from refit.domain.resampling import Floats, Integers

BAR_CONFIDENCE = 0.99
CLASSES_WEIGHT = 0.25
"""Of the evidence; shared among the classes. The rest is the model's as a whole."""

FEWEST_CLASS_ROWS = 20
"""A class with fewer held-out rows has no bar of its own."""


@dataclass(frozen=True)
class Detector:
    """One share of errors that is watched.

    Attributes:
        class_name: None for the model as a whole.
        weight: its part of the evidence.
        bar: the largest share of errors that is no harm.
        baseline_error: the share on the held-out rows.
    """

    class_name: str | None
    weight: float
    bar: float
    baseline_error: float


@dataclass(frozen=True)
class Bet:
    """A detector's bets over the cohorts.

    Attributes:
        cohorts: what counts.
        labelled: (n_cohorts,) labelled in time, of the detector's class.
        gains: (n_cohorts, n_bets) logarithms; no bets where the bar leaves no room.
    """

    detector: Detector
    cohorts: Cohorts
    labelled: Integers
    gains: Floats


def bar_over(errors: int, rows: int, tolerance: float) -> float:
    """Return the largest share of errors that is no harm; 1 without rows.

    The upper 99 % bound of the held-out share allows for what the held-out rows cannot tell; the
    held-out share plus the tolerance allows for what does not matter. The larger of the two meets
    both needs; their sum would pay for both in power.

    Args:
        errors: on the held-out rows.
        rows: held-out rows.
        tolerance: ≥ 0, as a share.
    """
    if not rows:
        return 1.0
    return min(1.0, max(upper_bound(errors, rows, BAR_CONFIDENCE), errors / rows + tolerance))


def detectors_of(baseline: Baseline, tolerance: float) -> list[Detector]:
    """Return what is watched: the model first, then each class with enough held-out rows."""
    classes = {
        name: found
        for name, found in (baseline.classes or {}).items()
        if found.support >= FEWEST_CLASS_ROWS
    }
    overall = Detector(
        class_name=None,
        weight=1 - CLASSES_WEIGHT if classes else 1.0,
        bar=bar_over(baseline.errors, baseline.rows, tolerance),
        baseline_error=baseline.errors / max(baseline.rows, 1),
    )
    return [overall] + [
        Detector(
            class_name=name,
            weight=CLASSES_WEIGHT / len(classes),
            bar=bar_over(found.missed, found.support, tolerance),
            baseline_error=found.missed / found.support,
        )
        for name, found in classes.items()
    ]


def bet_of(detector: Detector, buckets: Sequence[Bucket], complete: Integers) -> Bet:
    """Bet on one detector.

    Args:
        detector: what is watched.
        buckets: n_cohorts of them, in the order of time.
        complete: (n_cohorts,) how many of them had complete labels when each was judged.
    """
    name = detector.class_name
    if name is None:
        in_time = [(bucket.labelled, bucket.errors) for bucket in buckets]
        by_now = [(bucket.labelled_by_now, bucket.errors_by_now) for bucket in buckets]
    else:
        in_time = [_of_class(bucket.classes, name) for bucket in buckets]
        by_now = [_of_class(bucket.classes_by_now, name) for bucket in buckets]
    labelled, errors = _columns(in_time)
    labelled_by_now, errors_by_now = _columns(by_now)
    predictions, labelled_of_all = _columns([(each.predictions, each.labelled) for each in buckets])
    alternatives = alternatives_to(detector.bar)
    cohorts = counted_cohorts(
        Labels(
            labelled=labelled,
            errors=errors,
            labelled_by_now=labelled_by_now,
            errors_by_now=errors_by_now,
            unlabelled=predictions - labelled_of_all,
            predictions=predictions,
        ),
        complete,
        detector.bar,
    )
    return Bet(detector, cohorts, labelled, log_gains(cohorts, detector.bar, alternatives))


@dataclass(frozen=True)
class Evidence:
    """What all detectors say together.

    Attributes:
        logs: (n_cohorts,) logarithms of the evidence after each cohort.
        carrier: the detector that brings most of it after the last.
        change: the cohort from which on that detector's best bet has gained most.
    """

    logs: Floats
    carrier: Bet
    change: int


def weigh(bets: Sequence[Bet], cap: Floats) -> Evidence:
    """Take the weighted mean of the detectors' evidence.

    Args:
        bets: of all detectors.
        cap: (n_cohorts,) n_cohorts ≥ 1, the most, as a logarithm, by which a cohort may multiply a
            stake.
    """
    stakes = [
        log_evidence(np.minimum(bet.gains, cap[:, None]), bet.cohorts.counted) for bet in bets
    ]
    means = np.stack([log_mean(each, np.full(each.shape[1], 1 / ALTERNATIVES)) for each in stakes])
    weights = np.array([bet.detector.weight for bet in bets])
    place = int(np.argmax(means[:, -1] + np.log(weights)))
    carrier = bets[place]
    change = 0
    if carrier.gains.shape[1]:
        gains = np.minimum(carrier.gains[:, stakes[place][-1].argmax()], cap)
        change = int(np.argmin(np.cumsum(gains) - gains))
    return Evidence(log_mean(means.T, weights), carrier, change)


def _of_class(classes: Mapping[str, tuple[int, int]], name: str) -> tuple[int, int]:
    return classes.get(name, (0, 0))


def _columns(pairs: Sequence[tuple[int, int]]) -> tuple[Integers, Integers]:
    table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]
