"""Decide which version should be live, and create the requests that deploy it.

The newest approved version should be live. So when the live version is rejected, the last approved
version is deployed again, and an event that arrives twice or late has no effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refit.domain.errors import DeploymentInProgress
from refit.domain.naming import ModelKeys, deployment_id, model_of_group
from refit.domain.pipeline.deployment import Action, action_for
from refit.telemetry import logger

if TYPE_CHECKING:
    from refit.domain.model_settings import DeploymentSettings, ModelSettings, MonitoringSettings
    from refit.stores.registry import PackageVersion
    from refit.usecases.services import Services


def plan_deployment(services: Services, group: str, execution_arn: str) -> dict[str, Any]:
    """Take the deployment lock and return the plan of the deployment.

    Args:
        services: the AWS services and the clock of this process.
        group: the model package group in which a package changed.
        execution_arn: ARN of the DEPLOY execution.

    Returns:
        `{"action": "none"}`, or the plan that handlers/plan_deployment.py describes.

    Raises:
        DeploymentInProgress: when another deployment of the model holds the lock.
    """
    model = model_of_group(services.environment.name_prefix, group)
    if model is None:
        return {"action": Action.NONE}
    if services.models.state(model).removing_since or not services.models.is_known(model):
        logger.info("the model is removed", extra={"model": model})
        return {"action": Action.NONE}
    deployment = deployment_id(execution_arn)
    if not services.models.begin_deployment(model, deployment):
        raise DeploymentInProgress(f"another deployment of {model} is in progress")
    plan = _plan(services, model, deployment)
    if plan["action"] is Action.NONE:
        services.models.end_deployment(model, deployment)
    else:
        services.models.name_deployment(model, deployment, plan["run"], execution_arn)
    return plan


def _plan(services: Services, model: str, deployment: str) -> dict[str, Any]:
    names = services.names(model)
    package = services.registry.latest_approved(names.model_package_group)
    champion = services.models.champion(model)
    action = action_for(
        package.version if package else None,
        champion.version if champion else None,
        services.endpoints.describe(names.endpoint) is not None,
    )
    if package is None or package.run is None or action is Action.NONE:
        logger.info("nothing to deploy", extra={"model": model})
        return {"action": Action.NONE}
    settings = services.artifacts.settings(model, package.run)
    name = names.deployed(package.version, deployment)
    return {
        "action": action,
        "model": model,
        "run": package.run,
        "version": package.version,
        "package_arn": package.arn,
        "deployment": deployment,
        "name": name,
        "endpoint": names.endpoint,
        "variant": names.variant(package.version),
        "requests": _requests(services, model, name, package, settings)
        | {"endpoint": _endpoint_request(services, model, name, settings.deployment, action)},
    }


def _requests(
    services: Services, model: str, name: str, package: PackageVersion, settings: ModelSettings
) -> dict[str, Any]:
    """Return the requests of CreateModel and CreateEndpointConfig."""
    variant = {
        "VariantName": services.names(model).variant(package.version),
        "ModelName": name,
        "InstanceType": settings.deployment.instance_type,
        "InitialInstanceCount": settings.deployment.instance_count,
        "InitialVariantWeight": 1.0,
    }
    return {
        "model": {
            "ModelName": name,
            "ExecutionRoleArn": services.environment.endpoint_role_arn,
            "Containers": [{"ModelPackageName": package.arn}],
            "EnableNetworkIsolation": True,
            "Tags": _tags(model),
        },
        "config": {
            "EndpointConfigName": name,
            "ProductionVariants": [variant],
            "Tags": _tags(model),
        }
        | _data_capture(services, model, settings.monitoring),
    }


def _endpoint_request(
    services: Services, model: str, config: str, settings: DeploymentSettings, action: Action
) -> dict[str, Any]:
    """Return the request of CreateEndpoint or UpdateEndpoint."""
    request = {"EndpointName": services.names(model).endpoint, "EndpointConfigName": config}
    if action is Action.CREATE:
        return request | {"Tags": _tags(model)}
    routing = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    policy = {
        "TrafficRoutingConfiguration": routing,
        "TerminationWaitInSeconds": settings.termination_wait_s,
    }
    return request | {"DeploymentConfig": {"BlueGreenUpdatePolicy": policy}}


def _data_capture(services: Services, model: str, settings: MonitoringSettings) -> dict[str, Any]:
    """Return the config of SageMaker's data capture if the settings enable it."""
    if settings.capture != "endpoint":
        return {}
    prefix = ModelKeys(model).capture.rstrip("/")
    return {
        "DataCaptureConfig": {
            "EnableCapture": True,
            "InitialSamplingPercentage": settings.capture_percent,
            "DestinationS3Uri": f"s3://{services.environment.bucket}/{prefix}",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {
                "CsvContentTypes": ["text/csv"],
                "JsonContentTypes": ["application/json"],
            },
        }
    }


def _tags(model: str) -> list[dict[str, str]]:
    return [{"Key": "refit:model", "Value": model}]
