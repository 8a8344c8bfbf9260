"""The model registry: model package groups, model packages and their approval.

Source  docs/sagemaker-contract.md, "Model registry"
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refit_local.sagemaker.records.naming import MODEL_PACKAGE, MODEL_PACKAGE_GROUP, name_of, now
from refit_local.sagemaker.records.store import NameTaken, Record
from refit_local.sagemaker.wire.errors import ConflictException, ValidationException
from refit_local.sagemaker.wire.listing import list_answer
from refit_local.sagemaker.wire.requests import members_of

_UNPUBLISHED = "_unpublished"
"""Marks a package whose event is yet to be published."""

if TYPE_CHECKING:
    from refit_local.sagemaker.platform import Platform

_REPLACED_BY_UPDATE = (
    "ModelApprovalStatus",
    "ApprovalDescription",
    "InferenceSpecification",
    "SourceUri",
    "ModelCard",
    "ModelLifeCycle",
    "ModelPackageRegistrationType",
)
MAX_METADATA = 50


class SageMakerModelRegistry:
    """The model package groups and the model packages of this local SageMaker."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._store = platform.store

    def create_group(self, request: dict[str, Any]) -> dict[str, Any]:
        """CreateModelPackageGroup."""
        name = request["ModelPackageGroupName"]
        arn = self._platform.arn(MODEL_PACKAGE_GROUP, name)
        record: Record = {
            **members_of("DescribeModelPackageGroup", request),
            "ModelPackageGroupArn": arn,
            "CreationTime": now(),
            "CreatedBy": {},
            "ModelPackageGroupStatus": "Completed",
            "_tags": request.get("Tags", []),
            "_last_version": 0,
        }
        try:
            self._store.add(MODEL_PACKAGE_GROUP, name, record)
        except NameTaken as taken:
            raise ValidationException(f"Model Package Group already exists: {arn}") from taken
        return {"ModelPackageGroupArn": arn}

    def describe_group(self, request: dict[str, Any]) -> dict[str, Any]:
        """DescribeModelPackageGroup."""
        group = self._group(request["ModelPackageGroupName"])
        return members_of("DescribeModelPackageGroup", group)

    def list_groups(self, request: dict[str, Any]) -> dict[str, Any]:
        """ListModelPackageGroups."""
        records = self._store.all(MODEL_PACKAGE_GROUP)
        return list_answer(
            "ListModelPackageGroups",
            request,
            records,
            name="ModelPackageGroupName",
            order="Ascending",
        )

    def delete_group(self, request: dict[str, Any]) -> dict[str, Any]:
        """DeleteModelPackageGroup."""
        with self._store.lock:
            group = self._group(request["ModelPackageGroupName"])
            if self._versions(group):
                raise ConflictException(
                    f"Cannot delete Model Package Group {group['ModelPackageGroupArn']}: it "
                    "contains model packages."
                )
            self._store.remove(MODEL_PACKAGE_GROUP, group["_key"])
        return {}

    def create_package(self, request: dict[str, Any]) -> dict[str, Any]:
        """CreateModelPackage."""
        if ("ModelPackageGroupName" in request) == ("ModelPackageName" in request):
            raise ValidationException(
                "Exactly one of ModelPackageGroupName and ModelPackageName must be given."
            )
        with self._store.lock:
            existing = self._created_with(request.get("ClientToken"))
            if existing is not None:
                return {"ModelPackageArn": existing["ModelPackageArn"]}
            key, identity = self._identity(request)
            moment = now()
            record: Record = {
                **members_of("DescribeModelPackage", request),
                **identity,
                "ModelPackageArn": self._platform.arn(MODEL_PACKAGE, key),
                "ModelPackageStatus": "Completed",
                "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
                "CertifyForMarketplace": request.get("CertifyForMarketplace", False),
                "CreationTime": moment,
                "LastModifiedTime": moment,
                "CreatedBy": {},
                "_tags": request.get("Tags", []),
                "_client_token": request.get("ClientToken"),
                _UNPUBLISHED: True,
            }
            try:
                record = self._store.add(MODEL_PACKAGE, key, record)
            except NameTaken as taken:
                raise ValidationException(
                    f"Model Package already exists: {record['ModelPackageArn']}"
                ) from taken
        self._publish(record)
        return {"ModelPackageArn": record["ModelPackageArn"]}

    def resume(self) -> None:
        """Publish the events that an earlier process has not published."""
        for package in self._store.all(MODEL_PACKAGE):
            if _UNPUBLISHED in package:
                self._publish(package)

    def _publish(self, package: Record) -> None:
        self._platform.events.model_package(package)
        self._store.change(MODEL_PACKAGE, package["_key"], _UNPUBLISHED)

    def describe_package(self, request: dict[str, Any]) -> dict[str, Any]:
        """DescribeModelPackage."""
        return members_of("DescribeModelPackage", self._package(request["ModelPackageName"]))

    def list_packages(self, request: dict[str, Any]) -> dict[str, Any]:
        """ListModelPackages: the versions of a group, or packages by their type."""
        if "ModelPackageGroupName" in request:
            records = self._versions(self._group(request["ModelPackageGroupName"]))
        else:
            package_type = request.get("ModelPackageType", "Unversioned")
            records = [
                record
                for record in self._store.all(MODEL_PACKAGE)
                if package_type == "Both"
                or ("ModelPackageVersion" in record) == (package_type == "Versioned")
            ]
        shown_until = now() - self._platform.faults.list_lag_s(
            request.get("ModelPackageGroupName", "")
        )
        records = [r for r in records if r["CreationTime"] <= shown_until]
        approval = request.get("ModelApprovalStatus")
        if approval is not None:
            records = [r for r in records if r.get("ModelApprovalStatus") == approval]
        for record in records:
            record["_name"] = record.get("ModelPackageName") or record["ModelPackageGroupName"]
        return list_answer("ListModelPackages", request, records, name="_name")

    def update_package(self, request: dict[str, Any]) -> dict[str, Any]:
        """UpdateModelPackage. A change of the approval publishes an event."""
        with self._store.lock:
            package = self._package(request["ModelPackageArn"])
            changes = {k: request[k] for k in _REPLACED_BY_UPDATE if k in request}
            if "ModelApprovalStatus" in changes and "ModelPackageVersion" not in package:
                raise ValidationException(
                    "ModelApprovalStatus can only be set on versioned model packages."
                )
            if _model_data(changes) not in (None, _model_data(package)):
                raise ValidationException(
                    "The model data of a model package version cannot be changed."
                )
            if "AdditionalInferenceSpecificationsToAdd" in request:
                changes["AdditionalInferenceSpecifications"] = [
                    *package.get("AdditionalInferenceSpecifications", []),
                    *request["AdditionalInferenceSpecificationsToAdd"],
                ]
            changes |= _changed_metadata(package, request)
            approval = package.get("ModelApprovalStatus")
            if changes.get("ModelApprovalStatus", approval) != approval:
                changes[_UNPUBLISHED] = True
            changed = self._store.change(
                MODEL_PACKAGE, package["_key"], **changes, LastModifiedTime=now(), LastModifiedBy={}
            )
        if changed is not None and _UNPUBLISHED in changed:
            self._publish(changed)
        return {"ModelPackageArn": package["ModelPackageArn"]}

    def delete_package(self, request: dict[str, Any]) -> dict[str, Any]:
        """DeleteModelPackage. The version number is not used again."""
        package = self._package(request["ModelPackageName"])
        self._store.remove(MODEL_PACKAGE, package["_key"])
        return {}

    def _identity(self, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        if "ModelPackageName" in request:
            if "ModelApprovalStatus" in request:
                raise ValidationException(
                    "ModelApprovalStatus can only be set on versioned model packages."
                )
            name = request["ModelPackageName"]
            return name, {"ModelPackageName": name}
        group = self._group(request["ModelPackageGroupName"])
        version = group["_last_version"] + 1
        self._store.change(MODEL_PACKAGE_GROUP, group["_key"], _last_version=version)
        name = group["ModelPackageGroupName"]
        return f"{name}/{version}", {
            "ModelPackageGroupName": name,
            "ModelPackageVersion": version,
            "ModelApprovalStatus": request.get("ModelApprovalStatus", "PendingManualApproval"),
        }

    def _created_with(self, client_token: str | None) -> Record | None:
        if client_token is None:
            return None
        packages = self._store.all(MODEL_PACKAGE)
        return next((p for p in packages if p["_client_token"] == client_token), None)

    def _versions(self, group: Record) -> list[Record]:
        name = group["ModelPackageGroupName"]
        packages = self._store.all(MODEL_PACKAGE)
        return [p for p in packages if p.get("ModelPackageGroupName") == name]

    def _group(self, arn_or_name: str) -> Record:
        name = name_of(arn_or_name)
        group = self._store.get(MODEL_PACKAGE_GROUP, name)
        if group is None:
            arn = self._platform.arn(MODEL_PACKAGE_GROUP, name)
            raise ValidationException(f"Model Package Group {arn} does not exist.")
        return group

    def _package(self, arn_or_name: str) -> Record:
        package = self._store.get(MODEL_PACKAGE, name_of(arn_or_name))
        if package is None:
            raise ValidationException(f"ModelPackage {arn_or_name} does not exist.")
        return package


def _model_data(record: dict[str, Any]) -> list[Any] | None:
    if "InferenceSpecification" not in record:
        return None
    containers = record["InferenceSpecification"]["Containers"]
    return [(c.get("ModelDataUrl"), c.get("ModelDataSource")) for c in containers]


def _changed_metadata(package: Record, request: dict[str, Any]) -> dict[str, Any]:
    added = request.get("CustomerMetadataProperties", {})
    removed = request.get("CustomerMetadataPropertiesToRemove", [])
    if not added and not removed:
        return {}
    merged = {**package.get("CustomerMetadataProperties", {}), **added}
    metadata = {k: v for k, v in merged.items() if k not in removed}
    if len(metadata) > MAX_METADATA:
        raise ValidationException(
            f"A model package can have at most {MAX_METADATA} CustomerMetadataProperties."
        )
    return {"CustomerMetadataProperties": metadata}
