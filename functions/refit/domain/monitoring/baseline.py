"""What a live version is held against: the form of `runs/{run}/baseline.json`.

Measured on rows that the version was never trained on. `fresh` rows (the held-out share of the
labelled rows that came since the champion) are used when there are at least `FEWEST_FRESH_ROWS` of
them, since they are the world of today; else the `new` held-out rows of the run's drop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from refit.domain.schema import SchemaTask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from refit.domain.evaluation.resampling import Floats, Integers

FEWEST_FRESH_ROWS = 20
BINS = 32
"""Up to 31 quantile edges and 32 counts per column."""

SCORE_BINS = 20
"""Equal bins of the largest probability over 0 to 1."""

ERROR_QUANTILE = 0.9
"""A regression's answer is counted as an error when it is further off than this share was."""

RowsOf = Literal["new", "fresh"]


class Part(BaseModel):
    """A part of baseline.json."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ScoreBin(Part):
    """Held-out rows whose largest probability lies in one bin.

    Attributes:
        rows: how many.
        right: how many of them were answered rightly.
        probability_sum: of their largest probabilities.
    """

    rows: int
    right: int
    probability_sum: float


class ClassBaseline(Part):
    """Held-out rows of one class, and how many of them were taken for another."""

    support: int
    missed: int


class Baseline(Part):
    """All of baseline.json.

    Attributes:
        rows_of: which held-out rows were measured.
        rows: how many.
        errors: wrong answers; of a regression, rows whose |error| is beyond `error_bound`.
        classes: by the class's text, those that occur among the rows; None for a regression.
        error_bound: the 90 % quantile of |error|, in the label's unit; None for classes.
        quality: accuracy and log_loss, or rmse, mae and bias.
        predicted: how often each class was answered; None for a regression.
        scores: 20 bins of the largest probability; None without probabilities.
        prediction_edges: of a regression's predictions, up to 31 ascending quantiles.
        prediction_counts: one more than edges; a value at an edge is of the bin below it.
    """

    task: SchemaTask
    rows_of: RowsOf
    rows: int
    errors: int
    classes: dict[str, ClassBaseline] | None = None
    error_bound: float | None = None
    quality: dict[str, float]
    predicted: dict[str, int] | None = None
    scores: tuple[ScoreBin, ...] | None = None
    prediction_edges: tuple[float, ...] | None = None
    prediction_counts: tuple[int, ...] | None = None


def classification_baseline_of(
    labels: Integers,
    predicted: Integers,
    probabilities: Floats | None,
    classes: Sequence[str],
    quality: Mapping[str, float],
    rows_of: RowsOf = "new",
) -> Baseline:
    """Measure a classifier on held-out rows.

    Args:
        labels: (n_rows,) class indices, n_rows ≥ 1.
        predicted: (n_rows,) class indices.
        probabilities: (n_rows,) the largest probability of each row; None when there are none.
        classes: the classes' texts, by index.
        quality: its metrics on the same rows.
        rows_of: which held-out rows they are.
    """
    wrong = labels != predicted
    support = np.bincount(labels, minlength=len(classes))
    missed = np.bincount(labels[wrong], minlength=len(classes))
    return Baseline(
        task="classification",
        rows_of=rows_of,
        rows=len(labels),
        errors=int(wrong.sum()),
        classes={
            text: ClassBaseline(support=int(rows), missed=int(lost))
            for text, rows, lost in zip(classes, support, missed, strict=True)
            if rows
        },
        quality=dict(quality),
        predicted=dict(
            zip(classes, np.bincount(predicted, minlength=len(classes)).tolist(), strict=True)
        ),
        scores=None if probabilities is None else _score_bins(probabilities, ~wrong),
    )


def regression_baseline_of(
    labels: Floats, predictions: Floats, quality: Mapping[str, float], rows_of: RowsOf = "new"
) -> Baseline:
    """Measure a regression on held-out rows.

    Args:
        labels: (n_rows,), n_rows ≥ 1.
        predictions: (n_rows,), in the labels' unit, finite.
        quality: its metrics on the same rows.
        rows_of: which held-out rows they are.
    """
    distances = np.abs(predictions - labels)
    # An order statistic, so that the count beyond it has the law that Clopper and Pearson assume.
    bound = float(np.quantile(distances, ERROR_QUANTILE, method="higher"))
    edges, counts = quantile_histogram(predictions)
    return Baseline(
        task="regression",
        rows_of=rows_of,
        rows=len(labels),
        errors=int((distances > bound).sum()),
        error_bound=bound,
        quality=dict(quality),
        prediction_edges=tuple(edges.tolist()),
        prediction_counts=tuple(counts.tolist()),
    )


def score_bin_of(probabilities: Floats) -> Integers:
    """Return the bin, 0 to 19, of each largest probability; 1 belongs to the last.

    Args:
        probabilities: (n_rows,) within 0 to 1; a hair outside, as float32 gives, is allowed.
    """
    return np.clip((probabilities * SCORE_BINS).astype(np.int64), 0, SCORE_BINS - 1)


def quantile_histogram(values: Floats) -> tuple[Floats, Integers]:
    """Return up to 31 ascending quantile edges and one count more; profile.json's convention.

    Args:
        values: (n_values,) finite, n_values ≥ 1.
    """
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1], method="lower"))
    bins = np.searchsorted(edges, values, side="left")
    return edges, np.bincount(bins, minlength=len(edges) + 1)


def _score_bins(probabilities: Floats, right: NDArray[np.bool_]) -> tuple[ScoreBin, ...]:
    bins = score_bin_of(probabilities)
    rows = np.bincount(bins, minlength=SCORE_BINS)
    hits = np.bincount(bins[right], minlength=SCORE_BINS)
    sums = np.bincount(bins, weights=probabilities, minlength=SCORE_BINS)
    return tuple(
        ScoreBin(rows=int(count), right=int(hit), probability_sum=float(total))
        for count, hit, total in zip(rows, hits, sums, strict=True)
    )
