"""The model registry and the endpoints of SageMaker, as far as a Lambda calls them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from refit.stores.clients import client, error_code, passing_troubles_named

RUN_PROPERTY = "refit:run"


@dataclass(frozen=True)
class PackageVersion:
    """A model package of a group; `run` is None for one that Refit did not make."""

    version: int
    arn: str
    run: str | None


@dataclass(frozen=True)
class EndpointState:
    """What an endpoint is doing now."""

    status: str
    config: str
    failure_reason: str | None


def ensure_group(group: str, description: str) -> None:
    """Create the model package group unless it is there."""
    try:
        with passing_troubles_named():
            client("sagemaker").describe_model_package_group(ModelPackageGroupName=group)
    except ClientError as error:
        if error_code(error) not in {"ValidationException", "ResourceNotFound"}:
            raise
        with passing_troubles_named():
            client("sagemaker").create_model_package_group(
                ModelPackageGroupName=group, ModelPackageGroupDescription=description
            )


def create_package(request: dict[str, Any]) -> PackageVersion:
    """Register a version; the same ClientToken again gives the same version."""
    with passing_troubles_named():
        arn = client("sagemaker").create_model_package(**request)["ModelPackageArn"]
    return describe_package(arn)


def describe_package(arn: str) -> PackageVersion:
    """Return a package's version number and the run that made it."""
    with passing_troubles_named():
        answer = client("sagemaker").describe_model_package(ModelPackageName=arn)
    properties = answer.get("CustomerMetadataProperties", {})
    return PackageVersion(answer["ModelPackageVersion"], arn, properties.get(RUN_PROPERTY))


def newest_approved(group: str) -> PackageVersion | None:
    """Return the approved version with the highest number, or None."""
    with passing_troubles_named():
        pages = client("sagemaker").get_paginator("list_model_packages")
        found = [
            entry
            for page in pages.paginate(ModelPackageGroupName=group, ModelApprovalStatus="Approved")
            for entry in page["ModelPackageSummaryList"]
        ]
    if not found:
        return None
    newest = max(found, key=lambda entry: int(entry["ModelPackageVersion"]))
    return describe_package(newest["ModelPackageArn"])


def reject_package(arn: str, reason: str) -> None:
    """Take back a version's approval, with the reason."""
    with passing_troubles_named():
        client("sagemaker").update_model_package(
            ModelPackageArn=arn,
            ModelApprovalStatus="Rejected",
            ApprovalDescription=reason[:1024],
        )


def describe_endpoint(name: str) -> EndpointState | None:
    """Return an endpoint's state, or None when it does not exist."""
    try:
        with passing_troubles_named():
            answer = client("sagemaker").describe_endpoint(EndpointName=name)
    except ClientError as error:
        if error_code(error) != "ValidationException":
            raise
        return None
    return EndpointState(
        answer["EndpointStatus"],
        answer.get("EndpointConfigName", ""),
        answer.get("FailureReason"),
    )


def update_endpoint(name: str, config: str) -> None:
    """Move an endpoint to another config, all at once."""
    with passing_troubles_named():
        client("sagemaker").update_endpoint(EndpointName=name, EndpointConfigName=config)


def delete_endpoint(name: str) -> None:
    """Delete an endpoint; none there is what was wanted."""
    _delete("delete_endpoint", EndpointName=name)


def delete_deployment(name: str) -> None:
    """Delete the endpoint config and the model that one deployment made under its name."""
    _delete("delete_endpoint_config", EndpointConfigName=name)
    _delete("delete_model", ModelName=name)


def _delete(operation: str, **request: str) -> None:
    try:
        with passing_troubles_named():
            getattr(client("sagemaker"), operation)(**request)
    except ClientError as error:
        if error_code(error) != "ValidationException":
            raise
