"""The metrics of a training job.

XGBoost computes some of them, the container others; one of them may end the training early.

The image's classification metrics interpret predictions as margins (`> 0` means class 1), but
XGBoost passes probabilities. They are therefore constant and wrong for `binary:logistic`, and wrong
for `multi:softmax`. A tuned or early-stopped job on AWS uses these values, so this container
reports the same values and logs a warning.

Source  docs/sagemaker-contract.md, "Metrics"
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refit_local.algorithms.xgboost.xgboost_library import xgb

_log = logging.getLogger(__name__)

MetricFunction = Callable[[NDArray[Any], NDArray[Any]], float]
CustomMetric = Callable[[NDArray[Any], xgb.DMatrix], list[tuple[str, float]]]

# Name to the function of sklearn.metrics and its arguments.
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
    """The metrics to report after each round.

    Attributes:
        native: computed by XGBoost; empty means its default for the objective.
        custom: computed by the container.
        stopping: the metric for early stopping, None if the job names no metric.
    """

    native: tuple[str, ...]
    custom: tuple[str, ...]
    stopping: str | None


def plan_metrics(eval_metric: Sequence[str] | None, tuning_objective: str | None) -> MetricPlan:
    """Split the metrics that a job requests.

    Args:
        eval_metric: the parsed hyperparameter, None if absent.
        tuning_objective: `validation:<metric>`, None if absent.
    """
    tuned = tuning_objective.split(":")[1].split(",") if tuning_objective else None
    if tuned and eval_metric:
        requested: Sequence[str] = sorted({*tuned, *eval_metric})
    else:
        requested = tuned or eval_metric or ()
    explicit = tuned or eval_metric
    return MetricPlan(
        native=tuple(dict.fromkeys(name for name in requested if not _is_custom(name))),
        custom=tuple(name for name in requested if _is_custom(name)),
        stopping=explicit[-1] if explicit else None,
    )


def custom_metric(names: Sequence[str], objective: str | None) -> CustomMetric | None:
    """Return the function that computes the container's metrics, None without any."""
    if not names:
        return None
    misread = [name for name in names if name in _CLASSIFICATION]
    if misread and objective in _MISREAD_OBJECTIVES:
        _log.warning(
            "%s: wrong for %s, here as in the image on AWS, because predictions are interpreted as "
            "margins. Do not tune or stop on these metrics: use auc, aucpr, logloss or error, or "
            "merror and mlogloss.",
            ", ".join(misread),
            objective,
        )
    functions = {name: _function(name) for name in names}

    def evaluate(predictions: NDArray[Any], matrix: xgb.DMatrix) -> list[tuple[str, float]]:
        labels = matrix.get_label()
        return [(name, function(labels, predictions)) for name, function in functions.items()]

    return evaluate


def _is_custom(name: str) -> bool:
    return name in _CLASSIFICATION or name in _REGRESSION


def _function(name: str) -> MetricFunction:
    from sklearn import metrics  # noqa: PLC0415 - takes a second to import, and few jobs need it

    if name in _REGRESSION:
        regression: MetricFunction = getattr(metrics, _REGRESSION[name])
        return regression
    function, arguments = _CLASSIFICATION[name]
    score = getattr(metrics, function)

    def classify_and_score(labels: NDArray[Any], predictions: NDArray[Any]) -> float:
        if not predictions.size:
            return 0.0
        return float(score(labels, _classes(predictions), **arguments))

    return classify_and_score


def _classes(predictions: NDArray[Any]) -> NDArray[np.int64]:
    if predictions.ndim > 1:
        classes: NDArray[np.int64] = np.argmax(predictions, axis=-1)
        return classes
    return (predictions > 0.0).astype(np.int64)
