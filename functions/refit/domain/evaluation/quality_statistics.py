"""Quality of the challenger in the format of SageMaker Model Monitor's `statistics.json`.

SageMaker Studio and the model registry show this format (ModelMetrics.ModelQuality.Statistics of a
model package). The names are Model Monitor's: `binary_classification_metrics`,
`multiclass_classification_metrics` or `regression_metrics`. Of two classes, class 1 is positive.

Source: Amazon SageMaker Developer Guide, "Model quality metrics and Amazon CloudWatch monitoring".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refit.domain.evaluation.metrics import confusion_matrix
from refit.domain.evaluation.resampling import SEED, Floats, Integers
from refit.domain.evaluation.weighted_statistics import class_shares

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from refit.domain.evaluation.outcomes import ClassOutcome

_SAMPLES = 5
_SAMPLE_SHARE = 0.8
_FEWEST_ROWS = 200
_CURVE_POINTS = 200
_BETAS = {"f0_5": 0.5, "f1": 1.0, "f2": 2.0}

Statistics = dict[str, Any]


def classification_statistics(
    labels: Integers, outcome: ClassOutcome, classes: Sequence[str]
) -> Statistics:
    """Return the statistics of a classifier on held-out rows.

    Args:
        labels: (n_rows,) class indices, n_rows ≥ 1.
        outcome: of the same rows.
        classes: texts of the classes, by index.
    """
    n_classes = len(classes)
    binary = outcome.second_class is not None
    constant = int(np.bincount(labels, minlength=n_classes).argmax())
    measured = _binary if binary else _multiclass

    def metrics(rows: Integers) -> dict[str, float]:
        truth, predicted = labels[rows], outcome.predicted[rows]
        values = measured(confusion_matrix(truth, predicted, n_classes))
        always = measured(confusion_matrix(truth, np.full_like(truth, constant), n_classes))
        values |= {
            f"{name}_best_constant_classifier": value
            for name, value in always.items()
            if not name.endswith("_rate")
        }
        if outcome.second_class is not None:
            values["auc"] = _area(*_roc(truth, outcome.second_class[rows]))
        return values

    matrix = confusion_matrix(labels, outcome.predicted, n_classes)
    statistics: Statistics = {
        "confusion_matrix": {
            actual: dict(zip(classes, counts, strict=True))
            for actual, counts in zip(classes, matrix.tolist(), strict=True)
        }
    } | _with_deviations(metrics, len(labels))
    if outcome.second_class is not None:
        statistics |= _curves(labels, outcome.second_class)
    kind = "binary" if binary else "multiclass"
    return _document(f"{kind}_classification_metrics", statistics, len(labels))


def regression_statistics(labels: Floats, predictions: Floats) -> Statistics:
    """Return the statistics of a regression on held-out rows.

    Args:
        labels: (n_rows,), n_rows ≥ 1.
        predictions: (n_rows,), finite.
    """

    def metrics(rows: Integers) -> dict[str, float]:
        truth = labels[rows]
        errors = predictions[rows] - truth
        mse, variance = float((errors**2).mean()), float(truth.var())
        return {
            "mae": float(np.abs(errors).mean()),
            "mse": mse,
            "rmse": mse**0.5,
            "r2": 1 - mse / variance if variance > 0 else float("nan"),
        }

    return _document("regression_metrics", _with_deviations(metrics, len(labels)), len(labels))


def _document(kind: str, metrics: Statistics, rows: int) -> Statistics:
    return {"version": 0.0, "dataset": {"item_count": rows}, kind: metrics}


def _with_deviations(metrics: Callable[[Integers], dict[str, float]], rows: int) -> Statistics:
    """Add to each metric the standard deviation over five samples of 80 % of the rows.

    Like Model Monitor, this needs at least 200 rows; otherwise the deviation is the text "NaN",
    which also represents an undefined metric.
    """
    values = metrics(np.arange(rows))
    deviations: dict[str, float] = {}
    if rows >= _FEWEST_ROWS:
        generator = np.random.default_rng(SEED)
        size = int(_SAMPLE_SHARE * rows)
        samples = [
            metrics(generator.choice(rows, size=size, replace=False)) for _ in range(_SAMPLES)
        ]
        deviations = {
            name: float(np.std([sample[name] for sample in samples], ddof=1)) for name in values
        }
    return {
        name: {
            "value": _number(value),
            "standard_deviation": _number(deviations.get(name, float("nan"))),
        }
        for name, value in values.items()
    }


def _number(value: float) -> float | str:
    return float(value) if np.isfinite(value) else "NaN"


def _multiclass(matrix: Integers) -> dict[str, float]:
    hits, support, predicted = (
        counts.astype(np.float64)
        for counts in (matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0))
    )
    shares = class_shares(hits, support, predicted)
    weights = support / support.sum()
    weighted = {
        f"weighted_{name}": float((_f_score(beta, hits, support, predicted) * weights).sum())
        for name, beta in _BETAS.items()
    }
    return {
        "accuracy": float(hits.sum() / support.sum()),
        "weighted_recall": float(shares.averages["weighted_recall"]),
        "weighted_precision": float(shares.averages["weighted_precision"]),
    } | weighted


def _binary(matrix: Integers) -> dict[str, float]:
    (true_negatives, false_positives), (false_negatives, true_positives) = matrix.tolist()
    positives, negatives = true_positives + false_negatives, true_negatives + false_positives
    predicted_positives = true_positives + false_positives
    recall = _share(true_positives, positives)
    specificity = _share(true_negatives, negatives)
    hits, support, predicted = (
        np.array([float(count)]) for count in (true_positives, positives, predicted_positives)
    )
    return {
        "recall": recall,
        "precision": _share(true_positives, predicted_positives),
        "accuracy": _share(true_positives + true_negatives, positives + negatives),
        "true_positive_rate": recall,
        "true_negative_rate": specificity,
        "false_positive_rate": 1 - specificity,
        "false_negative_rate": 1 - recall,
    } | {name: float(_f_score(beta, hits, support, predicted)[0]) for name, beta in _BETAS.items()}


def _share(count: int, of: int) -> float:
    return count / of if of else float("nan")


def _f_score(beta: float, hits: Floats, support: Floats, predicted: Floats) -> Floats:
    """Return the F score per class; 0 where a class neither occurs nor is predicted."""
    weight = beta * beta
    below = weight * support + predicted
    return np.divide((1 + weight) * hits, below, out=np.zeros_like(hits), where=below > 0)


def _counts_by_threshold(labels: Integers, scores: Floats) -> tuple[Integers, Integers]:
    """Count true and false positives for each threshold, from the highest score to the lowest."""
    order = np.argsort(-scores, kind="stable")
    descending = scores[order]
    last_of_ties = np.append(np.flatnonzero(np.diff(descending)), len(scores) - 1)
    true_positives = np.cumsum(labels[order] == 1)[last_of_ties]
    return true_positives, last_of_ties + 1 - true_positives


def _roc(labels: Integers, scores: Floats) -> tuple[Floats, Floats]:
    """Return false and true positive rates, from (0, 0) to (1, 1); NaN where a class is absent."""
    true_positives, false_positives = _counts_by_threshold(labels, scores)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (
            np.append(0.0, false_positives / false_positives[-1]),
            np.append(0.0, true_positives / true_positives[-1]),
        )


def _area(false_positive_rates: Floats, true_positive_rates: Floats) -> float:
    return float(np.trapezoid(true_positive_rates, false_positive_rates))


def _curves(labels: Integers, scores: Floats) -> Statistics:
    """Return both curves, thinned to at most 200 points, when both classes occur."""
    if len(np.unique(labels)) < 2:
        return {}
    false_positive_rates, true_positive_rates = _roc(labels, scores)
    true_positives, false_positives = _counts_by_threshold(labels, scores)
    precisions = true_positives / (true_positives + false_positives)
    return {
        "receiver_operating_characteristic_curve": {
            "false_positive_rates": _thinned(false_positive_rates),
            "true_positive_rates": _thinned(true_positive_rates),
        },
        "precision_recall_curve": {
            "precisions": _thinned(precisions),
            "recalls": _thinned(true_positives / true_positives[-1]),
        },
    }


def _thinned(values: Floats) -> list[float]:
    kept = np.linspace(0, len(values) - 1, min(len(values), _CURVE_POINTS)).round().astype(int)
    shown: list[float] = values[kept].tolist()
    return shown
