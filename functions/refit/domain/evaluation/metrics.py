"""Metrics of a model on held-out rows, with their confidence intervals.

Accuracy, precision and recall have Wilson intervals; all other metrics have percentile bootstrap
intervals with a fixed seed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from refit.domain.errors import EvaluationIncomplete
from refit.domain.evaluation.report import ClassQuality, Estimate, ModelQuality, NaiveBaseline
from refit.domain.evaluation.resampling import (
    REPLICATES,
    SEED,
    Floats,
    Integers,
    bootstrap_estimate,
    resampled_means,
)
from refit.domain.vocabulary import SMALLEST_PROBABILITY

if TYPE_CHECKING:
    from collections.abc import Sequence

_BLOCK_CELLS = 4_000_000


@dataclass(frozen=True)
class ClassOutcome:
    """The predictions of a classifier, reduced to what the metrics need.

    Attributes:
        predicted: (n_rows,) index of the most probable class; ties go to the lower index.
        losses: (n_rows,) −ln of the probability of the true class, ≥ 0.
        largest: (n_rows,) the probability of the predicted class.
        second_class: (n_rows,) probability of class 1 where there are two classes, else None.
    """

    predicted: Integers
    losses: Floats
    largest: Floats
    second_class: Floats | None = None


@dataclass(frozen=True)
class ClassShares:
    """Precision, recall and F1 per class in the last axis, NaN where undefined, and averages."""

    precision: Floats
    recall: Floats
    f1: Floats
    averages: dict[str, Floats]


def outcome_of(labels: Integers, probabilities: Floats, n_classes: int) -> ClassOutcome:
    """Reduce class probabilities to predicted class and loss.

    A model that knows fewer classes gives the others a probability of 0.

    Args:
        labels: (n_rows,) class index of each row, 0 to n_classes − 1.
        probabilities: (n_rows, n_known), n_known ≤ n_classes, each row adding up to 1.
        n_classes: number of classes.

    Raises:
        EvaluationIncomplete: when they are not probabilities: not finite, outside 0 to 1, or not
            adding up to 1 (the objective returns classes or raw scores).
    """
    known = probabilities.shape[1]
    # not(...) so that a NaN, for which every comparison is false, is refused as well.
    wrong = ~(
        (probabilities.min(axis=1) >= -1e-6) & (np.abs(probabilities.sum(axis=1) - 1) <= 1e-3)
    )
    if wrong.any():
        shown = ", ".join(f"{value:.6g}" for value in probabilities[int(wrong.argmax())][:5])
        raise EvaluationIncomplete(
            f"{int(wrong.sum())} of {len(wrong)} predictions are not class probabilities, such as "
            f"[{shown}]: train with the objective multi:softprob or binary:logistic"
        )
    rows = np.arange(len(labels))
    predicted = probabilities.argmax(axis=1).astype(np.int64)
    of_truth = probabilities[rows, np.minimum(labels, known - 1)]
    of_truth = np.where(labels < known, of_truth, 0.0)
    return ClassOutcome(
        predicted=predicted,
        losses=-np.log(np.clip(of_truth, SMALLEST_PROBABILITY, 1.0)),
        largest=probabilities[rows, predicted],
        second_class=probabilities[:, 1].copy() if known == n_classes == 2 else None,
    )


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


def class_shares(hits: Floats, support: Floats, predicted: Floats) -> ClassShares:
    """Compute precision, recall and F1 per class and their averages from counts.

    Averages are over the classes that occur among the labels; a class that occurs and is never
    predicted has precision 0 there (scikit-learn's `zero_division=0` over the labels' classes).

    Args:
        hits: (…, n_classes) rows of a class that were predicted correctly.
        support: (…, n_classes) rows of a class.
        predicted: (…, n_classes) rows predicted to be of a class.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = hits / predicted
        recall = hits / support
        f1 = 2 * hits / (support + predicted)
    occurs = support > 0
    weights = {
        "macro": occurs / occurs.sum(axis=-1, keepdims=True),
        "weighted": support / support.sum(axis=-1, keepdims=True),
    }
    averages = {
        f"{kind}_{name}": (np.where(occurs, np.nan_to_num(values), 0.0) * weight).sum(axis=-1)
        for kind, weight in weights.items()
        for name, values in (("precision", precision), ("recall", recall), ("f1", f1))
    }
    return ClassShares(precision, recall, f1, averages)


def classification_quality(
    labels: Integers, outcome: ClassOutcome, classes: Sequence[str], confidence: float
) -> ModelQuality:
    """Measure a classifier on held-out rows.

    F1 and the averages are resampled from the confusion matrix, which holds all they depend on:
    a multinomial draw of its cells is the same as drawing the rows.

    Args:
        labels: (n_rows,) class indices, n_rows ≥ 1.
        outcome: of the same rows.
        classes: texts of the classes, by index.
        confidence: of every interval, two-sided.
    """
    matrix = confusion_matrix(labels, outcome.predicted, len(classes))
    rows = len(labels)
    hits, support, predicted = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    shares = class_shares(*(counts.astype(np.float64) for counts in (hits, support, predicted)))
    resampled = _resampled_shares(matrix)

    def estimate(value: float, replicates: Floats) -> Estimate:
        return bootstrap_estimate(value, replicates, rows, confidence)

    metrics = {"accuracy": share_estimate(int(hits.sum()), rows, confidence)}
    losses = resampled_means(outcome.losses[:, None])[:, 0]
    metrics["log_loss"] = estimate(float(outcome.losses.mean()), losses)
    for name, value in shares.averages.items():
        metrics[name] = estimate(float(value), resampled.averages[name])
    per_class = {
        text: ClassQuality(
            support=int(support[index]),
            predicted=int(predicted[index]),
            precision=share_estimate(int(hits[index]), int(predicted[index]), confidence),
            recall=share_estimate(int(hits[index]), int(support[index]), confidence),
            f1=estimate(float(shares.f1[index]), resampled.f1[:, index])
            if support[index] + predicted[index]
            else None,
        )
        for index, text in enumerate(classes)
    }
    return ModelQuality(
        metrics={name: value for name, value in metrics.items() if value is not None},
        per_class=per_class,
        confusion_matrix=matrix.tolist(),
    )


def _resampled_shares(matrix: Integers) -> ClassShares:
    """Compute the shares of many resamples of the rows behind a confusion matrix."""
    n_classes = len(matrix)
    actual, predicted = np.nonzero(matrix)
    counts = matrix[actual, predicted]
    total = int(counts.sum())
    generator = np.random.default_rng(SEED)
    block = max(1, _BLOCK_CELLS // max(len(counts), n_classes))
    # The class of which a cell holds hits, actual rows and predicted rows.
    sides = [np.where(actual == predicted, actual, n_classes), actual, predicted]
    parts: list[list[Floats]] = [[], [], []]
    for start in range(0, REPLICATES, block):
        drawn = generator.multinomial(
            total, counts / total, size=min(block, REPLICATES - start)
        ).astype(np.float64)
        for part, side in zip(parts, sides, strict=True):
            part.append(_summed_by(drawn, side, n_classes))
    return class_shares(*(np.concatenate(part) for part in parts))


def _summed_by(drawn: Floats, side: Integers, n_classes: int) -> Floats:
    """Add up the columns that belong to the same class; index n_classes is dropped."""
    order = np.argsort(side, kind="stable")
    owners, starts = np.unique(side[order], return_index=True)
    sums = np.zeros((len(drawn), n_classes + 1))
    sums[:, owners] = np.add.reduceat(drawn[:, order], starts, axis=1)
    return sums[:, :n_classes]


def regression_quality(labels: Floats, predictions: Floats, confidence: float) -> ModelQuality:
    """Measure a regression on held-out rows: RMSE, MAE, bias (prediction − label) and R².

    R² is 1 − residual variance / label variance; it is left out when all labels are the same.

    Args:
        labels: (n_rows,), n_rows ≥ 1.
        predictions: (n_rows,), in the unit of the labels.
        confidence: of every interval, two-sided.

    Raises:
        EvaluationIncomplete: when a prediction is not a finite number.
    """
    if not np.isfinite(predictions).all():
        row = int(np.argmin(np.isfinite(predictions)))
        raise EvaluationIncomplete(
            f"the prediction of held-out row {row + 1} is {predictions[row]}, not a finite number"
        )
    errors = predictions - labels
    centred = labels - labels.mean()  # R² from raw sums would cancel where the mean is large
    columns = np.column_stack([errors, np.abs(errors), errors**2, centred, centred**2])
    values = _regression_metrics(columns.mean(axis=0, keepdims=True))
    resampled = _regression_metrics(resampled_means(columns))
    return ModelQuality(
        metrics={
            name: bootstrap_estimate(
                float(value[0]), resampled[name], rows=len(labels), confidence=confidence
            )
            for name, value in values.items()
            if np.isfinite(value[0])
        }
    )


def _regression_metrics(means: Floats) -> dict[str, Floats]:
    bias, mae, mse, centre, square = means.T
    variance = square - centre**2
    with np.errstate(invalid="ignore", divide="ignore"):
        r2 = np.where(variance > 0, 1 - mse / variance, np.nan)
    return {"rmse": np.sqrt(mse), "mae": mae, "r2": r2, "bias": bias}


def classification_baseline(labels: Integers, classes: Sequence[str]) -> NaiveBaseline:
    """Measure the constant prediction of the most frequent class, and of the class frequencies."""
    counts = np.bincount(labels, minlength=len(classes))
    shares = counts[counts > 0] / len(labels)
    return NaiveBaseline(
        answer=classes[int(counts.argmax())],
        metrics={
            "accuracy": float(shares.max()),
            "log_loss": float(-(shares * np.log(shares)).sum()) + 0.0,
        },
    )


def regression_baseline(labels: Floats) -> NaiveBaseline:
    """Measure the constant prediction of the mean of the held-out labels."""
    mean = float(labels.mean())
    return NaiveBaseline(
        answer=mean,
        metrics={
            "rmse": float(np.sqrt(((labels - mean) ** 2).mean())),
            "mae": float(np.abs(labels - mean).mean()),
        },
    )
