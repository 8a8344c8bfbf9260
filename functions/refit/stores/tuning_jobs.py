"""Read SageMaker tuning jobs and their trials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refit.domain.pipeline.tuning_record import Trial, TuningRecord
from refit.stores.clients import translate_transient_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

_PAGE_SIZE = 100


class TuningJobs:
    """The tuning jobs of the account."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def read(self, name: str) -> TuningRecord:
        """Return a tuning job with its trials, in the order of their numbers."""
        with translate_transient_errors():
            job = self._client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
            trials = tuple(self._trials(name))
        objective = job["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
        return TuningRecord(
            job=name,
            status=job["HyperParameterTuningJobStatus"],
            metric=objective["MetricName"],
            maximize=objective["Type"] == "Maximize",
            trials=trials,
            reason=job.get("FailureReason"),
        )

    def model_of(self, trial: Trial) -> tuple[str, str]:
        """Return the image and the model archive of a trial."""
        with translate_transient_errors():
            job = self._client.describe_training_job(TrainingJobName=trial.name)
        return (
            job["AlgorithmSpecification"]["TrainingImage"],
            job["ModelArtifacts"]["S3ModelArtifacts"],
        )

    def _trials(self, name: str) -> Iterator[Trial]:
        pages = self._client.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
        for page in pages.paginate(
            HyperParameterTuningJobName=name,
            SortBy="Name",
            SortOrder="Ascending",
            PaginationConfig={"PageSize": _PAGE_SIZE},
        ):
            yield from map(_trial, page["TrainingJobSummaries"])


def _trial(job: dict[str, Any]) -> Trial:
    metric = job.get("FinalHyperParameterTuningJobObjectiveMetric", {})
    began, ended = job.get("TrainingStartTime"), job.get("TrainingEndTime")
    return Trial(
        name=job["TrainingJobName"],
        status=job["TrainingJobStatus"],
        hyperparameters=job["TunedHyperParameters"],
        objective=metric.get("Value"),
        seconds=round((ended - began).total_seconds(), 1) if began and ended else None,
        reason=job.get("FailureReason"),
    )
