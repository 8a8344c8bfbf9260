"""Test whether a challenger is better than chance: a permutation test on the held-out rows.

If the label does not depend on the features, the held-out labels are exchangeable: every order of
them against the predictions is equally likely. So the share of the orders in which the metric is at
least as good as in the true one is a p value whose error rate holds exactly, for any metric, any
number of rows and any distribution, also for 15 rows or a class of three. No test against the
constant prediction has this: the normal approximation and the bootstrap are too optimistic on few
rows, and an exact McNemar test against the most frequent class finds only half of what this finds,
because the constant is right on half of the rows of two even classes.

Better than chance is not yet better than the constant (predictions that follow the label can be
badly calibrated), so the gate also requires that the value itself is better than that of the
constant.

Assumes that held-out rows are drawn independently. Rows of one group, or of a season, that share
label and features look like evidence; `[data] group` and `time` keep them together.

Source: Fisher, The Design of Experiments (1935), section 21; Ojala and Garriga (2010), Permutation
Tests for Studying Classifier Performance, Journal of Machine Learning Research 11:1833, test 1;
Phipson and Smyth (2010), Permutation P-values Should Never Be Zero, Statistical Applications in
Genetics and Molecular Biology 9:39, for counting the true order itself.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from refit.domain.evaluation.measured_rows import number_metric
from refit.domain.evaluation.outcomes import log_losses, square_losses
from refit.domain.evaluation.report import Chance
from refit.domain.evaluation.resampling import SEED, Floats, Integers
from refit.domain.evaluation.weighted_statistics import weighted_mean
from refit.domain.quality_metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from refit.domain.evaluation.measured_rows import ClassifiedRows, NumberRows

_ORDERS = 1999
_FEWEST_ORDERS = 99
_MOST_ORDERS = 100_000
_CELLS = 20_000_000  # rows times orders, which take a few seconds
_BLOCK_CELLS = 1_000_000
_TINY = 1e-12  # an equal value, whatever the rounding

Labels = TypeVar("Labels", Integers, Floats)


def chance_of_classifier(metric: str, rows: ClassifiedRows, confidence: float) -> Chance:
    """Test a classifier by one metric.

    Args:
        metric: a judging metric of a classification, defined on these rows.
        rows: the classifier on the held-out rows.
        confidence: level at which the gate judges; a higher one needs more orders.
    """
    if METRICS[metric].naive == "frequencies":
        return _chance_by_losses(metric, rows, confidence)

    def by_class(labels: Integers, weights: Floats) -> Floats:
        is_right = labels == rows.outcome.predicted
        # A row that is right belongs to the class that is predicted.
        hits = rows.predicted.sums(weights * is_right)
        support = _sums_by_label(labels, weights, rows.n_classes)
        return rows.of_counts(hits, support, rows.predicted.sums(weights))[metric]

    def by_rank(labels: Integers, weights: Floats) -> Floats:
        return rows.of_ranking(weights, labels)[metric]

    value = by_rank if METRICS[metric].naive == "ranking" else by_class
    return _tested(metric, rows.labels, rows.row_weights, value, confidence)


def _sums_by_label(labels: Integers, weights: Floats, n_classes: int) -> Floats:
    cells = labels + n_classes * np.arange(len(labels))[:, None]
    minlength = len(labels) * n_classes
    sums: Floats = np.bincount(cells.ravel(), weights.ravel(), minlength).astype(np.float64)
    return sums.reshape(len(labels), n_classes)


def _chance_by_losses(metric: str, rows: ClassifiedRows, confidence: float) -> Chance:
    """Test by a mean loss, on the rows whose probabilities were kept."""
    sample, step = rows.outcome.sample, rows.outcome.step
    index = np.arange(len(sample))
    if metric == "log_loss":
        losses = log_losses(sample)
    else:
        columns = [square_losses(sample, of_truth, rows.n_classes) for of_truth in sample.T]
        losses = np.column_stack(columns)

    def value(labels: Integers, weights: Floats) -> Floats:
        return weighted_mean(losses[index, labels], weights)

    return _tested(metric, rows.labels[::step], rows.row_weights[::step], value, confidence)


def chance_of_regression(metric: str, rows: NumberRows, confidence: float) -> Chance:
    """Test a regression by one metric; the arguments are those of `chance_of_classifier`."""

    def value(labels: Floats, weights: Floats) -> Floats:
        return number_metric(metric, labels, rows.predictions, weights)

    return _tested(metric, rows.labels, rows.row_weights, value, confidence)


def _tested(
    metric: str,
    labels: Labels,
    weights: Floats,
    value: Callable[[Labels, Floats], Floats],
    confidence: float,
) -> Chance:
    """Compare the value in the true order with that in random ones.

    A weight may belong to the label (a class weight) or to the features. Each needs another null
    hypothesis, in which it moves with the label or stays; the larger p value is right in both.

    Args:
        metric: its name.
        labels: (n_rows,).
        weights: (n_rows,).
        value: returns the metric for each of (n_orders, n_rows) labels and weights.
        confidence: level at which the gate judges.
    """
    sign = 1 if METRICS[metric].higher_is_better else -1
    reached = sign * value(labels[None], weights[None])[0] - _TINY
    is_weighted = bool((weights != weights[0]).any())
    as_good = np.zeros(2, dtype=np.int64)
    orders = _orders(len(labels), confidence)
    for order in _random_orders(len(labels), orders):
        moved, staying = labels[order], np.broadcast_to(weights, order.shape)
        # not(<), so that an order in which the metric is undefined counts against the challenger.
        as_good[0] += np.count_nonzero(~(sign * value(moved, staying) < reached))
        if is_weighted:
            as_good[1] += np.count_nonzero(~(sign * value(moved, weights[order]) < reached))
    one_sided = (int(as_good.max()) + 1) / (orders + 1)
    return Chance(metric=metric, p_value=min(1.0, 2 * one_sided), orders=orders)


def _random_orders(rows: int, orders: int) -> Iterator[Integers]:
    """Yield random orders of the rows, (n_orders, n_rows) at a time."""
    generator = np.random.default_rng(SEED)
    block = max(1, _BLOCK_CELLS // rows)
    for start in range(0, orders, block):
        index = np.tile(np.arange(rows), (min(block, orders - start), 1))
        yield generator.permuted(index, axis=1)


def _orders(rows: int, confidence: float) -> int:
    """Return how many random orders are tried: enough to reach the level, in bounded time."""
    needed = max(_FEWEST_ORDERS, math.ceil(4 / (1 - confidence)))
    return min(_MOST_ORDERS, max(needed, min(_ORDERS, _CELLS // rows)))
