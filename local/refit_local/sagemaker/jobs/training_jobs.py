"""CreateTrainingJob and its describe, list and stop (contract B1)."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from refit_local.sagemaker.jobs.training_metrics import metric_definitions
from refit_local.sagemaker.jobs.training_run import TrainingRun
from refit_local.sagemaker.machine.containers import algorithm_module
from refit_local.sagemaker.machine.instances import instance
from refit_local.sagemaker.records.naming import TRAINING_JOB, now
from refit_local.sagemaker.records.store import NameTaken, Record
from refit_local.sagemaker.storage import bucket_and_key, joined
from refit_local.sagemaker.wire.errors import (
    NotImplementedLocally,
    ResourceInUse,
    ResourceNotFound,
    ValidationException,
)
from refit_local.sagemaker.wire.listing import page
from refit_local.sagemaker.wire.requests import members_of

if TYPE_CHECKING:
    from refit_local.sagemaker.platform import Platform

DEFAULT_MAX_RUNTIME_S = 86_400
_SUMMARY = (
    "TrainingJobName",
    "TrainingJobArn",
    "CreationTime",
    "TrainingEndTime",
    "LastModifiedTime",
    "TrainingJobStatus",
    "SecondaryStatus",
)
_REFUSED = (
    "ServerlessJobConfig",
    "ModelPackageConfig",
    "DebugRuleConfigurations",
    "ProfilerRuleConfigurations",
)


class TrainingJobs:
    """The training jobs of this ground."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._runs: dict[str, TrainingRun] = {}
        # Whoever sees a job can stop it: its record and its run appear together.
        self._appearing = threading.Lock()

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """CreateTrainingJob."""
        _check(request)
        name = request["TrainingJobName"]
        arn = self._platform.arn(TRAINING_JOB, name)
        started = now()
        output = {"CompressionType": "GZIP", **request["OutputDataConfig"]}
        artifact = "model.tar.gz" if output["CompressionType"] == "GZIP" else "model/"
        algorithm = {
            **request["AlgorithmSpecification"],
            "MetricDefinitions": metric_definitions(),
            "EnableSageMakerMetricsTimeSeries": False,
        }
        record: Record = {
            **members_of("DescribeTrainingJob", request),
            "TrainingJobArn": arn,
            "AlgorithmSpecification": algorithm,
            "OutputDataConfig": output,
            "ModelArtifacts": {
                "S3ModelArtifacts": f"{joined(output['S3OutputPath'], name, 'output')}/{artifact}"
            },
            "StoppingCondition": {
                "MaxRuntimeInSeconds": DEFAULT_MAX_RUNTIME_S,
                **request.get("StoppingCondition", {}),
            },
            "TrainingJobStatus": "InProgress",
            "SecondaryStatus": "Starting",
            "SecondaryStatusTransitions": [
                {
                    "Status": "Starting",
                    "StartTime": started,
                    "StatusMessage": "Preparing the instances for training",
                }
            ],
            "CreationTime": started,
            "LastModifiedTime": started,
            "_tags": request.get("Tags", []),
            "_log_stream": f"{name}/algo-1-{int(time.time())}",
        }
        for flag in (
            "EnableNetworkIsolation",
            "EnableInterContainerTrafficEncryption",
            "EnableManagedSpotTraining",
        ):
            record.setdefault(flag, False)
        try:
            with self._appearing:
                record = self._platform.store.add(TRAINING_JOB, name, record)
                run = self._runs[record["_key"]] = TrainingRun(self._platform, record)
        except NameTaken as taken:
            raise ResourceInUse(
                "Training job names must be unique within an AWS account and region, and a "
                f"training job with this name already exists ({taken.record['TrainingJobArn']})"
            ) from taken
        self._platform.events.training_job(record)
        self._platform.background.start(f"training job {name}", run.run)
        return {"TrainingJobArn": arn}

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """DescribeTrainingJob."""
        return members_of("DescribeTrainingJob", self._get(request["TrainingJobName"]))

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        """ListTrainingJobs."""
        records = self._platform.store.all(TRAINING_JOB)
        found, token = page(
            request,
            records,
            name="TrainingJobName",
            status="TrainingJobStatus",
        )
        summaries = [{k: record[k] for k in _SUMMARY if k in record} for record in found]
        return {"TrainingJobSummaries": summaries, **token}

    def stop(self, request: dict[str, Any]) -> dict[str, Any]:
        """StopTrainingJob."""
        record = self._get(request["TrainingJobName"])
        status = record["TrainingJobStatus"]
        if status not in ("InProgress", "Stopping"):
            raise ValidationException(
                f"The request was rejected because the training job is in status {status}."
            )
        with self._appearing:
            run = self._runs[record["_key"]]
        run.request_stop()
        return {}

    def resume(self) -> None:
        """Fail the jobs that an earlier process left unfinished."""
        for record in self._platform.store.all(TRAINING_JOB):
            if record["TrainingJobStatus"] in ("InProgress", "Stopping"):
                TrainingRun(self._platform, record).abandon()

    def end(self) -> None:
        """End all running jobs."""
        for run in list(self._runs.values()):
            run.end()

    def _get(self, name: str) -> Record:
        record = self._platform.store.get(TRAINING_JOB, name)
        if record is None:
            raise ResourceNotFound("Requested resource not found.")
        return record


def _check(request: dict[str, Any]) -> None:
    """Check what the service model cannot say."""
    for member in _REFUSED:
        if request.get(member):
            raise NotImplementedLocally(f"{member} of CreateTrainingJob")
    _check_algorithm(request.get("AlgorithmSpecification"))
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


def _check_algorithm(algorithm: dict[str, Any] | None) -> None:
    if algorithm is None or not algorithm.get("TrainingImage"):
        if algorithm and "AlgorithmName" in algorithm:
            raise NotImplementedLocally("AlgorithmName: give TrainingImage")
        raise ValidationException("AlgorithmSpecification must have a TrainingImage.")
    algorithm_module(algorithm["TrainingImage"])
    if algorithm.get("MetricDefinitions"):
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
    instance(resources["InstanceType"])


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
