"""Which answers count where labels come late, and sooner for errors than for right answers.

At the label age, the labelled predictions are no fair sample: a fraud is reported before a sound
payment is confirmed. Two ways of counting stay fair, and each cohort takes the one that would have
gained more, by what the cohorts before it say.

as right     An unlabelled prediction counts as right. Fair whatever the delays are; blind where
             most are never labelled.
allowed for  Only the labelled ones count, and the bar is raised by the selectivity ρ: how many
             times as readily an error is labelled in time as a right answer. ρ is learned from the
             cohorts that are old enough for their labels to be complete; its upper bound is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from refit.domain.monitoring.evidence import Cohorts, chernoff_bounds

if TYPE_CHECKING:
    from refit.domain.evaluation.resampling import Floats, Integers

_CONFIDENCE = 0.999
"""Of each of the two bounds of ρ: it is looked at again at every cohort."""


@dataclass(frozen=True)
class Labels:
    """The labels of one detector, (n_cohorts,) each, in the order of time.

    Attributes:
        labelled: known at the label age; of the detector's class.
        errors: wrong ones of them.
        labelled_by_now: known now.
        errors_by_now: wrong ones of them.
        unlabelled: predictions without a label at the label age, of any class.
        predictions: all, of any class.
    """

    labelled: Integers
    errors: Integers
    labelled_by_now: Integers
    errors_by_now: Integers
    unlabelled: Integers
    predictions: Integers


def counted_cohorts(labels: Labels, complete: Integers, bars: Floats) -> Cohorts:
    """Decide for each cohort which answers count, by the cohorts before it alone.

    Args:
        labels: of one detector.
        complete: (n_cohorts,) how many cohorts, from the first, had complete labels when each one
            came to the label age.
        bars: (n_cohorts,) the largest share of errors that is no harm, within (0, 1).
    """
    as_right = labels.labelled + labels.unlabelled
    ones = np.ones(len(as_right))
    if not labels.unlabelled.any():
        return Cohorts(as_right, labels.errors, ones)

    def until_complete(counts: Integers) -> Floats:
        return np.append(0, np.cumsum(counts))[complete].astype(np.float64)

    right_by_now = labels.labelled_by_now - labels.errors_by_now
    # A corrected label may have known more errors in time than there are now.
    errors_in_time = until_complete(np.minimum(labels.errors, labels.errors_by_now))
    right_in_time = until_complete(np.minimum(labels.labelled - labels.errors, right_by_now))
    errors, right = until_complete(labels.errors_by_now), until_complete(right_by_now)
    _, errors_at_most = chernoff_bounds(errors_in_time, errors, _CONFIDENCE)
    right_at_least, _ = chernoff_bounds(right_in_time, right, _CONFIDENCE)
    learned = right_at_least > 0
    selectivity = np.divide(errors_at_most, right_at_least, out=ones.copy(), where=learned)
    # Errors that are labelled later only hide harm: the bar is not lowered for them.
    selectivity = np.maximum(selectivity, 1.0)

    # Per prediction, had the errors doubled: how many would be labelled in time.
    predictions = np.maximum(until_complete(labels.predictions), 1)
    share_right_in_time = right_in_time / np.maximum(right, 1)
    share_errors_in_time = (errors_in_time + share_right_in_time) / (errors + 1)
    doubled = np.minimum(2 * bars, (1 + bars) / 2)
    ever_labelled = (errors + right) / predictions
    expected = _Expected(
        errors=ever_labelled * share_errors_in_time * doubled,
        right=ever_labelled * share_right_in_time * (1 - doubled),
        unlabelled=until_complete(labels.unlabelled) / predictions,
    )
    allowed_for = learned & (
        expected.gain(bars, doubled, selectivity, unlabelled_counts=False)
        > expected.gain(bars, doubled, ones, unlabelled_counts=True)
    )
    return Cohorts(
        counted=np.where(allowed_for, labels.labelled, as_right),
        errors=labels.errors,
        selectivity=np.where(allowed_for, selectivity, 1.0),
    )


@dataclass(frozen=True)
class _Expected:
    """What a prediction would bring in the mean, (n_cohorts,) each."""

    errors: Floats
    right: Floats
    unlabelled: Floats

    def gain(
        self, bars: Floats, shares: Floats, selectivity: Floats, *, unlabelled_counts: bool
    ) -> Floats:
        """Return the mean logarithm that a prediction adds to the bets on these shares."""
        right = self.right + self.unlabelled * unlabelled_counts
        excess = selectivity - 1
        allowance = np.log((1 + excess * shares) / (1 + excess * bars))
        found: Floats = (
            self.errors * np.log(shares / bars)
            + right * np.log((1 - shares) / (1 - bars))
            - (self.errors + right) * allowance
        )
        return found
