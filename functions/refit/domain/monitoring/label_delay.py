"""Decide which predictions are counted when labels arrive late, and earlier for wrong predictions.

At the label age, the labelled predictions are a biased sample: for example, fraud is reported
before a regular payment is confirmed. Two ways of counting remain unbiased. Each cohort uses the
one that would have gained more evidence on the cohorts before it.

as correct   An unlabelled prediction counts as correct. This is valid for all delays, but detects
             nothing if most predictions are never labelled.
adjusted     Only labelled predictions count, and the tolerated error rate is raised by the
             selectivity ρ: how many times as likely a wrong prediction is to be labelled in time
             as a correct one. ρ is estimated from the cohorts that are old enough for their labels
             to be complete; its upper bound is used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from refit.domain.monitoring.evidence import CountedPredictions, chernoff_lower, chernoff_upper

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refit.domain.evaluation.resampling import Floats, Integers

_CONFIDENCE = 0.999
"""Confidence of each of the two bounds of ρ."""

_GROWTH = 1.01
"""The bounds are recomputed when there are a hundredth more complete labels, to save time."""


@dataclass(frozen=True)
class LabelCounts:
    """The label counts of one detector in the order of time.

    Every array has the shape (n_cohorts,).

    Attributes:
        labelled: predictions of the detector's class that were labelled at the label age.
        errors: wrong predictions among them.
        labelled_by_now: predictions of the detector's class that are labelled now.
        errors_by_now: wrong predictions among them.
        unlabelled: predictions of any class without a label at the label age.
        predictions: all predictions of any class.
    """

    labelled: Integers
    errors: Integers
    labelled_by_now: Integers
    errors_by_now: Integers
    unlabelled: Integers
    predictions: Integers


def counted_predictions(
    labels: LabelCounts, complete: Integers, limits: Floats
) -> CountedPredictions:
    """Decide for each cohort which predictions count, using only the cohorts before it.

    Args:
        labels: label counts of one detector.
        complete: (n_cohorts,) for each cohort, the number of cohorts, from the first, whose labels
            were complete when it reached the label age.
        limits: (n_cohorts,) tolerated error rates, within (0, 1).
    """
    as_correct = labels.labelled + labels.unlabelled
    ones = np.ones(len(as_correct))
    if not labels.unlabelled.any():
        return CountedPredictions(as_correct, labels.errors, ones)
    totals = _Totals.of(labels, complete)
    selectivity, learned = totals.selectivity()
    doubled = np.minimum(2 * limits, (1 + limits) / 2)
    expected = totals.expected(doubled)
    adjusted = learned & (
        expected.gain(limits, doubled, selectivity, unlabelled_counts=False)
        > expected.gain(limits, doubled, ones, unlabelled_counts=True)
    )
    return CountedPredictions(
        counted=np.where(adjusted, labels.labelled, as_correct),
        errors=labels.errors,
        selectivity=np.where(adjusted, selectivity, 1.0),
    )


@dataclass(frozen=True)
class _Totals:
    """Sums over the complete cohorts before each cohort; every array has the shape (n_cohorts,).

    Attributes:
        errors_in_time: wrong predictions labelled in time.
        correct_in_time: correct predictions labelled in time.
        errors: wrong predictions labelled by now.
        correct: correct predictions labelled by now.
    """

    errors_in_time: Floats
    correct_in_time: Floats
    errors: Floats
    correct: Floats
    unlabelled: Floats
    predictions: Floats

    @classmethod
    def of(cls, labels: LabelCounts, complete: Integers) -> _Totals:
        def until_complete(counts: Integers) -> Floats:
            return np.append(0, np.cumsum(counts))[complete].astype(np.float64)

        correct_by_now = labels.labelled_by_now - labels.errors_by_now
        # After corrections there can be fewer errors now than there were at the label age.
        errors_in_time = np.minimum(labels.errors, labels.errors_by_now)
        correct_in_time = np.minimum(labels.labelled - labels.errors, correct_by_now)
        return cls(
            errors_in_time=until_complete(errors_in_time),
            correct_in_time=until_complete(correct_in_time),
            errors=until_complete(labels.errors_by_now),
            correct=until_complete(correct_by_now),
            unlabelled=until_complete(labels.unlabelled),
            predictions=np.maximum(until_complete(labels.predictions), 1),
        )

    def selectivity(self) -> tuple[Floats, NDArray[np.bool_]]:
        """Return the upper bound of ρ, at least 1, and whether there are enough labels for it."""
        grown = np.floor(np.log(np.maximum(self.errors + self.correct, 1)) / math.log(_GROWTH))
        is_new = np.append(True, np.diff(grown) > 0)
        errors_at_most = chernoff_upper(
            self.errors_in_time[is_new], self.errors[is_new], _CONFIDENCE
        )
        correct_at_least = chernoff_lower(
            self.correct_in_time[is_new], self.correct[is_new], _CONFIDENCE
        )
        newest = np.cumsum(is_new) - 1
        errors_at_most, correct_at_least = errors_at_most[newest], correct_at_least[newest]
        learned = correct_at_least > 0
        selectivity = np.divide(
            errors_at_most, correct_at_least, out=np.ones(len(learned)), where=learned
        )
        # If errors are labelled later than correct predictions, the limit is not lowered.
        return np.maximum(selectivity, 1.0), learned

    def expected(self, doubled: Floats) -> _ExpectedCounts:
        """Return the average contribution of one prediction if the error rate has doubled."""
        share_correct_in_time = self.correct_in_time / np.maximum(self.correct, 1)
        share_errors_in_time = (self.errors_in_time + share_correct_in_time) / (self.errors + 1)
        ever_labelled = (self.errors + self.correct) / self.predictions
        return _ExpectedCounts(
            errors=ever_labelled * share_errors_in_time * doubled,
            correct=ever_labelled * share_correct_in_time * (1 - doubled),
            unlabelled=self.unlabelled / self.predictions,
        )


@dataclass(frozen=True)
class _ExpectedCounts:
    """Expected counts per prediction at the label age; every array has the shape (n_cohorts,)."""

    errors: Floats
    correct: Floats
    unlabelled: Floats

    def gain(
        self, limits: Floats, rates: Floats, selectivity: Floats, *, unlabelled_counts: bool
    ) -> Floats:
        """Return the expected logarithm by which a prediction raises bets on these error rates."""
        correct = self.correct + self.unlabelled * unlabelled_counts
        excess = selectivity - 1
        allowance = np.log((1 + excess * rates) / (1 + excess * limits))
        gain: Floats = (
            self.errors * np.log(rates / limits)
            + correct * np.log((1 - rates) / (1 - limits))
            - (self.errors + correct) * allowance
        )
        return gain
