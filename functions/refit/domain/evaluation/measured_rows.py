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
    Ranking,
    class_shares,
    weighted_mean,
    weighted_median,
)
from refit.domain.quality_metrics import METRICS

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
        return self.of_counts(hits, self._support.sums(weights), self.predicted.sums(weights))

    def of_counts(self, hits: Floats, support: Floats, predicted: Floats) -> dict[str, Floats]:
        """Return the metrics of predicted classes, given the weights of the rows by class.

        Args:
            hits: (n_weightings, n_classes) rows of a class that are predicted to be of it.
            support: (n_weightings, n_classes) rows of a class.
            predicted: (n_weightings, n_classes) rows predicted to be of a class.
        """
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
        return {
            "log_loss": weighted_mean(self.outcome.losses, weights),
            "brier": weighted_mean(self.outcome.squares, weights),
        }

    def of_ranking(self, weights: Floats, labels: Integers | None = None) -> dict[str, Floats]:
        """Return the metrics of the order of the rows; of two classes only.

        Args:
            weights: (n_weightings, n_rows).
            labels: (n_weightings, n_rows) other labels of the rows; None: their own.
        """
        if self._ranking is None:
            return {}
        positives = (self.labels if labels is None else labels) == self._ranked_class
        area, average = self._ranking.areas(weights, positives)
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
    def predicted(self) -> Grouping:
        """The rows by predicted class."""
        return Grouping(self.outcome.predicted, self.n_classes)

    @property
    def _ranked_class(self) -> int:
        return 1 if self.positive is None else self.positive

    @cached_property
    def _ranking(self) -> Ranking | None:
        scores = self.outcome.second_class
        if scores is None:
            return None
        return Ranking(scores if self._ranked_class == 1 else -scores)


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
        return {
            name: number_metric(name, self.labels, self.predictions, weights)
            for name in METRICS
            if METRICS[name].task == "regression"
        }


def number_metric(metric: str, labels: Floats, predictions: Floats, weights: Floats) -> Floats:
    """Return a metric of a regression for each weighting of the rows.

    Args:
        metric: its name.
        labels: (n_rows,), or (n_weightings, n_rows) if they differ between the weightings.
        predictions: (n_rows,).
        weights: (n_weightings, n_rows).
    """
    errors = predictions - labels
    match metric:
        case "bias":
            return weighted_mean(errors, weights)
        case "mae":
            return weighted_mean(np.abs(errors), weights)
        case "rmse":
            return np.sqrt(weighted_mean(errors**2, weights))
        case "median_absolute_error":
            return weighted_median(np.abs(errors), weights)
        case "mape":
            return _relative_error(errors, labels, weights)
    centred = labels - labels.mean()  # raw sums would cancel where the mean is large
    variance = weighted_mean(centred**2, weights) - weighted_mean(centred, weights) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        r2 = 1 - weighted_mean(errors**2, weights) / variance
    return np.where(variance > 0, r2, np.nan)


def _relative_error(errors: Floats, labels: Floats, weights: Floats) -> Floats:
    """Return the MAPE; NaN where a label is 0, or is so small that the mean would overflow."""
    if labels.all() and (np.abs(errors) <= _LARGEST_RATIO * np.abs(labels)).all():
        return weighted_mean(np.abs(errors / labels), weights)
    return np.full(len(weights), np.nan)
