"""What is bet on: the errors of the model as a whole, and those of each class.

A weighted mean of evidences is an evidence again, so many classes need no correction.
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
from refit.domain.monitoring.label_delay import Labels, counted_cohorts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.evaluation.resampling import Floats, Integers
    from refit.domain.monitoring.baseline import Baseline
    from refit.domain.monitoring.bucket import Bucket
    from refit.domain.monitoring.evidence import Cohorts

BAR_CONFIDENCE = 0.99
LIVE_CONFIDENCE = 0.999
"""Of the bound that live labels lower: it is taken anew at every doubling."""

_LARGEST_BAR = 1 - 1e-9
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
        rows: held-out rows of it.
        errors: wrong ones of them.
    """

    class_name: str | None
    weight: float
    rows: int
    errors: int

    @property
    def error(self) -> float:
        """Return the share of errors on the held-out rows; 0 without any."""
        return self.errors / max(self.rows, 1)


@dataclass(frozen=True)
class Bet:
    """A detector's bets over the cohorts.

    Attributes:
        bars: (n_cohorts,) the largest share of errors that is no harm.
        cohorts: what counts.
        labelled: (n_cohorts,) labelled in time, of the detector's class.
        gains: (n_cohorts, ALTERNATIVES) logarithms.
    """

    detector: Detector
    bars: Floats
    cohorts: Cohorts
    labelled: Integers
    gains: Floats


def bar_over(errors: int, rows: int, tolerance: float) -> float:
    """Return the largest share of errors that is no harm, by the held-out rows alone.

    The upper 99 % bound of the held-out share allows for what the held-out rows cannot tell; the
    held-out share plus the tolerance allows for what does not matter. The larger of the two meets
    both needs; their sum would pay for both in power.

    Args:
        errors: on the held-out rows.
        rows: held-out rows; without any, nothing is harm.
        tolerance: ≥ 0, as a share.
    """
    bound = upper_bound(errors, rows, BAR_CONFIDENCE)
    return _within(max(bound, errors / max(rows, 1) + tolerance))


def bars_over(detector: Detector, labels: Labels, complete: Integers, tolerance: float) -> Floats:
    """Return the bar of each cohort: the held-out one, lowered as live labels tell more.

    When as many live labels are complete as there are held-out rows, and whenever they have
    doubled, the bound is taken over both together. It only ever lowers the bar, so a drift cannot
    raise it, and never below the held-out share plus the tolerance, so a version that did better
    for a while may fall back.

    Args:
        detector: what is watched.
        labels: of n_cohorts cohorts.
        complete: (n_cohorts,) how many cohorts, from the first, each may learn from.
        tolerance: ≥ 0, as a share.

    Returns:
        (n_cohorts,), never rising.
    """
    bars = np.full(len(complete), bar_over(detector.errors, detector.rows, tolerance))
    live = np.append(0, np.cumsum(labels.labelled_by_now))[complete]
    wrong = np.append(0, np.cumsum(labels.errors_by_now))[complete]
    floor = _within(detector.error + tolerance)
    wanted = max(detector.rows, 1)
    while len(live) and wanted <= live[-1]:
        at = int(np.searchsorted(live, wanted))
        bound = upper_bound(
            detector.errors + int(wrong[at]), detector.rows + int(live[at]), LIVE_CONFIDENCE
        )
        bars[at:] = np.minimum(bars[at:], max(bound, floor))
        wanted = 2 * int(live[at])
    return bars


def _within(share: float) -> float:
    """Keep a bar off 1, where no odds are left to bet on."""
    return min(share, _LARGEST_BAR)


def detectors_of(baseline: Baseline) -> list[Detector]:
    """Return what is watched: the model first, then each class with enough held-out rows."""
    classes = {
        name: found
        for name, found in (baseline.classes or {}).items()
        if found.support >= FEWEST_CLASS_ROWS
    }
    weight = 1 - CLASSES_WEIGHT if classes else 1.0
    return [Detector(None, weight, baseline.rows, baseline.errors)] + [
        Detector(name, CLASSES_WEIGHT / len(classes), found.support, found.missed)
        for name, found in classes.items()
    ]


def bet_of(
    detector: Detector, buckets: Sequence[Bucket], complete: Integers, tolerance: float
) -> Bet:
    """Bet on one detector.

    Args:
        detector: what is watched.
        buckets: n_cohorts of them, in the order of time.
        complete: (n_cohorts,) how many of them had complete labels when each was judged.
        tolerance: ≥ 0, as a share.
    """
    labels = _labels_of(detector, buckets)
    bars = bars_over(detector, labels, complete, tolerance)
    cohorts = counted_cohorts(labels, complete, bars)
    gains = log_gains(cohorts, bars, alternatives_to(bars))
    return Bet(detector, bars, cohorts, labels.labelled, gains)


def _labels_of(detector: Detector, buckets: Sequence[Bucket]) -> Labels:
    name = detector.class_name
    if name is None:
        in_time = [(bucket.labelled, bucket.errors) for bucket in buckets]
        by_now = [(bucket.labelled_by_now, bucket.errors_by_now) for bucket in buckets]
    else:
        in_time = [bucket.classes.get(name, (0, 0)) for bucket in buckets]
        by_now = [bucket.classes_by_now.get(name, (0, 0)) for bucket in buckets]
    labelled, errors = _columns(in_time)
    labelled_by_now, errors_by_now = _columns(by_now)
    predictions, labelled_of_all = _columns([(each.predictions, each.labelled) for each in buckets])
    return Labels(
        labelled=labelled,
        errors=errors,
        labelled_by_now=labelled_by_now,
        errors_by_now=errors_by_now,
        unlabelled=predictions - labelled_of_all,
        predictions=predictions,
    )


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
    means = np.stack([log_mean(each, np.full(ALTERNATIVES, 1 / ALTERNATIVES)) for each in stakes])
    weights = np.array([bet.detector.weight for bet in bets])
    place = int(np.argmax(means[:, -1] + np.log(weights)))
    carrier = bets[place]
    gains = np.minimum(carrier.gains[:, stakes[place][-1].argmax()], cap)
    change = int(np.argmin(np.cumsum(gains) - gains))
    return Evidence(log_mean(means.T, weights), carrier, change)


def _columns(pairs: Sequence[tuple[int, int]]) -> tuple[Integers, Integers]:
    table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]
