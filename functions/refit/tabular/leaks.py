"""Find columns that alone give the label, such as a column that is derived from it.

Each column is tested as a model of its own: one half of the rows predicts the other half, and the
reverse. A row is predicted by the rows whose value is in the same bin, and by the row with the
nearest value, which finds the limits of a score. A number is predicted by a straight line as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit.domain.schema import Schema
    from refit.domain.vocabulary import Task
    from refit.tabular.profile import SampleMatrix

Values: TypeAlias = npt.NDArray[np.float64]

LEAK_SHARE = 0.995
"""Share of rows, or of the variance of the label, that a leaking column predicts."""

_FEWEST_ROWS = 40
_MOST_ROWS = 4_000
_MOST_COLUMNS = 300
_BINS = 64
_MOST_DISTINCT = 1024
"""Up to so many distinct values each have a bin of their own."""

_ERROR_RATIO = 0.1
"""A leaking column also makes at most this share of the errors of the most frequent class."""

_FEWEST_OTHERS = 3
"""Fewer rows of other classes than the most frequent one say nothing about a column."""


def leaking_columns(schema: Schema, sample: SampleMatrix) -> list[str]:
    """Return the names of the columns that alone give the label.

    Args:
        schema: schema of the rows. Of more than 300 features none is tested: they are pixels,
            words or sensors.
        sample: (n_rows, 1 + n_features) encoded training rows in random order, label first, NaN for
            a missing value.
    """
    if len(schema.features) > _MOST_COLUMNS or len(sample) < _FEWEST_ROWS:
        return []
    sample = sample[:_MOST_ROWS]
    labels = sample[:, 0]
    if labels.min() == labels.max():
        return []
    return [
        feature.name
        for column, feature in enumerate(schema.features, start=1)
        if _leaks(labels, sample[:, column], schema.task)
    ]


def _leaks(labels: Values, values: Values, task: Task) -> bool:
    if task == "classification":
        return _leaks_class(labels.astype(np.intp), values)
    return _is_linear(labels, values) or _leaks_number(labels, values)


def _leaks_class(codes: npt.NDArray[np.intp], values: Values) -> bool:
    others = int((codes != np.bincount(codes).argmax()).sum())
    if others < _FEWEST_OTHERS:
        return False
    expected = (1 - LEAK_SHARE) * len(codes)
    allowed = min(expected + 2 * np.sqrt(expected), _ERROR_RATIO * others)
    bins = _bins(values)

    def majority(seen: npt.NDArray[np.intp], asked: npt.NDArray[np.intp]) -> Values:
        table = np.zeros((bins.max() + 1, codes.max() + 1), dtype=np.intp)
        np.add.at(table, (bins[seen], codes[seen]), 1)
        commonest = np.bincount(codes[seen]).argmax()
        return np.where(table.any(axis=1), table.argmax(axis=1), commonest)[bins[asked]]

    def errors(answers: Values) -> int:
        return int((answers != codes).sum())

    by_bin = np.concatenate([majority(seen, asked) for seen, asked in _halves(len(codes))])
    return bool(errors(by_bin) <= allowed or errors(_by_nearest(codes, values)) <= allowed)


def _leaks_number(labels: Values, values: Values) -> bool:
    bins = _bins(values)
    allowed = (1 - LEAK_SHARE) * float(labels.var())

    def mean(seen: npt.NDArray[np.intp], asked: npt.NDArray[np.intp]) -> Values:
        sums = np.bincount(bins[seen], weights=labels[seen], minlength=int(bins.max()) + 1)
        counts = np.bincount(bins[seen], minlength=int(bins.max()) + 1)
        means = np.where(counts > 0, sums / np.maximum(counts, 1), labels[seen].mean())
        return np.asarray(means[bins[asked]])

    by_bin = np.concatenate([mean(seen, asked) for seen, asked in _halves(len(labels))])
    answers = (by_bin, _by_nearest(labels, values))
    return any(float(((labels - answer) ** 2).mean()) <= allowed for answer in answers)


def _halves(rows: int) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Yield the rows that predict, and the rows that are predicted: first half, second half."""
    first, second = np.arange(rows // 2), np.arange(rows // 2, rows)
    yield second, first
    yield first, second


def _by_nearest(labels: npt.NDArray[np.generic], values: Values) -> Values:
    """Return (n_rows,) the label of the row with the nearest value in the other half.

    A row without a value is predicted by one without a value, if there is one.
    """
    answers = []
    for seen, asked in _halves(len(labels)):
        order = seen[np.argsort(values[seen], kind="stable")]  # rows without a value are last
        known = values[order]
        present = len(order) - int(np.isnan(known).sum())
        right = np.searchsorted(known[:present], values[asked])
        left = np.clip(right - 1, 0, len(order) - 1)
        right = np.clip(right, 0, max(present - 1, 0))
        is_left = values[asked] - known[left] <= known[right] - values[asked]
        nearest = np.where(is_left, left, right)
        nearest[np.isnan(values[asked])] = len(order) - 1
        answers.append(labels[order[nearest]])
    return np.asarray(np.concatenate(answers), dtype=np.float64)


def _bins(values: Values) -> npt.NDArray[np.intp]:
    """Return (n_rows,) the bin of each value: a bin of its own for each of few distinct values."""
    present = values[~np.isnan(values)]
    edges = np.unique(present)
    if len(edges) > _MOST_DISTINCT:
        edges = np.unique(np.quantile(present, np.linspace(0, 1, _BINS + 1)))
    bins = np.searchsorted(edges, values, side="left")
    bins[np.isnan(values)] = len(edges) + 1
    return np.asarray(bins, dtype=np.intp)


def _is_linear(labels: Values, values: Values) -> bool:
    """Return whether the label is a linear function of the values, except for a small error."""
    present = ~np.isnan(values)
    if present.sum() < LEAK_SHARE * len(values) or values[present].min() == values[present].max():
        return False
    correlation = np.corrcoef(labels[present], values[present])[0, 1]
    return bool(correlation**2 >= LEAK_SHARE)
