"""The metrics of a training job: which XGBoost computes, which the container, which ends it early.

The image's own classification metrics take predictions for margins (`> 0` means class 1), but
XGBoost hands them probabilities. For `binary:logistic` they are therefore constant and wrong, and
for `multi:softmax` wrong too. A tuned or early-stopped job would run into that on AWS as well, so
the numbers are the same here and the log says so.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_log = logging.getLogger(__name__)

Metric = Callable[[np.ndarray, np.ndarray], float]
CustomMetric = Callable[[np.ndarray, Any], list[tuple[str, float]]]

# Name to function of sklearn.metrics and its arguments.
_CLASSIFICATION: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "accuracy": ("accuracy_score", {}),
    "balanced_accuracy": ("balanced_accuracy_score", {}),
    "f1": ("f1_score", {"average": "macro"}),
    "f1_binary": ("f1_score", {"average": "binary"}),
    "f1_macro": ("f1_score", {"average": "macro"}),
    "precision": ("precision_score", {}),
    "precision_macro": ("precision_score", {"average": "macro"}),
    "precision_micro": ("precision_score", {"average": "micro"}),
    "recall": ("recall_score", {}),
    "recall_macro": ("recall_score", {"average": "macro"}),
    "recall_micro": ("recall_score", {"average": "micro"}),
}
_REGRESSION: Mapping[str, str] = {
    "mae": "mean_absolute_error",
    "mse": "mean_squared_error",
    "rmse": "root_mean_squared_error",
    "r2": "r2_score",
}
_MISREAD_OBJECTIVES = ("binary:logistic", "multi:softmax")


@dataclass(frozen=True)
class MetricPlan:
    """What to report each round.

    `native` goes to XGBoost (empty: its default for the objective), `custom` is computed here, and
    `stopping` is the metric that early stopping would watch, None without an explicit one.
    """

    native: tuple[str, ...]
    custom: tuple[str, ...]
    stopping: str | None


def plan(eval_metric: Sequence[str] | None, tuning_objective: str | None) -> MetricPlan:
    """Split the metrics that a job asks for.

    Args:
        eval_metric: the parsed hyperparameter, None when absent.
        tuning_objective: `validation:<metric>`, None when absent.
    """
    tuned = tuning_objective.split(":")[1].split(",") if tuning_objective else None
    if tuned and eval_metric:
        wanted: Sequence[str] = sorted({*tuned, *eval_metric})
    else:
        wanted = tuned or eval_metric or ()
    explicit = tuned or eval_metric
    return MetricPlan(
        native=tuple(dict.fromkeys(name for name in wanted if not _is_custom(name))),
        custom=tuple(name for name in wanted if _is_custom(name)),
        stopping=explicit[-1] if explicit else None,
    )


def custom_metric(names: Sequence[str], objective: str | None) -> CustomMetric | None:
    """Return the function that computes the container's metrics, None when there are none."""
    if not names:
        return None
    misread = [name for name in names if name in _CLASSIFICATION]
    if misread and objective in _MISREAD_OBJECTIVES:
        _log.warning(
            "%s: wrong for %s, here as in the image on AWS, because predictions are taken for "
            "margins. Do not tune or stop on them: use auc, aucpr, logloss or error, or merror and "
            "mlogloss.",
            ", ".join(misread),
            objective,
        )
    functions = {name: _function(name) for name in names}

    def evaluate(predictions: np.ndarray, matrix: Any) -> list[tuple[str, float]]:
        labels = matrix.get_label()
        return [(name, function(labels, predictions)) for name, function in functions.items()]

    return evaluate


def _is_custom(name: str) -> bool:
    return name in _CLASSIFICATION or name in _REGRESSION


def _function(name: str) -> Metric:
    from sklearn import metrics  # noqa: PLC0415 - a second's import that few jobs need

    if name in _REGRESSION:
        return getattr(metrics, _REGRESSION[name])
    function, arguments = _CLASSIFICATION[name]
    score = getattr(metrics, function)

    def classify_and_score(labels: np.ndarray, predictions: np.ndarray) -> float:
        if not predictions.size:
            return 0.0
        return score(labels, _classes(predictions), **arguments)

    return classify_and_score


def _classes(predictions: np.ndarray) -> np.ndarray:
    if predictions.ndim > 1:
        return np.argmax(predictions, axis=-1)
    return (predictions > 0.0).astype(int)
