"""The account's quotas of instances, counted over the jobs that run and the endpoints.

AWS     refuses a job or an endpoint whose instances, with those that are in use, exceed a quota:
        that of the instance type and use, or that of all instances of the use
Source  the texts of the error in aws-samples/aws-genai-llm-chatbot, issue 244, awsdocs/
        amazon-sagemaker-developer-guide, issue 70, and aws-samples/
        sagemaker-custom-project-templates, issue 51. An update has its old and its new instances at
        the same time: SageMaker Developer Guide, "Blue/Green Deployments". A tuning job is refused
        if its trials at a time are more: "Resource Limits for Automatic Model Tuning", and users
        who got the error from CreateHyperParameterTuningJob. Not documented: that AWS
        counts both, that a job counts until it has stopped, that a name in use is refused first

A failed endpoint has no instances.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from refit_local.sagemaker.records.job_kinds import TRAINING, TUNING, UNFINISHED_STATUSES
from refit_local.sagemaker.records.naming import ENDPOINT
from refit_local.sagemaker.wire.errors import ResourceLimitExceeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from refit_local.sagemaker.records.job_kinds import JobKind
    from refit_local.sagemaker.records.store import Record, RecordStore

PENDING = "_pending_variants"
"""The member of an endpoint's record with the variants of a deployment in progress."""

_OF_TRAINING = "Number of instances across all training jobs"
_OF_TRANSFORM = "Number of instances across all transform jobs"
_OF_ENDPOINTS = "Number of instances across active endpoints"


class InstanceQuotas:
    """Refuses what exceeds the account's quotas. Check and add the record under the store's lock.

    Args:
        store: the jobs and endpoints that use instances.
        quota: returns the value of a quota, given its name in Service Quotas; None is no limit.
    """

    def __init__(self, store: RecordStore, quota: Callable[[str], float] | None) -> None:
        self._store = store
        self._quota = quota

    def check_job(self, kind: JobKind, record: Record) -> None:
        """Refuse a job whose instances are more than its quotas leave.

        Raises:
            ResourceLimitExceeded: with the name of the quota.
        """
        counted = TRAINING if kind == TUNING else kind  # a tuning job has those of its trials
        running = (
            _instances_of_job(counted, job)
            for job in self._store.all(counted.resource)
            if job[counted.status_member] in UNFINISHED_STATUSES
        )
        self._check(_instances_of_job(kind, record), running)

    def check_endpoint(self, variants: Iterable[Mapping[str, Any]]) -> None:
        """Refuse variants whose instances are more than the quotas of endpoints leave.

        Raises:
            ResourceLimitExceeded: with the name of the quota.
        """
        active = (
            _instances_of_variants(
                [*record.get("_live", {}).get("variants", []), *record.get(PENDING, [])]
            )
            for record in self._store.all(ENDPOINT)
            if record["EndpointStatus"] != "Failed"
        )
        self._check(_instances_of_variants(variants), active)

    def _check(self, wanted: Counter[str], in_use: Iterable[Counter[str]]) -> None:
        if self._quota is None:
            return
        used: Counter[str] = Counter()
        for instances in in_use:
            used.update(instances)
        for name, delta in wanted.items():
            limit = int(self._quota(name))
            if used[name] + delta > limit:
                raise ResourceLimitExceeded(
                    f"The account-level service limit '{name}' is {limit} Instances, with current "
                    f"utilization of {used[name]} Instances and a request delta of {delta} "
                    "Instances. Please use AWS Service Quotas to request an increase for this "
                    "quota. If AWS Service Quotas is not available, contact AWS support to request "
                    "an increase for this quota."
                )


def _instances_of_job(kind: JobKind, job: Record) -> Counter[str]:
    """Return the instances of a job by the names of the quotas that count them."""
    if kind == TUNING:
        parallel = job["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxParallelTrainingJobs"]
        of_trial = _instances_of_job(TRAINING, job["TrainingJobDefinition"])
        return Counter({name: parallel * count for name, count in of_trial.items()})
    if kind == TRAINING:
        use = "spot training job" if job.get("EnableManagedSpotTraining") else "training job"
        resources, total = job["ResourceConfig"], _OF_TRAINING
    else:
        use, resources, total = "transform job", job["TransformResources"], _OF_TRANSFORM
    count = resources.get("InstanceCount", 1)
    return Counter({f"{resources['InstanceType']} for {use} usage": count, total: count})


def _instances_of_variants(variants: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Return the instances of variants by the names of the quotas that count them."""
    instances: Counter[str] = Counter()
    for variant in variants:
        if "InstanceType" in variant:  # a serverless variant has no instances
            count = variant["InitialInstanceCount"]
            instances[f"{variant['InstanceType']} for endpoint usage"] += count
            instances[_OF_ENDPOINTS] += count
    return instances
