"""The operations of hyperparameter tuning jobs.

Source  docs/sagemaker-contract.md, "Tuning jobs"
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refit_local.sagemaker.jobs.jobs import Jobs
from refit_local.sagemaker.jobs.training_jobs import TrainingJobs, check_training
from refit_local.sagemaker.jobs.training_metrics import metric_definitions
from refit_local.sagemaker.records.job_kinds import FINAL_STATUSES, TUNING
from refit_local.sagemaker.tuning.checks import check_tuning, jobs_of
from refit_local.sagemaker.tuning.trials import counters, objective_of, summary, trials_of
from refit_local.sagemaker.tuning.tuning_run import TuningRun, trial_request
from refit_local.sagemaker.tuning.warm_start import known_trials, parents_of
from refit_local.sagemaker.wire.errors import NotImplementedLocally, ValidationException
from refit_local.sagemaker.wire.listing import list_answer

if TYPE_CHECKING:
    from refit_local.sagemaker.platform import Platform
    from refit_local.sagemaker.records.store import Record


class TuningJobs(Jobs):
    """The tuning jobs of this local SageMaker."""

    kind = TUNING
    run_class = TuningRun
    name_taken = (
        "Hyperparameter tuning job names must be unique within an AWS account and region, and a "
        "hyperparameter tuning job with this name already exists ({arn})"
    )
    not_found = "Amazon SageMaker can't find a tuning job with the name {name}."

    def __init__(self, platform: Platform, training: TrainingJobs) -> None:
        super().__init__(platform)
        self._training = training

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        """List tuning jobs; unlike other lists, by name and ascending unless asked otherwise."""
        records = [
            {**job, "Strategy": config["Strategy"], "ResourceLimits": config["ResourceLimits"]}
            for job in self._platform.store.all(self.kind.resource)
            for config in [job["HyperParameterTuningJobConfig"]]
        ]
        return list_answer(
            "ListHyperParameterTuningJobs",
            {"SortBy": "Name", **request},
            records,
            name=self.kind.name_member,
            status=self.kind.status_member,
            order="Ascending",
        )

    def list_trials(self, request: dict[str, Any]) -> dict[str, Any]:
        """ListTrainingJobsForHyperParameterTuningJob."""
        tuning = self._get(request[self.kind.name_member])
        jobs = trials_of(self._platform.store, tuning[self.kind.arn_member])
        by_objective = request.get("SortBy") == "FinalObjectiveMetricValue"
        records = [
            {**summary(job), "_key": job["_key"], "_value": objective_of(job)}
            for job in jobs
            if not by_objective or objective_of(job) is not None
        ]
        filters = {k: v for k, v in request.items() if k != self.kind.name_member}
        filters["SortBy"] = "Value" if by_objective else request.get("SortBy", "Name")
        return list_answer(
            "ListTrainingJobsForHyperParameterTuningJob",
            filters,
            records,
            name="TrainingJobName",
            status="TrainingJobStatus",
            order="Ascending",
            value="_value",
        )

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        """DeleteHyperParameterTuningJob: the training jobs and their models stay."""
        record = self._get(request[self.kind.name_member])
        status = record[self.kind.status_member]
        if status not in FINAL_STATUSES:
            raise ValidationException(
                "The request was rejected because the hyperparameter tuning job is in status "
                f"{status}."
            )
        self._platform.store.remove(self.kind.resource, record["_key"])
        return {}

    def _initial_members(self, request: dict[str, Any], created_at: float) -> Record:
        check_tuning(request)
        parents_of(self._platform.store, request)
        trial = trial_request(request, "check-00000000", {})
        check_training(trial, self._platform.images)
        if self._platform.images.is_own(trial["AlgorithmSpecification"]["TrainingImage"]):
            raise NotImplementedLocally("a tuning job of a container of your own")
        config = request["HyperParameterTuningJobConfig"]
        definition = request["TrainingJobDefinition"]
        objective = config["HyperParameterTuningJobObjective"]["MetricName"]
        return {
            "HyperParameterTuningJobConfig": {
                "TrainingJobEarlyStoppingType": "Off",
                **config,
                "ResourceLimits": {
                    **config["ResourceLimits"],
                    "MaxNumberOfTrainingJobs": jobs_of(config),
                },
            },
            "TrainingJobDefinition": {
                **definition,
                "StaticHyperParameters": {
                    **definition.get("StaticHyperParameters", {}),
                    "_tuning_objective_metric": objective,
                },
                "AlgorithmSpecification": {
                    **definition["AlgorithmSpecification"],
                    "MetricDefinitions": metric_definitions(),
                },
            },
            **counters([]),
        }

    def _new_run(self, record: Record) -> TuningRun:
        parents = [
            parent
            for named in record.get("WarmStartConfig", {}).get("ParentHyperParameterTuningJobs", [])
            if (
                parent := self._platform.store.get(
                    self.kind.resource, named["HyperParameterTuningJobName"]
                )
            )
        ]
        known = list(known_trials(self._platform.store, parents))
        return TuningRun(self._platform, record, self._training, parents, known)
