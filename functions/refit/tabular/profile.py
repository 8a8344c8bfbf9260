"""Compute the profile of the training data, with which live inputs are compared."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from refit.domain.monitoring.baseline import BINS
from refit.tabular.split import SPLITS, Split

if TYPE_CHECKING:
    from collections import Counter

    from refit.domain.schema import Feature, Schema

SAMPLE_ROWS = 100_000
"""Maximum number of training rows from which a profile is computed."""

SAMPLE_CELLS = 4_000_000
"""Maximum number of cells in the sample. They take 32 MB, and up to one second to parse."""

_PARSED_ROWS = 1000
_INTEGER_BYTES = b"0123456789,-"
_EXACT_INTEGERS = 2**53
_REPETITION = 4

SampleMatrix: TypeAlias = npt.NDArray[np.float64]


class ProfileSample:
    """Collects a uniform sample of the training rows while they are written.

    The rows of a bucket are in random order, so its first rows are a random sample of the bucket.
    """

    def __init__(self, rows: int, columns: int, max_rows: int = SAMPLE_ROWS) -> None:
        """Allocate the sample.

        Args:
            rows: number of training rows.
            columns: number of cells in each row, including the label.
            max_rows: maximum number of rows in the sample.
        """
        size = min(rows, max_rows, max(1, SAMPLE_CELLS // columns))
        self._share = size / rows
        self._values: SampleMatrix = np.empty((size, columns))
        self._filled = 0

    def add(self, lines: list[bytes]) -> None:
        """Add a share of the encoded rows of a bucket."""
        size, columns = self._values.shape
        count = min(math.ceil(len(lines) * self._share), size - self._filled)
        for begin in range(0, count, _PARSED_ROWS):
            chunk = lines[begin : min(begin + _PARSED_ROWS, count)]
            end = self._filled + len(chunk)
            self._values[self._filled : end] = cell_values(chunk).reshape(len(chunk), columns)
            self._filled = end

    def matrix(self) -> SampleMatrix:
        """Return (n_sampled, columns) with the label first and NaN for a missing value."""
        return self._values[: self._filled]


def cell_values(lines: list[bytes]) -> SampleMatrix:
    """Parse the cells of encoded rows, in the fastest of three ways.

    Returns:
        (n_cells,) the values of all rows one after the other, NaN for an empty cell.
    """
    text = b",".join(lines)
    if not text.translate(None, _INTEGER_BYTES) and not (b",," in text or text.endswith(b",")):
        whole = np.fromstring(text, dtype=np.int64, sep=",")
        if (
            int(np.abs(whole).max()) <= _EXACT_INTEGERS
        ):  # larger numbers may have been truncated to 64 bits
            return whole.astype(np.float64)
    cells = text.split(b",")
    distinct = set(cells)
    if _REPETITION * len(distinct) < len(
        cells
    ):  # cells such as pixels and codes repeat, so each distinct text is parsed once
        values = {cell: float(cell or b"nan") for cell in distinct}
        return np.fromiter(map(values.__getitem__, cells), dtype=np.float64, count=len(cells))
    return np.array([float(cell or b"nan") for cell in cells])


def profile_of(
    schema: Schema,
    rows: Counter[Split],
    labels: Counter[str] | None,
    sample: SampleMatrix,
) -> dict[str, Any]:
    """Return the content of profile.json.

    Args:
        schema: schema of the rows.
        rows: number of rows in each split.
        labels: number of training rows of each class; None for a regression.
        sample: (n_sampled, 1 + n_features) encoded training rows, label first, NaN for missing.

    Returns:
        The number of rows and of sampled rows, the label's distribution, and the completeness of
        each column (share of cells with a value). A column of numbers has minimum, maximum, mean,
        standard deviation and a histogram of n ascending edges and n + 1 counts. The first count
        is of values up to and including the first edge, the last of values above the last edge. A
        category has the count of each text. All values except `rows` and the counts of the classes
        describe the sample.
    """
    label = sample[:, 0]
    return {
        "rows": {split: rows[split] for split in SPLITS},
        "sampled_rows": len(sample),
        "task": schema.task,
        "label": {"name": schema.label}
        | ({"classes": dict(labels)} if labels is not None else _numbers(label)),
        "columns": [
            _column(feature, sample[:, column])
            for column, feature in enumerate(schema.features, start=1)
        ],
    }


def _column(feature: Feature, values: SampleMatrix) -> dict[str, Any]:
    present = values[~np.isnan(values)]
    head = {
        "name": feature.name,
        "type": feature.type,
        "completeness": len(present) / len(values),
    }
    if feature.values is None:
        return head | _numbers(present)
    counts = np.bincount(present.astype(np.int64), minlength=len(feature.values))
    return head | {"counts": dict(zip(feature.values, counts.tolist(), strict=True))}


def _numbers(values: SampleMatrix) -> dict[str, Any]:
    if not len(values):
        empty: dict[str, list[float]] = {"edges": [], "counts": [0]}
        return {"min": None, "max": None, "mean": None, "std": None, "histogram": empty}
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1], method="lower"))
    # Edges are values of the data and belong to the bin below them, so a column with few distinct
    # values has one bin for each value.
    counts = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
    return {
        "min": float(values.min()),
        "max": float(values.max()),
        "mean": float(values.mean()),
        "std": float(values.std()),
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
    }
