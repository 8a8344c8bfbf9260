"""A fake boto3 client of SageMaker with a model registry of one group, for the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Iterator

ORIGIN = datetime(2026, 1, 5, tzinfo=UTC)


class FakeRegistry:
    """Model packages by ARN, in the order of their creation.

    Attributes:
        approvals: approval status by ARN.
        changes: (ARN, status, description) of each UpdateModelPackage.
    """

    def __init__(self) -> None:
        self.approvals: dict[str, str] = {}
        self.changes: list[tuple[str, str, str]] = []

    def describe_endpoint(self, EndpointName: str) -> dict[str, Any]:
        return {"EndpointStatus": "InService", "EndpointConfigName": "config"}

    def get_paginator(self, operation: str) -> FakeRegistry:
        assert operation == "list_model_packages"
        return self

    def paginate(self, ModelApprovalStatus: str, **_: Any) -> Iterator[dict[str, Any]]:
        listed = self.list_model_packages(MaxResults=100)["ModelPackageSummaryList"]
        shown = [each for each in listed if each["ModelApprovalStatus"] == ModelApprovalStatus]
        yield {"ModelPackageSummaryList": shown}

    def list_model_packages(self, **request: Any) -> dict[str, Any]:
        start = int(request.get("NextToken", 0)) if request.get("NextToken", "0").isdigit() else -1
        if start < 0:
            raise _invalid("The token is not valid.", "ListModelPackages")
        arns = [*reversed(self.approvals)]
        end = start + request["MaxResults"]
        listed = [
            {
                "ModelPackageVersion": self.version_of(arn),
                "ModelPackageArn": arn,
                "ModelApprovalStatus": self.approvals[arn],
                "CreationTime": ORIGIN + timedelta(hours=self.version_of(arn)),
            }
            for arn in arns[start:end]
        ]
        following = {"NextToken": str(end)} if end < len(arns) else {}
        return {"ModelPackageSummaryList": listed} | following

    def describe_model_package(self, ModelPackageName: str) -> dict[str, Any]:
        if ModelPackageName not in self.approvals:
            raise _invalid(f"{ModelPackageName} does not exist.", "DescribeModelPackage")
        version = self.version_of(ModelPackageName)
        return {
            "ModelPackageVersion": version,
            "ModelApprovalStatus": self.approvals[ModelPackageName],
            "CustomerMetadataProperties": {"refit:run": f"run{version}"},
        }

    def update_model_package(
        self, ModelPackageArn: str, ModelApprovalStatus: str, ApprovalDescription: str
    ) -> None:
        self.approvals[ModelPackageArn] = ModelApprovalStatus
        self.changes.append((ModelPackageArn, ModelApprovalStatus, ApprovalDescription))

    @staticmethod
    def version_of(arn: str) -> int:
        return int(arn.rpartition(":")[2])


def _invalid(message: str, operation: str) -> ClientError:
    response: Any = {"Error": {"Code": "ValidationException", "Message": message}}
    return ClientError(response, operation)
