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
    endpoint, instances = settings.deployment.instance_type, settings.deployment.instance_count
    serving = BLUE_GREEN * instances
    updates = f"an endpoint of {instances}, which has {serving} while it is updated"
    return [
        QuotaNeed(f"{training} for {kind} usage", 1, "one training job"),
        QuotaNeed(
            f"{TRANSFORM_INSTANCE} for transform job usage",
            TRANSFORMS,
            "challenger and champion are evaluated at the same time",
        ),
        QuotaNeed(f"{endpoint} for endpoint usage", serving, updates),
        QuotaNeed("Number of instances across all training jobs", 1, "one training job", True),
        QuotaNeed(
            "Number of instances across all transform jobs", TRANSFORMS, "two transform jobs", True
        ),
        QuotaNeed("Number of instances across active endpoints", serving, updates, True),
    ]
