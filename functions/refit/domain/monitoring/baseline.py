"""The baseline that a live version is compared with: the format of `runs/{run}/baseline.json`.

The baseline is measured on rows that the version was not trained on. The `fresh` rows are the
held-out share of the labelled rows that arrived since the champion was trained. They represent
today's data, so they are used when there are at least `FEWEST_FRESH_ROWS` of them. Otherwise the
`new` rows are used: the held-out rows of the drop. baseline_measures.py measures the baseline; this
module does not import NumPy.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from refit.domain.vocabulary import Task

FEWEST_FRESH_ROWS = 20
BINS = 32
"""Number of histogram bins per column, separated by up to 31 quantile edges."""

SCORE_BINS = 20
"""Number of equal bins, from 0 to 1, in which the largest probability of a row is counted."""

ERROR_QUANTILE = 0.9
"""A prediction of a regression counts as wrong when its |error| exceeds this quantile of |error| on
the held-out rows."""

RowsOf = Literal["new", "fresh"]


class BaselinePart(BaseModel):
    """A part of baseline.json."""

    model_config = ConfigDict(frozen=True)


class ScoreBin(BaselinePart):
    """Held-out rows whose largest probability lies in one bin.

    Attributes:
        right: rows that were predicted correctly.
        probability_sum: sum of the largest probabilities.
    """

    rows: int
    right: int
    probability_sum: float


class ClassBaseline(BaselinePart):
    """Held-out rows of one class, and how many of them were predicted as another class."""

    support: int
    missed: int


class Baseline(BaselinePart):
    """The content of baseline.json.

    Attributes:
        rows_of: which held-out rows were measured.
        errors: wrong predictions; for a regression, rows whose |error| exceeds `error_bound`.
        classes: the classes that occur among the rows, by text; None for a regression.
        confusions: codes (actual, predicted) of the largest confusions among the rows, at most 100;
            empty if there are few classes, because then all confusions are counted.
        error_bound: 90 % quantile of |error|, in the unit of the label; None for a classifier.
        quality: accuracy and log_loss, or rmse, mae and bias.
        predicted: number of predictions of each class; None for a regression.
        scores: 20 bins of the largest probability; None without probabilities.
        prediction_edges: up to 31 ascending quantiles of a regression's predictions.
        prediction_counts: one count more than edges; a value at an edge belongs to the bin below.
    """

    task: Task
    rows_of: RowsOf
    rows: int
    errors: int
    classes: dict[str, ClassBaseline] | None = None
    confusions: tuple[tuple[int, int], ...] = ()
    error_bound: float | None = None
    quality: dict[str, float]
    predicted: dict[str, int] | None = None
    scores: tuple[ScoreBin, ...] | None = None
    prediction_edges: tuple[float, ...] | None = None
    prediction_counts: tuple[int, ...] | None = None
