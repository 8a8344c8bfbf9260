"""Make the requests for SageMaker models of registered versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refit.domain.errors import ModelNotFound

if TYPE_CHECKING:
    from refit.domain.feature_source import FeatureSource
    from refit.usecases.services import Services


def model_request(
    services: Services, name: str, source: FeatureSource, role_arn: str
) -> dict[str, Any]:
    """Return a CreateModel request for a version of another model, without tags.

    Raises:
        ModelNotFound: when the version was removed.
    """
    run = services.models.run(source.model, source.run)
    if run is None or run.package_arn is None:
        raise ModelNotFound(f"{source.text}, which [data] features_from names, was removed")
    return package_request(name, run.package_arn, role_arn)


def package_request(name: str, package_arn: str, role_arn: str) -> dict[str, Any]:
    """Return a CreateModel request for a registered version, without tags."""
    return {
        "ModelName": name,
        "ExecutionRoleArn": role_arn,
        "Containers": [{"ModelPackageName": package_arn}],
        "EnableNetworkIsolation": True,
    }
