"""What the training data looks like: the baseline of every later check for drift."""

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
SAMPLE_CELLS = 4_000_000
"""32 MB, and a second to parse at worst."""

_PARSED_ROWS = 1000
_OF_INTEGERS = b"0123456789,-"
_EXACT_INTEGERS = 2**53
_REPETITION = 4

Values: TypeAlias = npt.NDArray[np.float64]


class ProfileSample:
    """Gathers a uniform sample of the training rows as they are written.

    A bucket of the shuffle is in random order, so its first rows are a fair share of it.
    """

    def __init__(self, rows: int, columns: int) -> None:
        """Prepare.

        Args:
            rows: how many training rows there are.
            columns: how many cells each has, label included.
        """
        wanted = min(rows, SAMPLE_ROWS, max(1, SAMPLE_CELLS // columns))
        self._share = wanted / rows
        self._values: Values = np.empty((wanted, columns))
        self._filled = 0

    def add(self, lines: list[bytes]) -> None:
        """Take the bucket's share of its encoded rows."""
        wanted, columns = self._values.shape
        count = min(math.ceil(len(lines) * self._share), wanted - self._filled)
        for begin in range(0, count, _PARSED_ROWS):
            part = lines[begin : min(begin + _PARSED_ROWS, count)]
            end = self._filled + len(part)
            self._values[self._filled : end] = _parsed(part).reshape(len(part), columns)
            self._filled = end

    def matrix(self) -> Values:
        """Return (n_sampled, columns) with the label first and NaN for a missing value."""
        return self._values[: self._filled]


def _parsed(lines: list[bytes]) -> Values:
    """Return all cells of encoded rows in one row, NaN for an empty one, by the quickest way."""
    text = b",".join(lines)
    if not text.translate(None, _OF_INTEGERS) and not (b",," in text or text.endswith(b",")):
        whole = np.fromstring(text, dtype=np.int64, sep=",")
        if int(np.abs(whole).max()) <= _EXACT_INTEGERS:  # beyond 64 bits it would be cut off
            return whole.astype(np.float64)
    cells = text.split(b",")
    distinct = set(cells)
    if _REPETITION * len(distinct) < len(cells):  # pixels, codes: each text is parsed once
        values = {cell: float(cell or b"nan") for cell in distinct}
        return np.fromiter(map(values.__getitem__, cells), dtype=np.float64, count=len(cells))
    return np.array([float(cell or b"nan") for cell in cells])


def profile_of(
    schema: Schema,
    rows: Counter[Split],
    labels: Counter[str] | None,
    sample: Values,
) -> dict[str, Any]:
    """Return the content of profile.json.

    Args:
        schema: of the rows.
        rows: how many each side has.
        labels: how many training rows each class has; None for a regression.
        sample: (n_sampled, 1 + n_features) encoded training rows, label first, NaN for missing.

    Returns:
        rows, the number of sampled rows, the label's distribution, and for each column its
        completeness (share of values that are there) and, for a number, minimum, maximum, mean,
        standard deviation and histogram: n ascending edges and n + 1 counts, the first of what is
        below or at the first edge, the last of what is above the last; for a category the count of
        each text. All but `rows` and the classes' counts are of the sample.
    """
    label = sample[:, 0]
    return {
        "rows": {side: rows[side] for side in SPLITS},
        "sampled_rows": len(sample),
        "task": schema.task,
        "label": {"name": schema.label}
        | ({"classes": dict(labels)} if labels is not None else _numbers(label)),
        "columns": [
            _column(feature, sample[:, place])
            for place, feature in enumerate(schema.features, start=1)
        ],
    }


def _column(feature: Feature, values: Values) -> dict[str, Any]:
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


def _numbers(values: Values) -> dict[str, Any]:
    if not len(values):
        empty: dict[str, list[float]] = {"edges": [], "counts": [0]}
        return {"min": None, "max": None, "mean": None, "std": None, "histogram": empty}
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1], method="lower"))
    # A value that is an edge belongs to the bin below it: the edges are values of the data, so a
    # column of few distinct values has one bin for each.
    counts = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
    return {
        "min": float(values.min()),
        "max": float(values.max()),
        "mean": float(values.mean()),
        "std": float(values.std()),
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
    }
