"""The rules between hyperparameters, which hyperparameters.json cannot express.

The messages are the image's, spelling included.
"""

from collections.abc import Callable, Mapping
from typing import Any

from refit_local.algorithms.xgboost.errors import UserError

_TREE_UPDATERS = (
    "grow_colmaker",
    "distcol",
    "grow_histmaker",
    "grow_skmaker",
    "sync",
    "refresh",
    "prune",
    "grow_quantile_histmaker",
)
_TREE_GROWERS = ("grow_colmaker", "distcol", "grow_histmaker", "grow_quantile_histmaker")
_LINEAR_UPDATERS = ("shotgun", "coord_descent")


def _check_updater(updaters: list[str], dependencies: Mapping[str, Any]) -> None:
    if dependencies.get("booster") == "gblinear":
        if len(updaters) != 1 or updaters[0] not in _LINEAR_UPDATERS:
            options = ", ".join(f"'{updater}'" for updater in _LINEAR_UPDATERS)
            raise UserError(f"Linear updater should be one of these options: {options}.")
    elif dependencies.get("process_type") == "update":
        if not set(updaters) <= {"refresh", "prune"}:
            raise UserError(
                "process_type 'update' can only be used with updater 'refresh' and 'prune'"
            )
    elif not set(updaters) <= set(_TREE_UPDATERS):
        raise UserError(
            "Tree updater should be selected from these options: 'grow_colmaker', 'distcol', "
            "'grow_histmaker', 'grow_skmaker', 'grow_quantile_histmaker', 'sync', 'refresh', "
            "'prune', 'shortgun', 'coord_descent'."
        )
    elif sum(updater in _TREE_GROWERS for updater in updaters) > 1:
        raise UserError(
            "Only one tree grow plugin can be selected. Choose one from the"
            "following: 'grow_colmaker', 'distcol', 'grow_histmaker', 'grow_skmaker'"
        )


def _check_objective(objective: str, dependencies: Mapping[str, Any]) -> None:
    if objective in ("multi:softmax", "multi:softprob") and "num_class" not in dependencies:
        raise UserError("Require input for parameter 'num_class' for multi-classification")


def _check_eval_metric(metrics: list[str], dependencies: Mapping[str, Any]) -> None:
    objective = dependencies["objective"]
    if "auc" in metrics and not objective.startswith(("binary:", "rank:")):
        raise UserError("Metric 'auc' can only be applied for classification and ranking problems.")
    if "aft-nloglik" in metrics and objective != "survival:aft":
        raise UserError("Metric 'aft-nloglik' can only be applied for 'survival:aft' objective.")


def _check_monotone_constraints(_: Any, dependencies: Mapping[str, Any]) -> None:
    if dependencies.get("tree_method") not in ("exact", "hist"):
        raise UserError(
            "monotone_constraints can be used only when the tree_method parameter is set to "
            "either 'exact' or 'hist'."
        )


def _check_interaction_constraints(_: Any, dependencies: Mapping[str, Any]) -> None:
    if dependencies.get("tree_method") not in ("exact", "hist", "approx"):
        raise UserError(
            "interaction_constraints can be used only when the tree_method parameter is set to "
            "either 'exact', 'hist' or 'approx'."
        )


# Hyperparameter to the check of its value against the validated ones that it depends on.
RULES: Mapping[str, Callable[[Any, Mapping[str, Any]], None]] = {
    "updater": _check_updater,
    "objective": _check_objective,
    "eval_metric": _check_eval_metric,
    "monotone_constraints": _check_monotone_constraints,
    "interaction_constraints": _check_interaction_constraints,
}
