"""Find columns that alone give the label, such as a column that is derived from it.

Each column is tested as a model of its own: the values of one half of the rows are put into bins,
each bin predicts its most frequent class (or the mean of its labels), and the other half is
predicted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from refit.domain.schema import Schema
    from refit.domain.vocabulary import Task
    from refit.tabular.profile import SampleMatrix

LEAK_SHARE = 0.995
"""Share of rows, or of the variance of the label, that a leaking column predicts."""

_FEWEST_ROWS = 40
_MOST_ROWS = 20_000
_MOST_COLUMNS = 300
_BINS = 64
_ERROR_RATIO = 0.1
"""A leaking column also makes at most this share of the errors of the most frequent class."""


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


def _leaks(labels: npt.NDArray[np.float64], values: npt.NDArray[np.float64], task: Task) -> bool:
    if task == "classification":
        return _leaks_class(labels, _bins(values))
    return _is_linear(labels, values) or _leaks_number(labels, _bins(values))


def _bins(values: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Return (n_rows,) the bin of each value: a bin of its own for each of few distinct values."""
    present = values[~np.isnan(values)]
    distinct = np.unique(present)
    edges = distinct
    if len(distinct) > 4 * _BINS:
        edges = np.unique(np.quantile(present, np.linspace(0, 1, _BINS + 1)))
    bins = np.searchsorted(edges, values, side="left")
    bins[np.isnan(values)] = len(edges) + 1
    return np.asarray(bins, dtype=np.intp)


def _leaks_class(labels: npt.NDArray[np.float64], bins: npt.NDArray[np.intp]) -> bool:
    half = len(labels) // 2
    codes = labels.astype(np.intp)
    table = np.zeros((bins.max() + 1, codes.max() + 1), dtype=np.intp)
    np.add.at(table, (bins[:half], codes[:half]), 1)
    commonest = np.bincount(codes[:half]).argmax()
    seen = table.any(axis=1)
    answers = np.where(seen, table.argmax(axis=1), commonest)
    errors = float((answers[bins[half:]] != codes[half:]).mean())
    trivial = float((codes[half:] != commonest).mean())
    return errors <= min(1 - LEAK_SHARE, _ERROR_RATIO * trivial)


def _leaks_number(labels: npt.NDArray[np.float64], bins: npt.NDArray[np.intp]) -> bool:
    half = len(labels) // 2
    sums = np.bincount(bins[:half], weights=labels[:half], minlength=int(bins.max()) + 1)
    counts = np.bincount(bins[:half], minlength=int(bins.max()) + 1)
    mean = float(labels[:half].mean())
    answers = np.where(counts > 0, sums / np.maximum(counts, 1), mean)
    variance = float(((labels[half:] - mean) ** 2).mean())
    return (
        float(((labels[half:] - answers[bins[half:]]) ** 2).mean()) <= (1 - LEAK_SHARE) * variance
    )


def _is_linear(labels: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> bool:
    """Return whether the label is a linear function of the values, except for a small error."""
    present = ~np.isnan(values)
    if present.sum() < LEAK_SHARE * len(values) or values[present].min() == values[present].max():
        return False
    correlation = np.corrcoef(labels[present], values[present])[0, 1]
    return bool(correlation**2 >= LEAK_SHARE)
