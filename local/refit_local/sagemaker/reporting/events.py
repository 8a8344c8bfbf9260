"""The EventBridge events of jobs, endpoints and model packages (contract B7)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refit_local.sagemaker.records.naming import epoch_ms, iso_time
from refit_local.sagemaker.wire.requests import members_of, with_timestamps

if TYPE_CHECKING:
    from refit_local.sagemaker.host import PutEvent
    from refit_local.sagemaker.records.store import Record

SOURCE = "aws.sagemaker"
_WORD_START = re.compile(r"(?<=[a-z])(?=[A-Z])")
_ENDPOINT_MEMBERS = (
    "EndpointName",
    "EndpointArn",
    "EndpointConfigName",
    "ProductionVariants",
    "PendingDeploymentSummary",
    "FailureReason",
    "CreationTime",
    "LastModifiedTime",
)
_PACKAGE_MEMBERS = (
    "ModelPackageGroupName",
    "ModelPackageVersion",
    "ModelPackageArn",
    "ModelPackageDescription",
    "CreationTime",
    "LastModifiedTime",
    "InferenceSpecification",
    "ModelPackageStatus",
    "ModelPackageStatusDetails",
    "ModelApprovalStatus",
    "ApprovalDescription",
    "MetadataProperties",
    "ModelMetrics",
    "CustomerMetadataProperties",
)


def job_detail(record: Record) -> dict[str, Any]:
    """Return the detail of a job's event: the describe fields, times in ms, tags as a map."""
    operation = "DescribeTrainingJob" if "TrainingJobName" in record else "DescribeTransformJob"
    described = with_timestamps(operation, members_of(operation, record), epoch_ms)
    return {**described, "Tags": tag_map(record)}


def tag_map(record: Record) -> dict[str, str]:
    """Return a record's tags as a map."""
    return {tag["Key"]: tag["Value"] for tag in record.get("_tags", [])}


@dataclass(frozen=True)
class EventPublisher:
    """Puts the events of SageMaker on the ground's default bus."""

    put: PutEvent

    def training_job(self, record: Record) -> None:
        """A training job changed its state."""
        self._send("Training Job State Change", job_detail(record), record["TrainingJobArn"])

    def transform_job(self, record: Record) -> None:
        """A transform job changed its state."""
        self._send("Transform Job State Change", job_detail(record), record["TransformJobArn"])

    def endpoint(self, record: Record) -> None:
        """An endpoint changed its state; a pending deployment has an event of its own too."""
        kept = {name: record[name] for name in _ENDPOINT_MEMBERS if name in record}
        detail = with_timestamps("DescribeEndpoint", kept, epoch_ms)
        status = _WORD_START.sub("_", record["EndpointStatus"]).upper()
        detail |= {"EndpointStatus": status, "Tags": tag_map(record)}
        arn = record["EndpointArn"]
        pending = detail.pop("PendingDeploymentSummary", None)
        self._send("Endpoint State Change", detail, arn)
        if pending:
            detail = {**detail, "PendingDeploymentSummary": pending}
            self._send("Endpoint Deployment State Change", detail, arn)

    def model_package(self, record: Record) -> None:
        """A model package was made, or its approval changed."""
        kept = {name: record[name] for name in _PACKAGE_MEMBERS if name in record}
        detail = with_timestamps("DescribeModelPackage", kept, iso_time)
        detail |= {"CertifyForMarketplace": False, "Tags": tag_map(record)}
        self._send("Model Package State Change", detail, record["ModelPackageArn"])

    def _send(self, kind: str, detail: dict[str, Any], arn: str) -> None:
        self.put(SOURCE, f"SageMaker {kind}", detail, [arn])
