"""Plan the jobs of a run from its settings and its data, without any service.

PlanTraining calls this for a run. `refit check` and `refit put` call it before there is one, so
that they refuse what a run would refuse.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from refit.domain.evaluation.deciding_metric import deciding_metric
from refit.domain.evaluation.positive_class import positive_class
from refit.domain.pipeline.training_plan import plan_training
from refit.domain.pipeline.tuning_plan import plan_tuning

if TYPE_CHECKING:
    from refit.domain.evaluation.training_labels import TrainingLabels
    from refit.domain.model_settings import ModelSettings
    from refit.domain.pipeline.training_plan import DataShape, TrainingPlan
    from refit.domain.pipeline.tuning_plan import TuningPlan
    from refit.domain.schema import Schema


@dataclass(frozen=True)
class PlannedJobs:
    """The parts of the jobs that depend on the data.

    Attributes:
        tuning: None without `[tuning] max_jobs`.
    """

    training: TrainingPlan
    tuning: TuningPlan | None


def plan_jobs(
    settings: ModelSettings, schema: Schema, labels: TrainingLabels, shape: DataShape
) -> PlannedJobs:
    """Plan the training job, and the tuning job if there is one.

    Args:
        settings: of the run.
        schema: of the prepared rows.
        labels: how often each class occurs in the training rows.
        shape: of the prepared data; whether rows have weights, and the share of the rarest class,
            are taken from the settings and the labels.

    Raises:
        SettingsInvalid: when the settings do not fit the prepared data.
    """
    metric = deciding_metric(shape.task, settings.gate, shape.classes, labels.imbalance())
    positive = positive_class(settings.prediction, schema)
    shape = replace(
        shape, rare_share=labels.rare_share, has_weights=settings.data.weight is not None
    )
    training = plan_training(shape, settings.training, metric, positive)
    tuning = None
    if settings.tuning.is_on:
        tuning = plan_tuning(shape, training.hyperparameters, settings.training, settings.tuning)
    return PlannedJobs(training, tuning)
