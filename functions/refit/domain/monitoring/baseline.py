"""What a live version is compared with: the format of `runs/{run}/baseline.json`.

Measured on rows that the version was never trained on. `fresh` rows (the held-out share of the
labelled rows that arrived since the champion) are used when there are at least `FEWEST_FRESH_ROWS`
of them, because they represent today's data; otherwise the `new` held-out rows of the run's drop.
This module does not import NumPy; baseline_measures.py measures.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from refit.domain.vocabulary import Task

FEWEST_FRESH_ROWS = 20
BINS = 32
"""Up to 31 quantile edges and 32 counts per column."""

SCORE_BINS = 20
"""Equal bins of the largest probability over 0 to 1."""

ERROR_QUANTILE = 0.9
"""A regression's answer is counted as an error when it is further off than this share was."""

RowsOf = Literal["new", "fresh"]


class BaselinePart(BaseModel):
    """A part of baseline.json."""

    model_config = ConfigDict(frozen=True)


class ScoreBin(BaselinePart):
    """Held-out rows whose largest probability lies in one bin.

    Attributes:
        rows: how many.
        right: how many of them were answered rightly.
        probability_sum: of their largest probabilities.
    """

    rows: int
    right: int
    probability_sum: float


class ClassBaseline(BaselinePart):
    """Held-out rows of one class, and how many of them were taken for another."""

    support: int
    missed: int


class Baseline(BaselinePart):
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

    task: Task
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
