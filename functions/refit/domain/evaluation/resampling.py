"""The bootstrap: confidence intervals and p values by resampling the held-out rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from refit.domain.evaluation.report import Estimate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

REPLICATES = 2000
SEED = 20_240_229  # fixed, so that the same rows give the same intervals
MAX_ROWS = 10_000
_BLOCK_CELLS = 1_000_000  # 8 MB of weights at a time


class Measured(Protocol):
    """A model on rows that can be weighted: evaluation/measured_rows.py."""

    @property
    def row_weights(self) -> Floats:
        """(n_rows,) the weight of each row; ones without weights."""

    def take(self, index: Integers) -> Measured:
        """Return these rows only."""

    def statistics(self, weights: Floats) -> Mapping[str, Floats]:
        """Return every metric for each of several weightings of the rows.

        Args:
            weights: (n_weightings, n_rows), ≥ 0.

        Returns:
            By name, (n_weightings, …); NaN where a metric is undefined.
        """


def resampled(models: Sequence[Measured]) -> list[dict[str, Floats]]:
    """Measure models on many resamples of the rows, all models on the same ones.

    Rows are drawn with replacement, with their weights, and all models are measured on the same
    draws, so differences of models stay paired. Equal row counts give the same draws. Of more than
    10,000 rows, 10,000 random ones are resampled and the spread around their value is reduced by
    √(10,000 / n_rows), so time and memory stay constant.

    Args:
        models: models on the same rows, n_rows ≥ 1.

    Returns:
        For each model, its statistics with REPLICATES in the first axis.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 6 and 13. For
    fewer rows than there are: Politis, Romano and Wolf, Subsampling (1999), chapter 2.
    """
    generator = np.random.default_rng(SEED)
    rows = len(models[0].row_weights)
    if rows <= MAX_ROWS:
        return _on_draws(models, generator)
    index = np.sort(generator.choice(rows, size=MAX_ROWS, replace=False))
    parts = [model.take(index) for model in models]
    shrink = (MAX_ROWS / rows) ** 0.5
    replicates = _on_draws(parts, generator)
    for model, part, drawn in zip(models, parts, replicates, strict=True):
        whole, partly = measured_once(model), measured_once(part)
        for name, values in drawn.items():
            drawn[name] = whole[name] + (values - partly[name]) * shrink
    return replicates


def measured_once(model: Measured) -> dict[str, Floats]:
    """Return the statistics of a model on all of its rows, weighted by their own weights."""
    values = model.statistics(model.row_weights[None, :])
    return {name: value[0] for name, value in values.items()}


def _on_draws(
    models: Sequence[Measured], generator: np.random.Generator
) -> list[dict[str, Floats]]:
    parts: list[dict[str, list[Floats]]] = [{} for _ in models]
    row_weights = models[0].row_weights
    for drawn in _draws(len(row_weights), generator):
        weights = drawn * row_weights
        for model, collected in zip(models, parts, strict=True):
            for name, values in model.statistics(weights).items():
                collected.setdefault(name, []).append(values)
    return [
        {name: np.concatenate(blocks) for name, blocks in collected.items()} for collected in parts
    ]


def _draws(rows: int, generator: np.random.Generator) -> Iterator[Floats]:
    """Yield how often each row is drawn, (n_draws, n_rows) at a time, REPLICATES in all."""
    block = max(1, _BLOCK_CELLS // rows)
    for start in range(0, REPLICATES, block):
        count = min(block, REPLICATES - start)
        drawn = generator.integers(0, rows, size=(count, rows))
        drawn += np.arange(count)[:, None] * rows
        counts = np.bincount(drawn.ravel(), minlength=count * rows)
        yield counts.reshape(count, rows).astype(np.float64)


def bootstrap_estimate(value: float, replicates: Floats, rows: int, confidence: float) -> Estimate:
    """Return a value with the percentile interval of its replicates.

    Replicates that are not finite (the metric is undefined on that resample) are ignored. The
    interval always contains the value itself.

    Args:
        value: the metric on the original rows.
        replicates: (n_replicates,) the metric on each resample.
        rows: number of rows; fewer than two have no interval.
        confidence: two-sided, within (0, 1).
    """
    finite = replicates[np.isfinite(replicates)]
    if rows < 2 or not len(finite):
        return Estimate(value=value, low=None, high=None, method="bootstrap")
    low, high = percentile_interval(finite, confidence)
    return Estimate(value=value, low=min(low, value), high=max(high, value), method="bootstrap")


def percentile_interval(replicates: Floats, confidence: float) -> tuple[float, float]:
    """Return the two-sided percentile interval (Efron and Tibshirani, section 13.3)."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(replicates, [tail, 1 - tail])
    return float(low), float(high)


def bootstrap_p_value(replicates: Floats) -> float:
    """Return the two-sided p value of "the true difference is zero".

    The smallest 1 − confidence whose percentile interval excludes zero. Never 0, which a finite
    number of replicates cannot show; 1 when every difference is exactly zero.

    Args:
        replicates: (n_replicates,) the difference on each resample.

    Source: Efron and Tibshirani, sections 15.4 and 16.4; the added one is Davison and Hinkley,
    Bootstrap Methods and their Application (1997), equation 4.11.
    """
    below = int(np.count_nonzero(replicates <= 0))
    above = int(np.count_nonzero(replicates >= 0))
    return min(1.0, 2 * (min(below, above) + 1) / (len(replicates) + 1))
