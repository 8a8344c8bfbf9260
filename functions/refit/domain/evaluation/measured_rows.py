"""The metrics of a model as functions of the weights of the held-out rows.

One definition of each metric serves its value, its bootstrap, the comparison of two models and the
test against chance. The names are those of domain/quality_metrics.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from refit.domain.evaluation.weighted_statistics import (
    ClassShares,
    Grouping,
    Median,
    Ranking,
    class_shares,
)

if TYPE_CHECKING:
    from refit.domain.evaluation.outcomes import ClassOutcome
    from refit.domain.evaluation.resampling import Floats, Integers

_LARGEST_RATIO = 1e100

PER_CLASS = "per_class_"
"""Prefix of the statistics of all classes: precision, recall and f1."""


@dataclass(frozen=True)
class ClassifiedRows:
    """A classifier on held-out rows.

    Attributes:
        labels: (n_rows,) class indices.
        row_weights: (n_rows,) weights of the rows, ≥ 0.
        positive: index of the positive class of `[prediction] positive`; None without one.
        with_classes: whether the statistics of each class are computed too.
    """

    labels: Integers
    outcome: ClassOutcome
    n_classes: int
    row_weights: Floats
    positive: int | None = None
    with_classes: bool = False

    def take(self, index: Integers) -> ClassifiedRows:
        """Return these rows only."""
        outcome = self.outcome
        return replace(
            self,
            labels=self.labels[index],
            row_weights=self.row_weights[index],
            outcome=replace(
                outcome,
                predicted=outcome.predicted[index],
                losses=outcome.losses[index],
                squares=outcome.squares[index],
                largest=outcome.largest[index],
                second_class=None if outcome.second_class is None else outcome.second_class[index],
            ),
        )

    def statistics(self, weights: Floats) -> dict[str, Floats]:
        """Return every metric for each weighting of the rows."""
        values = self.of_predicted(weights) | self.of_probabilities(weights)
        return values | self.of_ranking(weights)

    def of_predicted(self, weights: Floats) -> dict[str, Floats]:
        """Return the metrics that depend on the predicted classes."""
        hits = self._support.sums(weights * self._is_right)
        support, predicted = self._support.sums(weights), self._predicted.sums(weights)
        shares = class_shares(hits, support, predicted)
        with np.errstate(invalid="ignore", divide="ignore"):
            values = {"accuracy": hits.sum(axis=1) / support.sum(axis=1)}
        values["balanced_accuracy"] = shares.averages["macro_recall"]
        values |= self._of_positive(shares) | shares.averages
        if self.with_classes:
            for name in ("precision", "recall", "f1"):
                values[PER_CLASS + name] = getattr(shares, name)
        return values

    def of_probabilities(self, weights: Floats) -> dict[str, Floats]:
        """Return the mean losses."""
        with np.errstate(invalid="ignore", divide="ignore"):
            log_loss, brier = (weights @ self._losses / weights.sum(axis=1, keepdims=True)).T
        return {"log_loss": log_loss, "brier": brier}

    def of_ranking(self, weights: Floats) -> dict[str, Floats]:
        """Return the metrics of the order of the rows; of two classes only."""
        if self._ranking is None:
            return {}
        area, average = self._ranking.areas(weights)
        return {"roc_auc": area, "average_precision": average}

    def _of_positive(self, shares: ClassShares) -> dict[str, Floats]:
        if self.positive is None:
            return {
                name: shares.averages[f"macro_{name}"] for name in ("precision", "recall", "f1")
            }
        # A positive class that is never predicted has precision 0, as in scikit-learn.
        return {
            "precision": np.nan_to_num(shares.precision[:, self.positive]),
            "recall": shares.recall[:, self.positive],
            "f1": shares.f1[:, self.positive],
        }

    @cached_property
    def _is_right(self) -> Floats:
        is_right: Floats = (self.outcome.predicted == self.labels).astype(np.float64)
        return is_right

    @cached_property
    def _support(self) -> Grouping:
        return Grouping(self.labels, self.n_classes)

    @cached_property
    def _predicted(self) -> Grouping:
        return Grouping(self.outcome.predicted, self.n_classes)

    @cached_property
    def _losses(self) -> Floats:
        return np.column_stack([self.outcome.losses, self.outcome.squares])

    @cached_property
    def _ranking(self) -> Ranking | None:
        if self.outcome.second_class is None:
            return None
        positive = 1 if self.positive is None else self.positive
        scores = self.outcome.second_class
        return Ranking(self.labels == positive, scores if positive == 1 else -scores)


@dataclass(frozen=True)
class NumberRows:
    """A regression on held-out rows.

    Attributes:
        labels: (n_rows,) in the unit of the label.
        predictions: (n_rows,) the same, finite.
        row_weights: (n_rows,) weights of the rows, ≥ 0.
    """

    labels: Floats
    predictions: Floats
    row_weights: Floats

    def take(self, index: Integers) -> NumberRows:
        """Return these rows only."""
        return NumberRows(self.labels[index], self.predictions[index], self.row_weights[index])

    def statistics(self, weights: Floats) -> dict[str, Floats]:
        """Return every metric for each weighting of the rows."""
        with np.errstate(invalid="ignore", divide="ignore"):
            means = (weights @ self._columns / weights.sum(axis=1, keepdims=True)).T
            bias, mae, mse, centre, square, relative = means
            variance = square - centre**2
            r2 = np.where(variance > 0, 1 - mse / variance, np.nan)
        return {
            "rmse": np.sqrt(mse),
            "mae": mae,
            "r2": r2,
            "median_absolute_error": self._median.under(weights),
            "mape": relative,
            "bias": bias,
        }

    @cached_property
    def _columns(self) -> Floats:
        errors = self.predictions - self.labels
        centred = self.labels - self.labels.mean()  # raw sums would cancel where the mean is large
        relative = np.full_like(errors, np.nan)
        # The MAPE is not defined where a label is 0, or is so small that the mean would overflow.
        if self.labels.all() and (np.abs(errors) <= _LARGEST_RATIO * np.abs(self.labels)).all():
            relative = np.abs(errors / self.labels)
        return np.column_stack([errors, np.abs(errors), errors**2, centred, centred**2, relative])

    @cached_property
    def _median(self) -> Median:
        return Median(np.abs(self.predictions - self.labels))
