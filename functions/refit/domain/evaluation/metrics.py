"""Metrics of a model on held-out rows, with their confidence intervals.

Accuracy, precision and recall of a class have Wilson intervals; all other metrics, and all metrics
of weighted rows, have percentile bootstrap intervals with a fixed seed.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from refit.domain.errors import EvaluationIncomplete
from refit.domain.evaluation.measured_rows import PER_CLASS, ClassifiedRows, NumberRows
from refit.domain.evaluation.report import ClassQuality, Estimate, ModelQuality
from refit.domain.evaluation.resampling import bootstrap_estimate, measured_once, resampled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.evaluation.outcomes import ClassOutcome
    from refit.domain.evaluation.resampling import Floats, Integers


def wilson_interval(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    """Return the two-sided score interval of a share.

    It stays within 0 to 1 and is meaningful for 0, 1 or all successes, unlike the interval of the
    normal approximation.

    Args:
        successes: 0 to trials.
        trials: ≥ 1.
        confidence: within (0, 1).

    Source: Wilson (1927), Journal of the American Statistical Association 22:209; recommended by
    Brown, Cai and DasGupta (2001), Statistical Science 16:101.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / trials
    centre = share + z * z / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    low = 0.0 if successes == 0 else (centre - half) / scale
    high = 1.0 if successes == trials else (centre + half) / scale
    return low, high


def share_estimate(successes: int, trials: int, confidence: float) -> Estimate | None:
    """Return a share with its Wilson interval, or None when there were no trials."""
    if not trials:
        return None
    low, high = wilson_interval(successes, trials, confidence)
    return Estimate(value=successes / trials, low=low, high=high, method="wilson")


def confusion_matrix(labels: Integers, predicted: Integers, n_classes: int) -> Integers:
    """Count the rows per (actual, predicted) class.

    Args:
        labels: (n_rows,) class indices.
        predicted: (n_rows,) class indices.
        n_classes: number of classes.

    Returns:
        (n_classes, n_classes), rows actual, columns predicted.
    """
    cells = np.bincount(labels * n_classes + predicted, minlength=n_classes * n_classes)
    return cells.reshape(n_classes, n_classes)


def row_weights(weights: Floats | None, rows: int) -> Floats:
    """Return the weights of the rows; ones when there are none."""
    return np.ones(rows) if weights is None else weights


def classification_quality(
    labels: Integers,
    outcome: ClassOutcome,
    classes: Sequence[str],
    confidence: float,
    weights: Floats | None = None,
    positive: int | None = None,
) -> ModelQuality:
    """Measure a classifier on held-out rows.

    Counts (support, predicted, confusion matrix) are of rows, whatever their weights. A metric that
    is undefined on these rows is left out: ROC AUC and average precision of rows of one class, the
    recall of a class without rows.

    Args:
        labels: (n_rows,) class indices, n_rows ≥ 1.
        outcome: of the same rows.
        classes: texts of the classes, by index.
        confidence: of every interval, two-sided.
        weights: (n_rows,) weights of the rows; None: all rows count the same.
        positive: index of the positive class, whose precision, recall and F1 are measured; None:
            their averages over the classes.
    """
    rows, n_classes = len(labels), len(classes)
    measured = ClassifiedRows(
        labels, outcome, n_classes, row_weights(weights, rows), positive, with_classes=True
    )
    values, (replicates,) = measured_once(measured), resampled([measured])
    matrix = confusion_matrix(labels, outcome.predicted, n_classes)
    hits, support, predicted = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)

    def of_class(name: str, index: int) -> Estimate | None:
        value = float(values[PER_CLASS + name][index])
        if not math.isfinite(value):
            return None
        trials = {"precision": predicted, "recall": support}.get(name)
        if weights is None and trials is not None:
            return share_estimate(int(hits[index]), int(trials[index]), confidence)
        return bootstrap_estimate(value, replicates[PER_CLASS + name][:, index], rows, confidence)

    metrics = {
        name: bootstrap_estimate(float(value), replicates[name], rows, confidence)
        for name, value in values.items()
        if not name.startswith(PER_CLASS) and math.isfinite(value)
    }
    if weights is None:
        shares = {"accuracy": share_estimate(int(hits.sum()), rows, confidence)}
        if positive is not None:
            shares |= {name: of_class(name, positive) for name in ("precision", "recall")}
        metrics |= {name: share for name, share in shares.items() if share is not None}
    return ModelQuality(
        metrics=metrics,
        is_always_certain=bool(np.isin(outcome.sample, (0, 1)).all()),
        per_class={
            text: ClassQuality(
                support=int(support[index]),
                predicted=int(predicted[index]),
                precision=of_class("precision", index),
                recall=of_class("recall", index),
                f1=of_class("f1", index),
            )
            for index, text in enumerate(classes)
        },
        confusion_matrix=matrix.tolist(),
    )


def regression_quality(
    labels: Floats, predictions: Floats, confidence: float, weights: Floats | None = None
) -> ModelQuality:
    """Measure a regression on held-out rows.

    The bias is prediction − label. R² is 1 − residual variance / label variance; it is left out
    when all labels are the same, and the MAPE when a label is 0.

    Args:
        labels: (n_rows,), n_rows ≥ 1.
        predictions: (n_rows,), in the unit of the labels.
        confidence: of every interval, two-sided.
        weights: (n_rows,) weights of the rows; None: all rows count the same.

    Raises:
        EvaluationIncomplete: when a prediction is not a finite number.
    """
    if not np.isfinite(predictions).all():
        row = int(np.argmin(np.isfinite(predictions)))
        raise EvaluationIncomplete(
            f"the prediction of held-out row {row + 1} is {predictions[row]}, not a finite number"
        )
    measured = NumberRows(labels, predictions, row_weights(weights, len(labels)))
    values, (replicates,) = measured_once(measured), resampled([measured])
    return ModelQuality(
        metrics={
            name: bootstrap_estimate(float(value), replicates[name], len(labels), confidence)
            for name, value in values.items()
            if np.isfinite(value)
        }
    )
