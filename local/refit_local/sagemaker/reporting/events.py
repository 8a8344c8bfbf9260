"""Publish the EventBridge events of jobs, endpoints and model packages.

Source  docs/sagemaker-contract.md, "Events"
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refit_local.sagemaker.records.naming import epoch_ms, iso_time
from refit_local.sagemaker.wire.requests import members_of, with_timestamps

if TYPE_CHECKING:
    from refit_local.sagemaker.host import PutEvent
    from refit_local.sagemaker.records.job_kinds import JobKind
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


def job_detail(kind: JobKind, record: Record) -> dict[str, Any]:
    """Return the detail of a job's event: its description, times in ms and tags as a map."""
    description = members_of(kind.describe_operation, record)
    detail = with_timestamps(kind.describe_operation, description, epoch_ms)
    if "BestTrainingJob" in detail:  # an event has the name alone, and no score
        name = detail["BestTrainingJob"]["TrainingJobName"]
        detail["BestTrainingJob"] = {"TrainingJobName": name}
    return {**detail, "Tags": tag_map(record)}


def tag_map(record: Record) -> dict[str, str]:
    """Return the tags of a record as a map."""
    return {tag["Key"]: tag["Value"] for tag in record.get("_tags", [])}


@dataclass(frozen=True)
class EventPublisher:
    """Puts the events of SageMaker on the default bus of the host."""

    put: PutEvent

    def job(self, kind: JobKind, record: Record) -> None:
        """Publish that a job has changed its state."""
        detail = job_detail(kind, record)
        self._publish(f"{kind.title} State Change", detail, record[kind.arn_member])

    def endpoint(self, record: Record) -> None:
        """Publish that an endpoint, and perhaps its deployment, has changed its state."""
        members = {name: record[name] for name in _ENDPOINT_MEMBERS if name in record}
        detail = with_timestamps("DescribeEndpoint", members, epoch_ms)
        status = _WORD_START.sub("_", record["EndpointStatus"]).upper()
        detail |= {"EndpointStatus": status, "Tags": tag_map(record)}
        arn = record["EndpointArn"]
        pending = detail.pop("PendingDeploymentSummary", None)
        self._publish("Endpoint State Change", detail, arn)
        if pending:
            detail = {**detail, "PendingDeploymentSummary": pending}
            self._publish("Endpoint Deployment State Change", detail, arn)

    def model_package(self, record: Record) -> None:
        """Publish that a model package was created or that its approval has changed."""
        members = {name: record[name] for name in _PACKAGE_MEMBERS if name in record}
        detail = with_timestamps("DescribeModelPackage", members, iso_time)
        detail |= {"CertifyForMarketplace": False, "Tags": tag_map(record)}
        self._publish("Model Package State Change", detail, record["ModelPackageArn"])

    def _publish(self, detail_type: str, detail: dict[str, Any], arn: str) -> None:
        self.put(SOURCE, f"SageMaker {detail_type}", detail, [arn])
