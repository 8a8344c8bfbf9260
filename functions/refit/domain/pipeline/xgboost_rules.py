"""Refuse hyperparameters with which a training of XGBoost would fail, or would mean nothing.

Source  docs/sagemaker-contract.md, "Metrics"; which metrics fail: tests/integration/algorithms/
        test_planned_trainings.py, with the library of the image
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.errors import SettingsInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refit.domain.vocabulary import Task

BINARY, MANY = "binary:logistic", "multi:softprob"
# The container computes these from probabilities as if they were margins: the values are wrong.
BROKEN_METRICS = frozenset(
    "accuracy balanced_accuracy f1 f1_binary f1_macro precision precision_macro precision_micro "
    "recall recall_macro recall_micro".split()
)
_NEVER = frozenset(("aft-nloglik", "interval-regression-accuracy", "tweedie-nloglik"))
_FAILING_METRICS: Mapping[str, frozenset[str]] = {
    BINARY: _NEVER | {"merror", "mlogloss"},
    MANY: _NEVER
    | set(
        "auc error gamma-deviance gamma-nloglik logloss mae map mape mse ndcg poisson-nloglik r2 "
        "rmse rmsle".split()
    ),
}
_OF_TWO_CLASSES = frozenset(("f1_binary", "precision", "recall"))
_FAILING_OF_REGRESSIONS = (
    _NEVER | BROKEN_METRICS | {"auc", "aucpr", "map", "merror", "mlogloss", "ndcg"}
)
_USUAL_METRICS: Mapping[str, str] = {
    BINARY: "auc, aucpr, error, logloss",
    MANY: "mlogloss, merror, accuracy, balanced_accuracy, f1_macro",
}
_WHERE = "model.toml: [training.hyperparameters]"


def check_objective(task: Task, classes: int | None, given: Mapping[str, str]) -> None:
    """Check that the objective of the settings, if they have one, fits the label.

    Raises:
        SettingsInvalid: names the objective, and what is allowed.
    """
    objective = given.get("objective")
    if objective is None:
        return
    if task == "regression" and not objective.startswith(("reg:", "count:poisson")):
        raise SettingsInvalid(
            f"{_WHERE} objective = {objective!r}: the label is a number; allowed: reg:… or "
            "count:poisson (or set [data] task = 'classification')"
        )
    allowed = (BINARY, MANY) if classes == 2 else (MANY,)
    if task == "classification" and objective not in allowed:
        several = f"; {BINARY} is for two, and there are {classes}"
        raise SettingsInvalid(
            f"{_WHERE} objective = {objective!r}: classes need probabilities; allowed: "
            f"{' or '.join(allowed)}{several if objective == BINARY else ''}"
        )


def check_xgboost(
    task: Task,
    classes: int | None,
    hyperparameters: Mapping[str, str],
    *,
    has_weights: bool,
    script: bool,
) -> None:
    """Check the hyperparameters of a job, those of the settings included.

    Args:
        task: of the model.
        classes: number of classes; None for a regression.
        hyperparameters: of the job.
        has_weights: whether Refit writes row weights.
        script: whether a program of the user trains, which may compute metrics of its own.

    Raises:
        SettingsInvalid: names the hyperparameter, its value, and what is allowed.
    """
    check_objective(task, classes, hyperparameters)
    _check_classes(classes, hyperparameters)
    if not script:
        _check_metrics(classes, hyperparameters)
    _check_weights(has_weights, hyperparameters.get("csv_weights", "0"))


def _check_classes(classes: int | None, hyperparameters: Mapping[str, str]) -> None:
    given = hyperparameters.get("num_class")
    objective = hyperparameters["objective"]
    if given is None or (objective == MANY and int(given) == classes):
        return
    if objective == MANY:
        reason = f"the label has {classes} classes"
    else:
        reason = f"with the objective {objective}, XGBoost takes no number of classes"
    raise SettingsInvalid(
        f"{_WHERE} num_class = {given}: {reason}; leave num_class out, Refit sets it if it is "
        "needed"
    )


def _check_metrics(classes: int | None, hyperparameters: Mapping[str, str]) -> None:
    objective = hyperparameters["objective"]
    metrics = [name.partition("@")[0] for name in hyperparameters["eval_metric"].split(",")]
    broken = BROKEN_METRICS.intersection(metrics)
    if objective == BINARY and broken:
        raise SettingsInvalid(
            f"{_WHERE} eval_metric = {', '.join(sorted(broken))}: the XGBoost image computes it "
            f"wrongly for {BINARY}; allowed: {_USUAL_METRICS[BINARY]}"
        )
    failing = _FAILING_METRICS.get(objective, _FAILING_OF_REGRESSIONS)
    if classes is not None and classes > 2:
        failing |= _OF_TWO_CLASSES
    if refused := failing.intersection(metrics):
        usual = _USUAL_METRICS.get(objective, "rmse, mae, mape, mse, rmsle, mphe, r2")
        raise SettingsInvalid(
            f"{_WHERE} eval_metric = {', '.join(sorted(refused))}: the XGBoost image does not "
            f"compute it for {objective}; allowed: {usual}"
        )


def _check_weights(has_weights: bool, csv_weights: str) -> None:
    """Check that the container reads row weights exactly if Refit writes them."""
    if csv_weights == ("1" if has_weights else "0"):
        return
    if has_weights:
        raise SettingsInvalid(
            f"{_WHERE} csv_weights = {csv_weights!r}: the container would read the row weights of "
            "[data] weight as a feature; leave csv_weights out, Refit sets it to 1"
        )
    raise SettingsInvalid(
        f"{_WHERE} csv_weights: the container would read the first feature as row weights; leave "
        "it out, and name the column of the row weights in [data] weight"
    )
