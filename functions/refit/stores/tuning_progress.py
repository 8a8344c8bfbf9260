"""Progress of a run's tuning job: its trials, and the best one so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from refit.stores.clients import translate_transient_errors

_MISSING = frozenset({"ValidationException", "ResourceNotFound"})


@dataclass(frozen=True)
class TuningProgress:
    """The state of a tuning job.

    Attributes:
        launched: number of trials that have begun.
        planned: number of trials at most.
        metric: such as `validation:mlogloss`.
        best: its best value so far; None before the first trial has ended.
    """

    launched: int
    planned: int
    metric: str
    best: float | None

    @property
    def sentence(self) -> str:
        """The progress, for a person."""
        best = "" if self.best is None else f", best {self.metric} {self.best:.4g}"
        return f"trial {self.launched} of {self.planned}{best}"

    def as_json(self) -> dict[str, Any]:
        """Return the progress as `refit watch --json` prints it."""
        return {
            "trial": self.launched,
            "of": self.planned,
            "metric": self.metric,
            "best": self.best,
        }


class TuningFollower:
    """Reads the newest tuning job of a run.

    Args:
        sagemaker: the boto3 client.
        stem: what the names of the run's tuning jobs start with; the number of the attempt follows.
    """

    def __init__(self, sagemaker: Any, stem: str) -> None:
        self._sagemaker = sagemaker
        self._stem = stem
        self._attempt = 0
        self.job: str | None = None
        self.progress: TuningProgress | None = None

    def poll(self) -> TuningProgress | None:
        """Return the progress if it has changed since the last call."""
        job = self._describe(self._attempt)
        if job is not None and job["HyperParameterTuningJobStatus"] == "Failed":
            repeated = self._describe(self._attempt + 1)
            if repeated is not None:
                self._attempt += 1
                job = repeated
        if job is None:
            return None
        self.job = job["HyperParameterTuningJobName"]
        progress = _progress(job)
        if progress == self.progress:
            return None
        self.progress = progress
        return progress

    def _describe(self, attempt: int) -> dict[str, Any] | None:
        try:
            with translate_transient_errors():
                answer = self._sagemaker.describe_hyper_parameter_tuning_job(
                    HyperParameterTuningJobName=f"{self._stem}-{attempt}"
                )
        except ClientError as error:
            if error.response["Error"]["Code"] not in _MISSING:
                raise
            return None
        return dict(answer)


def _progress(job: dict[str, Any]) -> TuningProgress:
    config = job["HyperParameterTuningJobConfig"]
    best = job.get("BestTrainingJob", {}).get("FinalHyperParameterTuningJobObjectiveMetric", {})
    return TuningProgress(
        launched=sum(job["TrainingJobStatusCounters"].values()),
        planned=config["ResourceLimits"]["MaxNumberOfTrainingJobs"],
        metric=config["HyperParameterTuningJobObjective"]["MetricName"],
        best=best.get("Value"),
    )
