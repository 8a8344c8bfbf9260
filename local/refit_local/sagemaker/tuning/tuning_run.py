"""Carry one tuning job out: start trials, compare them, and end by one of its criteria.

AWS     starts training jobs as others end, stops weak ones early, and completes when all trials
        have ended or a completion criterion is met; it fails if no training job succeeds
Source  docs/sagemaker-contract.md, "Tuning jobs"; the reason of a failure in aws/
        amazon-sagemaker-examples, issue 2437. Not documented: that a job whose MaxRuntimeInSeconds
        is over is Stopped, and that it waits for instances that other jobs use
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refit_local.sagemaker.jobs.job_run import JobStates
from refit_local.sagemaker.records.job_kinds import FINAL_STATUSES, TRAINING, TUNING
from refit_local.sagemaker.records.naming import now
from refit_local.sagemaker.tuning.progress import SearchProgress, is_behind_the_median
from refit_local.sagemaker.tuning.search import Search, Suggestion
from refit_local.sagemaker.tuning.trials import best_of, counters, objective_of, summary, trials_of
from refit_local.sagemaker.wire.errors import (
    JobFailed,
    ResourceLimitExceeded,
    ValidationException,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refit_local.sagemaker.jobs.job_run import JobStep
    from refit_local.sagemaker.jobs.training_jobs import TrainingJobs
    from refit_local.sagemaker.platform import Platform
    from refit_local.sagemaker.records.store import Record

_POLL_S = 0.1
_FAILED_ATTEMPTS = 5
_DEFINITION_ONLY = ("StaticHyperParameters", "DefinitionName", "TuningObjective")


def trial_request(tuning: Mapping[str, Any], name: str, values: Mapping[str, str]) -> Record:
    """Return the CreateTrainingJob request of a trial.

    Args:
        tuning: the tuning job, or the request for it.
        name: of the training job.
        values: the hyperparameters that are searched.
    """
    definition = tuning["TrainingJobDefinition"]
    parts = {k: v for k, v in definition.items() if k not in _DEFINITION_ONLY}
    algorithm = {
        k: v for k, v in definition["AlgorithmSpecification"].items() if k != "MetricDefinitions"
    }
    return {
        **parts,
        "AlgorithmSpecification": algorithm,
        "TrainingJobName": name,
        "HyperParameters": {**definition.get("StaticHyperParameters", {}), **values},
    }


def _no_success(attempts: int) -> str:
    return (
        f"No training job succeeded after {attempts} attempts. Please take a look at the training "
        "job failures to get more details."
    )


@dataclass
class _Trial:
    """A trial that runs.

    Attributes:
        reported: number of rounds that Hyperband has seen.
    """

    name: str
    suggestion: Suggestion
    planned_rounds: int
    reported: int = 0
    is_stopping: bool = field(default=False)


class TuningRun(JobStates):
    """One tuning job that is being carried out."""

    kind = TUNING

    def __init__(
        self,
        platform: Platform,
        job: Record,
        training: TrainingJobs,
        parents: Sequence[Record],
        known: Sequence[tuple[dict[str, str], float]],
    ) -> None:
        super().__init__(platform, job)
        self._training = training
        self._parents = parents
        self._config: dict[str, Any] = job["HyperParameterTuningJobConfig"]
        self._limits: dict[str, Any] = self._config["ResourceLimits"]
        objective = self._config["HyperParameterTuningJobObjective"]
        self._metric: str = objective["MetricName"]
        self._maximize = objective["Type"] == "Maximize"
        self._search = Search(self._config, known)
        self._progress = SearchProgress(self._maximize)
        self._running: list[_Trial] = []
        self._launched = 0
        self._completed = 0
        self._ended_values: list[list[float]] = []

    def run(self) -> None:
        """Do the job. In every case it ends in a final status, after its trials."""
        try:
            self._fail_if_ordered()
            status = self._tune()
            if status is not None:
                self._finish(status)
        except JobFailed as failure:
            self._finish("Failed", failure.reason)
        finally:
            if not self._finished:
                self.abandon()

    def end(self) -> None:
        """End because the service ends, which ends the trials."""
        self._service_ended.set()

    def _tune(self) -> str | None:
        """Return the final status; None when the service ends.

        Raises:
            JobFailed: when no trial succeeds.
        """
        deadline = time.monotonic() + self._limits.get("MaxRuntimeInSeconds", float("inf"))
        ending: str | None = None
        while not self._service_ended.is_set():
            self._collect()
            if self._stop.is_set() or time.monotonic() > deadline:
                ending = "Stopped"
            elif ending is None and self._is_complete():
                ending = "Completed"
            if ending is not None:
                self._stop_trials()
            elif self._launched < self._limits["MaxNumberOfTrainingJobs"]:
                self._launch()
            else:
                ending = None if self._running else "Completed"
            if ending is not None and not self._running:
                if ending == "Completed" and not self._completed:
                    raise JobFailed(_no_success(self._launched))
                return ending
            self._stop_weak_trials()
            self._service_ended.wait(_POLL_S)
        return None

    def _is_complete(self) -> bool:
        """Return whether a criterion is met, or the first trials have all failed."""
        ended = self._launched - len(self._running)
        has_failed = ended >= _FAILED_ATTEMPTS and self._progress.best is None
        criteria = self._config.get("TuningJobCompletionCriteria", {})
        return has_failed or self._progress.is_complete(criteria)

    def _launch(self) -> None:
        while (
            len(self._running) < self._limits["MaxParallelTrainingJobs"]
            and self._launched < self._limits["MaxNumberOfTrainingJobs"]
        ):
            name = f"{self._name}-{self._launched + 1:03d}-{secrets.token_hex(4)}"
            suggestion = self._search.ask()
            request = trial_request(self._job, name, suggestion.values)
            tags = {"Tags": self._job["_tags"]} if self._job["_tags"] else {}
            try:
                self._training.create_trial(
                    {**request, **tags},
                    self._job["HyperParameterTuningJobArn"],
                    self._metric,
                    suggestion.values,
                )
            except ResourceLimitExceeded:
                self._search.give_back(suggestion)
                return  # other jobs use the instances: try again
            self._launched += 1
            rounds = request["HyperParameters"].get("num_round", "")
            planned = int(rounds) if rounds.isdigit() else 0
            self._running.append(_Trial(name, suggestion, planned))
            self._describe_trials()

    def _collect(self) -> None:
        """Take the results of the trials that have ended."""
        for trial in list(self._running):
            job = self._platform.store.get(TRAINING.resource, trial.name)
            if job is None or job["TrainingJobStatus"] not in FINAL_STATUSES:
                continue
            self._running.remove(trial)
            value = objective_of(job)
            self._search.tell(trial.suggestion, value)
            self._ended_values.append(self._training.values_of(trial.name, self._metric))
            self._completed += job["TrainingJobStatus"] == "Completed" and value is not None
            if value is not None:
                self._progress.add(value)
            self._describe_trials()

    def _describe_trials(self) -> None:
        """Show counters and best trials in the record."""
        store = self._platform.store
        jobs = trials_of(store, self._job["HyperParameterTuningJobArn"])
        members: Record = {**counters(jobs), "LastModifiedTime": now()}
        best = best_of(jobs, maximize=self._maximize)
        if best is not None:
            members["BestTrainingJob"] = summary(best)
        if self._job.get("WarmStartConfig", {}).get("WarmStartType") == "IdenticalDataAndAlgorithm":
            inherited = [
                job
                for parent in self._parents
                for job in trials_of(store, parent["HyperParameterTuningJobArn"])
            ]
            overall = best_of([*jobs, *inherited], maximize=self._maximize)
            if overall is not None:
                members["OverallBestTrainingJob"] = summary(overall)
        details: Record = {
            "NumberOfTrainingJobsObjectiveNotImproving": self._progress.not_improving
        }
        if self._progress.has_converged:
            details["ConvergenceDetectedTime"] = now()
        self._change({**members, "TuningJobCompletionDetails": details})

    def _stop_weak_trials(self) -> None:
        for trial in self._running:
            values = self._training.values_of(trial.name, self._metric)
            if trial.is_stopping or not self._is_weak(trial, values):
                continue
            self._stop_trial(trial)

    def _is_weak(self, trial: _Trial, values: list[float]) -> bool:
        if self._config["Strategy"] == "Hyperband":
            new, trial.reported = range(trial.reported, len(values)), len(values)
            hyperband = self._config["StrategyConfig"]["HyperbandStrategyConfig"]
            if len(values) >= hyperband["MaxResource"]:
                return trial.planned_rounds > int(hyperband["MaxResource"])
            return any(
                self._search.is_hopeless(trial.suggestion, index + 1, values[index])
                for index in new
            )
        return self._config["TrainingJobEarlyStoppingType"] == "Auto" and is_behind_the_median(
            values, self._ended_values, maximize=self._maximize
        )

    def _stop_trials(self) -> None:
        for trial in self._running:
            if not trial.is_stopping:
                self._stop_trial(trial)

    def _stop_trial(self, trial: _Trial) -> None:
        trial.is_stopping = True
        try:
            self._training.stop({"TrainingJobName": trial.name})
        except ValidationException:
            return  # it has ended meanwhile

    def _finish(
        self, status: str, reason: str | None = None, step: JobStep | None = None, **members: Any
    ) -> None:
        seconds = max(1, round(time.time() - self._job["CreationTime"]))
        consumed = {"ConsumedResources": {"RuntimeInSeconds": seconds}}
        super()._finish(status, reason, step, **members, **consumed)
