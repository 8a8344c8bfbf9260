"""The SageMaker model registry: model package groups and their versions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from refit.domain.errors import ParameterInvalid
from refit.domain.one_line import one_line
from refit.stores.clients import error_code, translate_transient_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

RUN_PROPERTY = "refit:run"
_MAX_DESCRIPTION = 1024  # characters in ApprovalDescription
_PAGE_SIZE = 10  # the newest approved version is almost always the first


@dataclass(frozen=True)
class PackageVersion:
    """A model package of a group.

    Attributes:
        run: the run that made it; None for a package that Refit did not create.
        approval: its approval status.
        image: URI of its container image; empty if it has none.
        changed_at: when it was last changed, for example approved; None if it never was.
    """

    version: int
    arn: str
    run: str | None
    approval: str = "Approved"
    image: str = ""
    changed_at: datetime | None = None


@dataclass(frozen=True)
class RegisteredVersion:
    """A version as the list of its group shows it, which may be some seconds old."""

    version: int
    approval: str
    created_at: datetime


class ModelRegistry:
    """The model package groups of the models and their packages."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def ensure_group(self, group: str, description: str) -> None:
        """Create the model package group if it does not exist."""
        if self._has_group(group):
            return
        try:
            with translate_transient_errors():
                self._client.create_model_package_group(
                    ModelPackageGroupName=group, ModelPackageGroupDescription=description
                )
        except ClientError:
            # botocore repeats a call whose answer was lost, and then the group exists already.
            if not self._has_group(group):
                raise

    def _has_group(self, group: str) -> bool:
        try:
            with translate_transient_errors():
                self._client.describe_model_package_group(ModelPackageGroupName=group)
        except ClientError as error:
            if error_code(error) not in {"ValidationException", "ResourceNotFound"}:
                raise
            return False
        return True

    def create_package(self, request: dict[str, Any]) -> PackageVersion:
        """Register a version. A request with the same ClientToken returns the same version."""
        with translate_transient_errors():
            arn = self._client.create_model_package(**request)["ModelPackageArn"]
        return self.describe_package(arn)

    def describe_package(self, arn: str) -> PackageVersion:
        """Return a package, with its version number and the run that made it."""
        with translate_transient_errors():
            answer = self._client.describe_model_package(ModelPackageName=arn)
        properties = answer.get("CustomerMetadataProperties", {})
        containers = answer.get("InferenceSpecification", {}).get("Containers") or [{}]
        return PackageVersion(
            answer["ModelPackageVersion"],
            arn,
            properties.get(RUN_PROPERTY),
            answer.get("ModelApprovalStatus", ""),
            containers[0].get("Image", ""),
            answer.get("LastModifiedTime"),
        )

    def model_data(self, arn: str) -> str:
        """Return the S3 URI of the model.tar.gz of a package."""
        with translate_transient_errors():
            answer = self._client.describe_model_package(ModelPackageName=arn)
        return str(answer["InferenceSpecification"]["Containers"][0]["ModelDataUrl"])

    def find_package(self, arn: str) -> PackageVersion | None:
        """Return a package, or None when it does not exist."""
        try:
            return self.describe_package(arn)
        except ClientError as error:
            if error_code(error) not in {"ValidationException", "ResourceNotFound"}:
                raise
            return None

    def latest_approved(self, group: str) -> PackageVersion | None:
        """Return the newest approved version that Refit made, or None without one.

        The list does not say who made a version, and may lag. So each version is described, newest
        first, until one is approved and of Refit.
        """
        for arn in self._approved(group):
            package = self.find_package(arn)
            if package and package.run is not None and package.approval == "Approved":
                return package
        return None

    def _approved(self, group: str) -> Iterator[str]:
        """Yield the ARNs of the versions that the list shows as approved, newest first."""
        paginator = self._client.get_paginator("list_model_packages")
        pages = iter(
            paginator.paginate(
                ModelPackageGroupName=group,
                ModelApprovalStatus="Approved",
                SortBy="CreationTime",
                SortOrder="Descending",
                PaginationConfig={"PageSize": _PAGE_SIZE},
            )
        )
        while True:
            with translate_transient_errors():
                page = next(pages, None)
            if page is None:
                return
            versions = page["ModelPackageSummaryList"]
            for entry in sorted(versions, key=lambda v: -int(v["ModelPackageVersion"])):
                yield entry["ModelPackageArn"]

    def page(
        self, group: str, limit: int, token: str | None
    ) -> tuple[list[RegisteredVersion], str | None]:
        """Return a page of the versions of a group, newest first, and the token of the next page.

        Raises:
            ParameterInvalid: when the registry does not know the token (any more).
        """
        request: dict[str, Any] = {
            "ModelPackageGroupName": group,
            "SortBy": "CreationTime",
            "SortOrder": "Descending",
            "MaxResults": limit,
        }
        if token is not None:
            request["NextToken"] = token
        try:
            with translate_transient_errors():
                answer = self._client.list_model_packages(**request)
        except ClientError as error:
            if error_code(error) not in {"ValidationException", "ResourceNotFound"}:
                raise
            if token is None:
                return [], None  # there is no group before the first version
            raise ParameterInvalid(
                "next is a token that the model registry does not know any more; begin again"
            ) from error
        versions = [
            RegisteredVersion(
                version=int(entry["ModelPackageVersion"]),
                approval=entry["ModelApprovalStatus"],
                created_at=entry["CreationTime"],
            )
            for entry in answer["ModelPackageSummaryList"]
        ]
        return versions, answer.get("NextToken")

    def approve_package(self, arn: str, reason: str) -> None:
        """Set the approval status of a version to Approved and record who did."""
        self._set_approval(arn, "Approved", reason)

    def reject_package(self, arn: str, reason: str) -> None:
        """Set the approval status of a version to Rejected and record the reason."""
        self._set_approval(arn, "Rejected", reason)

    def delete_package(self, arn: str) -> None:
        """Delete a version if it exists."""
        try:
            with translate_transient_errors():
                self._client.delete_model_package(ModelPackageName=arn)
        except ClientError as error:
            if error_code(error) not in {"ValidationException", "ResourceNotFound"}:
                raise

    def _set_approval(self, arn: str, status: str, reason: str) -> None:
        with translate_transient_errors():
            self._client.update_model_package(
                ModelPackageArn=arn,
                ModelApprovalStatus=status,
                ApprovalDescription=one_line(reason, _MAX_DESCRIPTION),
            )
