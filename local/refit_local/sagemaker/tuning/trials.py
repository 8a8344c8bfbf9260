"""Summaries of trials, as ListTrainingJobsForHyperParameterTuningJob and Describe show them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from refit_local.sagemaker.jobs.training_metrics import OBJECTIVE_METRIC
from refit_local.sagemaker.records.job_kinds import FINAL_STATUSES
from refit_local.sagemaker.records.naming import TRAINING_JOB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit_local.sagemaker.records.store import Record, RecordStore

_COPIED = (
    "TrainingJobName",
    "TrainingJobArn",
    "CreationTime",
    "TrainingStartTime",
    "TrainingEndTime",
    "TrainingJobStatus",
    "FailureReason",
)
_RETRYABLE = ("InternalServerError", "CapacityError")


def trials_of(store: RecordStore, tuning_arn: str) -> list[Record]:
    """Return the training jobs of a tuning job, in the order of their creation."""
    jobs = [job for job in store.all(TRAINING_JOB) if job.get("TuningJobArn") == tuning_arn]
    return sorted(jobs, key=lambda job: str(job["_key"]))


def objective_of(job: Record) -> float | None:
    """Return the last value of the objective of a training job that has ended."""
    values = {m["MetricName"]: m["Value"] for m in job.get("FinalMetricDataList", [])}
    return (
        values.get(OBJECTIVE_METRIC)
        if job["TrainingJobStatus"] in ("Completed", "Stopped")
        else None
    )


def summary(job: Record) -> Record:
    """Return the HyperParameterTrainingJobSummary of a training job."""
    value = objective_of(job)
    ended = job["TrainingJobStatus"] in FINAL_STATUSES
    metric = {"FinalHyperParameterTuningJobObjectiveMetric": {"MetricName": job["_objective"]}}
    if value is not None:
        metric["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] = value
    status = "Pending" if not ended else "Succeeded" if value is not None else "Failed"
    return {
        **{name: job[name] for name in _COPIED if name in job},
        "TunedHyperParameters": job["_tuned"],
        "ObjectiveStatus": status,
        **(metric if value is not None else {}),
    }


def best_of(jobs: Sequence[Record], *, maximize: bool) -> Record | None:
    """Return the completed training job with the best objective."""
    scored = [
        (value, job)
        for job in jobs
        if job["TrainingJobStatus"] == "Completed" and (value := objective_of(job)) is not None
    ]
    if not scored:
        return None
    sign = -1 if maximize else 1
    return min(scored, key=lambda pair: sign * pair[0])[1]


def counters(jobs: Sequence[Record]) -> Record:
    """Return the counters of DescribeHyperParameterTuningJob."""
    statuses = Counter(_counted_status(job) for job in jobs)
    objectives = Counter(str(summary(job)["ObjectiveStatus"]) for job in jobs)
    names = ("Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped")
    return {
        "TrainingJobStatusCounters": {name: statuses[name] for name in names},
        "ObjectiveStatusCounters": {
            name: objectives[name] for name in ("Succeeded", "Pending", "Failed")
        },
    }


def _counted_status(job: Record) -> str:
    status: Any = job["TrainingJobStatus"]
    if status == "Failed":
        is_retryable = job.get("FailureReason", "").startswith(_RETRYABLE)
        return "RetryableError" if is_retryable else "NonRetryableError"
    return "InProgress" if status == "Stopping" else str(status)
