"""The metric by which the gate judges a run, and the metrics that are shown with it.

The plan of the training, the evaluation and the gate of a run call this with the same settings and
the same training labels, so they agree. This module does not import NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.errors import SettingsInvalid
from refit.domain.quality_metrics import (
    IMBALANCED_METRIC,
    METRICS,
    USUAL_METRIC,
    judging_metrics,
    shown_beside_log_loss,
)

if TYPE_CHECKING:
    from refit.domain.evaluation.report import Evaluation, Imbalance
    from refit.domain.model_settings import GateSettings
    from refit.domain.vocabulary import Task


def deciding_metric(
    task: Task, settings: GateSettings, n_classes: int | None, imbalance: Imbalance | None
) -> str:
    """Return the metric that decides.

    Args:
        task: of the model.
        settings: `[gate]` of model.toml.
        n_classes: number of classes; None for a regression.
        imbalance: of the training rows; None if no class is rare.

    Raises:
        SettingsInvalid: when `[gate] metric` does not exist for the task or the number of classes.
    """
    if settings.metric == "auto":
        return IMBALANCED_METRIC if imbalance else USUAL_METRIC[task]
    possible = judging_metrics(task, n_classes)
    if settings.metric not in possible:
        table = METRICS[settings.metric]
        problem = f"does not exist for a {task}"
        if table.task == task:
            problem = f"needs exactly two classes, and there are {n_classes}"
        raise SettingsInvalid(
            f"[gate] metric = {settings.metric!r} {problem}; allowed: auto, {', '.join(possible)}"
        )
    return settings.metric


def headline_metrics(evaluation: Evaluation) -> list[str]:
    """Return the metrics that are shown: the deciding one first, then the usual ones."""
    first = [evaluation.metric] if evaluation.metric else []
    if evaluation.imbalance and evaluation.classes:
        first.append(shown_beside_log_loss(len(evaluation.classes)))
    usual = [name for name, table in METRICS.items() if table.is_headline]
    return [
        name
        for name in dict.fromkeys([*first, *usual])
        if name in evaluation.new.challenger.metrics
    ]
