"""The names that differ between the kinds of jobs in SageMaker's API."""

from __future__ import annotations

from dataclasses import dataclass

from refit_local.sagemaker.records.naming import TRAINING_JOB, TRANSFORM_JOB, TUNING_JOB

FINAL_STATUSES = ("Completed", "Failed", "Stopped")
UNFINISHED_STATUSES = ("InProgress", "Stopping")


@dataclass(frozen=True)
class JobKind:
    """One kind of job.

    Attributes:
        resource: the resource type in ARNs and in the record store, e.g. `training-job`.
        title: how the detail-type of its events names it, e.g. `Training Job`.
    """

    resource: str
    title: str

    @property
    def prefix(self) -> str:
        """What the members and operations begin with, e.g. `TrainingJob`."""
        return self.title.replace(" ", "")

    @property
    def name_member(self) -> str:
        """E.g. `TrainingJobName`."""
        return f"{self.prefix}Name"

    @property
    def arn_member(self) -> str:
        """E.g. `TrainingJobArn`."""
        return f"{self.prefix}Arn"

    @property
    def status_member(self) -> str:
        """E.g. `TrainingJobStatus`."""
        return f"{self.prefix}Status"

    @property
    def start_member(self) -> str:
        """E.g. `TrainingStartTime`."""
        return f"{self.prefix.removesuffix('Job')}StartTime"

    @property
    def end_member(self) -> str:
        """E.g. `TrainingEndTime`."""
        return f"{self.prefix.removesuffix('Job')}EndTime"

    @property
    def describe_operation(self) -> str:
        """E.g. `DescribeTrainingJob`."""
        return f"Describe{self.prefix}"


TRAINING = JobKind(TRAINING_JOB, "Training Job")
TRANSFORM = JobKind(TRANSFORM_JOB, "Transform Job")
TUNING = JobKind(TUNING_JOB, "HyperParameter Tuning Job")
