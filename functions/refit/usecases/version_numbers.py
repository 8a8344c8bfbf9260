"""Use up version numbers of a package group that another run of the model has.

SageMaker numbers the packages of a group from 1. If a person deletes the group, the next one starts
at 1 again, but captures, cohorts and variants of the model are known by the version number. So a
number that has been recorded is never given to another run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refit.stores.registry import RUN_PROPERTY
from refit.telemetry import logger

if TYPE_CHECKING:
    from refit.usecases.services import Services


def skip_used_numbers(
    services: Services, model: str, group: str, request: dict[str, Any]
) -> list[str]:
    """Create packages until the next one of the group has a number that no run has.

    The packages are rejected and name no run, so they are never deployed. If the process ends
    before they are deleted, the next call continues with their numbers.

    Args:
        services: the AWS services and the clock of this process.
        model: name of the model.
        group: its model package group.
        request: the CreateModelPackage request of the version that needs a number.

    Returns:
        The ARNs of the packages, which are to be deleted once the version exists.
    """
    versions, _ = services.registry.page(group, 1, None)
    recorded = services.models.packages_after(model, versions[0].version if versions else 0)
    if not recorded:
        return []
    last, _ = recorded[-1]
    properties = {
        name: value
        for name, value in request["CustomerMetadataProperties"].items()
        if name != RUN_PROPERTY
    }
    arns: list[str] = []
    number = 0
    while number < last:
        placeholder = request | {
            "ModelApprovalStatus": "Rejected",
            "ModelPackageDescription": "Placeholder for a version of a deleted package group.",
            "ClientToken": f"{request['ClientToken']}-{len(arns)}",
            "CustomerMetadataProperties": properties,
        }
        package = services.registry.create_package(placeholder)
        arns.append(package.arn)
        number = package.version
    logger.warning("the package group began anew", extra={"model": model, "last_version": last})
    return arns
