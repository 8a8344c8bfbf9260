"""Count live inputs and predictions in the histogram bins of the training data.

    columns = columns_of(profile, baseline)                 once per run
    counter = InputCounter(columns)
    counter.add(matrix, predicted, probabilities)           any number of times
    content = counter.counts().to_bytes()                   one object per capture file and cohort
    merged([InputCounts.from_bytes(content), …])            in any order

Counts are only added, so capture files can be counted separately and in any order. The same file
always gives the same bytes, so counting a file twice writes the same object twice.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from refit.domain.monitoring.baseline import SCORE_BINS
from refit.domain.monitoring.baseline_measures import score_bin_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from refit.domain.evaluation.resampling import Floats, Integers
    from refit.domain.monitoring.baseline import Baseline

Role = Literal["feature", "prediction", "score"]

PREDICTION, SCORE = "prediction", "score"

_BLOCK_ROWS = 16_384
"""Rows per block. A column of a block takes 128 KB, so it stays in the CPU cache."""


@dataclass(frozen=True)
class Column:
    """A column that is counted, with its reference distribution.

    Attributes:
        name: the feature, `prediction` or `score`.
        role: whether the column holds a feature, the predictions, or their largest probabilities.
        edges: for a column of numbers, the ascending edges. The bins hold the values below the
            smallest training value, then those at or below each edge, then those above the
            largest training value.
        texts: for a category, the texts by code; the last bin holds the values with another code.
        reference: (n_slots,) counts in the training data (features) or on the held-out rows
            (predictions and scores); the last slot holds missing values.
    """

    name: str
    role: Role
    edges: tuple[float, ...] | None
    texts: tuple[str, ...] | None
    reference: tuple[int, ...]

    @property
    def slots(self) -> int:
        return len(self.reference)


@dataclass(frozen=True)
class Columns:
    """All columns that are counted for one run, in the order of the counts."""

    columns: tuple[Column, ...]

    @property
    def features(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.role == "feature")

    @cached_property
    def layout(self) -> str:
        """A digest of the columns and bins; only counts of the same layout may be added."""
        meaning = [(column.name, column.edges, column.texts) for column in self.columns]
        return hashlib.sha256(json.dumps(meaning).encode()).hexdigest()[:16]

    @cached_property
    def bounds(self) -> tuple[int, ...]:
        """The index of the first slot of each column, and the number of all slots."""
        return tuple(accumulate((column.slots for column in self.columns), initial=0))


def columns_of(profile: Mapping[str, Any], baseline: Baseline) -> Columns:
    """Return the columns that are counted for a run.

    Args:
        profile: content of the run's profile.json.
        baseline: baseline of the run.
    """
    sampled = profile["sampled_rows"]
    columns = [_feature(column, sampled) for column in profile["columns"]]
    if baseline.predicted is not None:
        texts, counts = zip(*baseline.predicted.items(), strict=True)
        columns.append(Column(PREDICTION, "prediction", None, texts, (*counts, 0, 0)))
    if baseline.prediction_edges is not None:
        counts = baseline.prediction_counts or ()
        # The held-out predictions have no minimum and maximum bins: live ones may lie beyond them.
        columns.append(
            Column(PREDICTION, "prediction", baseline.prediction_edges, None, (*counts, 0))
        )
    if baseline.scores is not None:
        edges = tuple(number / SCORE_BINS for number in range(1, SCORE_BINS))
        rows = tuple(score.rows for score in baseline.scores)
        columns.append(Column(SCORE, "score", edges, None, (*rows, 0)))
    return Columns(tuple(columns))


def _feature(column: Mapping[str, Any], sampled: int) -> Column:
    name = column["name"]
    if column["type"] == "category":
        counts = tuple(column["counts"].values())
        missing = sampled - sum(counts)
        return Column(name, "feature", None, tuple(column["counts"]), (*counts, 0, missing))
    if column["min"] is None:
        return Column(name, "feature", (), None, (0, sampled))
    counts = tuple(column["histogram"]["counts"])
    # The greatest float below the minimum: values at or under it are below all training values.
    below = float(np.nextafter(column["min"], -np.inf))
    edges = (below, *column["histogram"]["edges"], column["max"])
    return Column(name, "feature", edges, None, (0, *counts, 0, sampled - sum(counts)))


@dataclass(frozen=True)
class InputCounts:
    """Number of values in each slot of each column.

    Attributes:
        layout: `Columns.layout` of the counted columns.
        rows: number of counted rows.
        slots: (n_slots,) counts of all columns, one after the other.
    """

    layout: str
    rows: int
    slots: Integers

    def to_bytes(self) -> bytes:
        """Return the counts as a compressed .npz; the same counts give the same bytes."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, layout=np.array(self.layout), rows=self.rows, slots=self.slots)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> InputCounts:
        """Read what `to_bytes` wrote."""
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            return cls(str(stored["layout"]), int(stored["rows"]), stored["slots"])


def merged(parts: Iterable[InputCounts]) -> InputCounts | None:
    """Return the sum of counts in any order; None without any.

    Raises:
        ValueError: when they belong to different runs.
    """
    counts = list(parts)
    if not counts:
        return None
    layouts = sorted({part.layout for part in counts})
    if len(layouts) > 1:
        raise ValueError(f"cannot add counts of different runs: layouts {', '.join(layouts)}")
    slots = np.sum([part.slots for part in counts], axis=0)
    return InputCounts(layouts[0], sum(part.rows for part in counts), slots)


class InputCounter:
    """Counts captured rows in the bins of the run that predicted them."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._rows = 0
        self._slots = np.zeros(columns.bounds[-1], dtype=np.int64)

    def add(
        self,
        matrix: Floats,
        predicted: Floats | Integers | None = None,
        probabilities: Floats | None = None,
    ) -> None:
        """Count rows.

        Args:
            matrix: (n_rows, n_features) as the model reads them; NaN where a value is missing. A
                category text that was never seen in training is encoded as missing.
            predicted: (n_rows,) class codes or, of a regression, numbers; NaN is missing.
            probabilities: (n_rows,) the largest probability of each row; NaN is missing.

        Raises:
            ValueError: when the number of columns is not that of the run's features.
        """
        width = len(self._columns.features)
        if matrix.ndim != 2 or matrix.shape[1] != width:
            raise ValueError(f"rows of shape {matrix.shape} do not have the run's {width} features")
        self._rows += len(matrix)
        for begin in range(0, len(matrix), _BLOCK_ROWS):
            block = np.ascontiguousarray(matrix[begin : begin + _BLOCK_ROWS].T)
            for index, values in enumerate(block):
                self._count(index, values)
        for index, column in enumerate(self._columns.columns):
            if column.role == "prediction" and predicted is not None:
                self._count(index, np.asarray(predicted, dtype=np.float64))
            if column.role == "score" and probabilities is not None:
                self._count(index, np.asarray(probabilities, dtype=np.float64))

    def counts(self) -> InputCounts:
        """Return the counts so far."""
        return InputCounts(self._columns.layout, self._rows, self._slots.copy())

    def _count(self, index: int, values: Floats) -> None:
        column = self._columns.columns[index]
        begin, end = self._columns.bounds[index : index + 2]
        if column.texts is not None:
            counts = _category_counts(values, len(column.texts))
        elif column.role == "score":
            present = values[~np.isnan(values)]
            bins = np.bincount(score_bin_of(present), minlength=SCORE_BINS)
            counts = np.append(bins, len(values) - len(present))
        else:
            counts = _number_counts(values, column.edges or ())
        self._slots[begin:end] += counts


def _number_counts(values: Floats, edges: Sequence[float]) -> Integers:
    """Count the values in each bin, then the missing ones. An edge belongs to the bin below it.

    One pass per edge counts the values at or below it. The passes use the CPU cache and vector
    instructions, which is 2.5 times as fast as a binary search per value.
    """
    present = int(np.count_nonzero(values == values))  # noqa: PLR0124 - NaN is not itself
    below = np.count_nonzero(values <= np.reshape(edges, (-1, 1)), axis=1)
    return np.append(np.diff(below, prepend=0, append=present), len(values) - present)


def _category_counts(values: Floats, categories: int) -> Integers:
    """Count the values by code, then those with another code, then the missing ones."""
    present = values[~np.isnan(values)]
    known = present[(present >= 0) & (present < categories) & (present == np.floor(present))]
    counts = np.bincount(known.astype(np.int64), minlength=categories)
    return np.append(counts, [len(present) - len(known), len(values) - len(present)])


def split_by_column(columns: Columns, counts: InputCounts) -> list[tuple[Column, Integers]]:
    """Return each column with its slots.

    Raises:
        ValueError: when the counts belong to another run.
    """
    if counts.layout != columns.layout:
        raise ValueError(
            f"the counts have layout {counts.layout}, the run's columns {columns.layout}: the "
            "counts belong to another run"
        )
    bounds = columns.bounds
    return [
        (column, counts.slots[bounds[index] : bounds[index + 1]])
        for index, column in enumerate(columns.columns)
    ]
