"""Which SageMaker instances a model needs at the same time, as names of quotas.

SageMaker has one quota for each instance type and use, and one for all instances of a use. The
names are those of Service Quotas; docs/aws-assumptions.md has their sources.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit.domain.pipeline.training_plan import INSTANCES
from refit.usecases.plan_evaluation import TRANSFORM_INSTANCE

if TYPE_CHECKING:
    from refit.domain.model_settings import ModelSettings

# The challenger and the champion are evaluated at the same time.
TRANSFORMS = 2
# An update starts the new instances before it ends the old ones.
BLUE_GREEN = 2


@dataclass(frozen=True)
class QuotaNeed:
    """One quota of SageMaker that a model needs.

    Attributes:
        quota: its name in Service Quotas.
        count: instances that are needed at the same time.
        why: what they are for.
        is_total: whether it counts the instances of all types.
    """

    quota: str
    count: int
    why: str
    is_total: bool = False


def quotas_needed(settings: ModelSettings) -> list[QuotaNeed]:
    """Return the quotas that one model with these settings needs."""
    training = settings.training.instance_type or INSTANCES[0][0]
    kind = "spot training job" if settings.training.spot else "training job"
    trainings, trained = _trainings(settings)
    transforms = max(TRANSFORMS, _folds_at_a_time(settings))
    endpoint, instances = settings.deployment.instance_type, settings.deployment.instance_count
    beside = ""
    if settings.data.features_from:  # the endpoint serves the other model beside this one
        instances *= 2
        beside = f", half of them for [data] features_from = {settings.data.features_from!r}"
    serving = BLUE_GREEN * instances
    updates = f"an endpoint of {instances}, which has {serving} while it is updated{beside}"
    return [
        QuotaNeed(f"{training} for {kind} usage", trainings, trained),
        QuotaNeed(
            f"{TRANSFORM_INSTANCE} for transform job usage",
            transforms,
            "challenger and champion are evaluated at the same time"
            if transforms == TRANSFORMS
            else f"{transforms} folds are predicted at the same time",
        ),
        QuotaNeed(f"{endpoint} for endpoint usage", serving, updates),
        QuotaNeed("Number of instances across all training jobs", trainings, trained, True),
        QuotaNeed(
            "Number of instances across all transform jobs",
            transforms,
            f"{transforms} transform jobs",
            True,
        ),
        QuotaNeed("Number of instances across active endpoints", serving, updates, True),
    ]


def _trainings(settings: ModelSettings) -> tuple[int, str]:
    """Return how many training jobs run at the same time, and why."""
    trials = settings.tuning.max_parallel if settings.tuning.max_jobs else 1
    folds = _folds_at_a_time(settings)
    if max(trials, folds) == 1:
        return 1, "one training job"
    if trials >= folds:
        return trials, f"{trials} trials of a tuning job at the same time"
    return folds, f"{folds} folds are trained at the same time"


def _folds_at_a_time(settings: ModelSettings) -> int:
    training = settings.training
    return min(training.folds, training.folds_at_a_time) if training.folds else 1
