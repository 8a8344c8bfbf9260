"""The SageMaker model registry: model package groups and their versions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from refit.stores.clients import error_code, translate_transient_errors

RUN_PROPERTY = "refit:run"
_MAX_DESCRIPTION = 1024  # characters in ApprovalDescription


@dataclass(frozen=True)
class PackageVersion:
    """A model package of a group; `run` is None for a package that Refit did not create."""

    version: int
    arn: str
    run: str | None


class ModelRegistry:
    """The model package groups of the models and their packages."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def ensure_group(self, group: str, description: str) -> None:
        """Create the model package group if it does not exist."""
        try:
            with translate_transient_errors():
                self._client.describe_model_package_group(ModelPackageGroupName=group)
        except ClientError as error:
            if error_code(error) not in {"ValidationException", "ResourceNotFound"}:
                raise
            with translate_transient_errors():
                self._client.create_model_package_group(
                    ModelPackageGroupName=group, ModelPackageGroupDescription=description
                )

    def create_package(self, request: dict[str, Any]) -> PackageVersion:
        """Register a version. A request with the same ClientToken returns the same version."""
        with translate_transient_errors():
            arn = self._client.create_model_package(**request)["ModelPackageArn"]
        return self.describe_package(arn)

    def describe_package(self, arn: str) -> PackageVersion:
        """Return the version number of a package and the run that made it."""
        with translate_transient_errors():
            answer = self._client.describe_model_package(ModelPackageName=arn)
        properties = answer.get("CustomerMetadataProperties", {})
        return PackageVersion(answer["ModelPackageVersion"], arn, properties.get(RUN_PROPERTY))

    def latest_approved(self, group: str) -> PackageVersion | None:
        """Return the approved version with the highest number, or None without one."""
        with translate_transient_errors():
            pages = self._client.get_paginator("list_model_packages")
            packages = [
                entry
                for page in pages.paginate(
                    ModelPackageGroupName=group, ModelApprovalStatus="Approved"
                )
                for entry in page["ModelPackageSummaryList"]
            ]
        if not packages:
            return None
        latest = max(packages, key=lambda entry: int(entry["ModelPackageVersion"]))
        return self.describe_package(latest["ModelPackageArn"])

    def reject_package(self, arn: str, reason: str) -> None:
        """Set the approval status of a version to Rejected and record the reason."""
        with translate_transient_errors():
            self._client.update_model_package(
                ModelPackageArn=arn,
                ModelApprovalStatus="Rejected",
                ApprovalDescription=reason[:_MAX_DESCRIPTION],
            )
