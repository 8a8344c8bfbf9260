"""CreateTrainingJob, DescribeTrainingJob, ListTrainingJobs and StopTrainingJob.

Source  docs/sagemaker-contract.md, "Training jobs"
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from refit_local.sagemaker.jobs.jobs import Jobs
from refit_local.sagemaker.jobs.training_metrics import OBJECTIVE_METRIC, metric_definitions
from refit_local.sagemaker.jobs.training_run import TrainingRun
from refit_local.sagemaker.machine.image_pulls import check_pull
from refit_local.sagemaker.machine.instances import instance_type
from refit_local.sagemaker.records.job_kinds import TRAINING
from refit_local.sagemaker.records.naming import now
from refit_local.sagemaker.storage import bucket_and_key, joined
from refit_local.sagemaker.wire.errors import NotImplementedLocally, ValidationException

if TYPE_CHECKING:
    from refit_local.sagemaker.machine.images import LocalImages
    from refit_local.sagemaker.records.store import Record

DEFAULT_MAX_RUNTIME_S = 86_400
_REFUSED_MEMBERS = (
    "ServerlessJobConfig",
    "ModelPackageConfig",
    "DebugRuleConfigurations",
    "ProfilerRuleConfigurations",
)
_FLAGS = (
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
)


class TrainingJobs(Jobs):
    """The training jobs of this local SageMaker."""

    kind = TRAINING
    run_class = TrainingRun
    name_taken = (
        "Training job names must be unique within an AWS account and region, and a training job "
        "with this name already exists ({arn})"
    )
    not_found = "Requested resource not found."

    def create_trial(
        self, request: dict[str, Any], tuning_arn: str, objective: str, values: dict[str, str]
    ) -> None:
        """Create and start a training job of a tuning job.

        Args:
            request: of CreateTrainingJob.
            tuning_arn: ARN of the tuning job.
            objective: the metric that is tuned; the job shows it as `ObjectiveMetric`, too.
            values: the hyperparameters that are searched.
        """
        created_at = now()
        members = self._initial_members(request, created_at)
        definitions = members["AlgorithmSpecification"]["MetricDefinitions"]
        regex = next(d["Regex"] for d in definitions if d["Name"] == objective)
        definitions.append({"Name": OBJECTIVE_METRIC, "Regex": regex})
        tuning = {"TuningJobArn": tuning_arn, "_objective": objective, "_tuned": values}
        self._start(request, created_at, {**members, **tuning})

    def values_of(self, name: str, metric: str) -> list[float]:
        """Return a metric after each round, of a job that this process has started."""
        run = self._runs.get(name.lower())
        return run.values_of(metric) if isinstance(run, TrainingRun) else []

    def _initial_members(self, request: dict[str, Any], created_at: float) -> Record:
        check_training(request, self._platform.images)
        algorithm = request["AlgorithmSpecification"]
        check_pull(self._platform.host, request["RoleArn"], algorithm["TrainingImage"])
        is_own = self._platform.images.is_own(algorithm["TrainingImage"])
        name = request["TrainingJobName"]
        output = {"CompressionType": "GZIP", **request["OutputDataConfig"]}
        artifact = "model.tar.gz" if output["CompressionType"] == "GZIP" else "model/"
        first_step = {
            "Status": "Starting",
            "StartTime": created_at,
            "StatusMessage": "Preparing the instances for training",
        }
        return {
            "AlgorithmSpecification": {
                **algorithm,
                "MetricDefinitions": (
                    algorithm.get("MetricDefinitions", []) if is_own else metric_definitions()
                ),
                "EnableSageMakerMetricsTimeSeries": False,
            },
            "OutputDataConfig": output,
            "ModelArtifacts": {
                "S3ModelArtifacts": f"{joined(output['S3OutputPath'], name, 'output')}/{artifact}"
            },
            "StoppingCondition": {
                "MaxRuntimeInSeconds": DEFAULT_MAX_RUNTIME_S,
                **request.get("StoppingCondition", {}),
            },
            "SecondaryStatus": "Starting",
            "SecondaryStatusTransitions": [first_step],
            **{flag: request.get(flag, False) for flag in _FLAGS},
            "_log_stream": f"{name}/algo-1-{int(time.time())}",
        }


def check_training(request: dict[str, Any], images: LocalImages) -> None:
    """Check a CreateTrainingJob request by the rules that the shapes of the API do not state.

    Raises:
        ValidationException: when a rule is broken.
    """
    for member in _REFUSED_MEMBERS:
        if request.get(member):
            raise NotImplementedLocally(f"{member} of CreateTrainingJob")
    _check_algorithm(request.get("AlgorithmSpecification"), images)
    _check_resources(request.get("ResourceConfig"))
    bucket_and_key(request["OutputDataConfig"]["S3OutputPath"])
    condition = request.get("StoppingCondition", {})
    if request.get("EnableManagedSpotTraining") and condition.get(
        "MaxWaitTimeInSeconds", 0
    ) < condition.get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME_S):
        raise ValidationException(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to "
            "MaxRuntimeInSeconds"
        )
    channels = [channel["ChannelName"] for channel in request.get("InputDataConfig", [])]
    if len(set(channels)) < len(channels):
        raise ValidationException(f"Channel names must be unique: {', '.join(channels)}")
    for channel in request.get("InputDataConfig", []):
        _check_channel(channel)


def _check_algorithm(algorithm: dict[str, Any] | None, images: LocalImages) -> None:
    if algorithm is None or not algorithm.get("TrainingImage"):
        if algorithm and "AlgorithmName" in algorithm:
            raise NotImplementedLocally("AlgorithmName: give TrainingImage")
        raise ValidationException("AlgorithmSpecification must have a TrainingImage.")
    image = algorithm["TrainingImage"]
    images.commands(image)
    if algorithm.get("MetricDefinitions") and not images.is_own(image):
        raise ValidationException(
            "You can't override the metric definitions for Amazon SageMaker algorithms. Please "
            "retry the request without specifying metric definitions."
        )
    for member in ("ContainerEntrypoint", "ContainerArguments"):
        if member in algorithm:
            raise NotImplementedLocally(f"AlgorithmSpecification.{member}")


def _check_resources(resources: dict[str, Any] | None) -> None:
    if resources is None or "InstanceType" not in resources:
        if resources and ("InstanceGroups" in resources or "InstancePreferences" in resources):
            raise NotImplementedLocally("ResourceConfig without one InstanceType")
        raise ValidationException("ResourceConfig must have an InstanceType.")
    if resources.get("InstanceCount", 1) != 1:
        raise NotImplementedLocally("a training job on several instances: InstanceCount must be 1")
    if resources.get("VolumeSizeInGB", 1) < 1:
        raise ValidationException("ResourceConfig.VolumeSizeInGB must be at least 1.")
    instance_type(resources["InstanceType"])


def _check_channel(channel: dict[str, Any]) -> None:
    source = channel["DataSource"].get("S3DataSource")
    name = channel["ChannelName"]
    if source is None:
        raise NotImplementedLocally(f"a DataSource other than S3DataSource (channel {name})")
    if source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        raise NotImplementedLocally(f"S3DataType {source['S3DataType']} (channel {name})")
    if channel.get("CompressionType", "None") != "None":
        raise ValidationException(
            f"CompressionType {channel['CompressionType']} is supported in Pipe mode only "
            f"(channel {name})"
        )
    if "ShuffleConfig" in channel:
        raise NotImplementedLocally(f"ShuffleConfig (channel {name})")
    bucket_and_key(source["S3Uri"])
