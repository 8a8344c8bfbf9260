"""Decide which version should be live, and create the requests that deploy it.

The newest approved version should be live. So when the live version is rejected, the last approved
version is deployed again, and an event that arrives twice or late has no effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refit.domain.errors import DeploymentInProgress, EndpointNotReady, RegistryLags
from refit.domain.naming import (
    ModelKeys,
    ResourceNames,
    deployment_id,
    model_of_group,
    model_tags,
)
from refit.domain.pipeline.deployment import CHANGING_STATUSES, Action, action_for
from refit.domain.pipeline.failure import Failure
from refit.domain.pipeline.reconciliation import (
    AWAITS_DEPLOYMENT,
    VersionState,
    outcome_of_undeployed,
)
from refit.telemetry import logger
from refit.usecases.check_image import check_image
from refit.usecases.endpoint_faults import fault_of
from refit.usecases.finish_run import finish_run
from refit.usecases.package_models import model_request, package_request
from refit.usecases.reconcile_model import reconcile_model
from refit.usecases.record_outcome import RunOutcome

if TYPE_CHECKING:
    from refit.domain.model_settings import DeploymentSettings, MonitoringSettings
    from refit.domain.pipeline.manifest import Manifest
    from refit.stores.endpoints import EndpointState
    from refit.stores.registry import PackageVersion
    from refit.usecases.services import Services


@dataclass(frozen=True)
class PackageChange:
    """What the event says that started the deployment.

    Attributes:
        group: the model package group.
        approval: the new approval status of the package.
    """

    group: str
    version: int
    package_arn: str
    approval: str


def plan_deployment(
    services: Services, change: PackageChange, execution_arn: str
) -> dict[str, Any]:
    """Take the deployment lock and return the plan of the deployment.

    If there is nothing to deploy, the lock is given back. A run whose version will not be deployed
    any more ends here.

    Args:
        services: the AWS services and the clock of this process.
        change: the model package that changed.
        execution_arn: ARN of the DEPLOY execution.

    Returns:
        `{"action": "none"}`, or the plan that handlers/plan_deployment.py describes.

    Raises:
        DeploymentInProgress: when another deployment of the model holds the lock.
        EndpointNotReady: while the endpoint takes no change.
        RegistryLags: when the registry does not show yet what the event says.
        SettingsInvalid: when the image of the version is not allowed to run (any more). The lock is
            given back when the execution has failed.
    """
    model = model_of_group(services.environment.name_prefix, change.group)
    if model is None:
        return {"action": Action.NONE}
    if services.models.state(model).removing_since or not services.models.is_known(model):
        logger.info("the model is removed", extra={"model": model})
        return {"action": Action.NONE}
    deployment = deployment_id(execution_arn)
    if not services.models.begin_deployment(model, deployment, execution_arn):
        raise DeploymentInProgress(f"another deployment of {model} is in progress")
    changed = services.registry.find_package(change.package_arn)
    newest = services.registry.latest_approved(services.names(model).model_package_group)
    _check_registry(change, changed, newest)
    plan = _plan(services, model, deployment, newest)
    is_none = plan["action"] is Action.NONE
    if not is_none:
        services.models.name_deployment(model, deployment, plan["run"], execution_arn)
    has_ended_run = changed is not None and _end_undeployed(
        services, model, changed, newest, deployment if is_none else None
    )
    if is_none and not has_ended_run:
        reconcile_model(services, model, ended_deployment=deployment)
    return plan


def _check_registry(
    change: PackageChange, changed: PackageVersion | None, newest: PackageVersion | None
) -> None:
    """Check that the registry shows an approval of which the event speaks.

    A version that was rejected since is shown as Rejected; its own event ends its run.
    """
    if change.approval != "Approved":
        return
    where = f"version {change.version} of {change.group}"
    if changed is None:
        raise RegistryLags(f"{where} was approved, and the registry does not have it yet")
    if changed.approval == "PendingManualApproval":
        raise RegistryLags(f"{where} was approved, and the registry says {changed.approval}")
    is_listed = newest is not None and newest.version >= changed.version
    if changed.approval == "Approved" and changed.run is not None and not is_listed:
        raise RegistryLags(f"{where} was approved, and the list of versions does not show it yet")


def _end_undeployed(
    services: Services,
    model: str,
    changed: PackageVersion,
    newest: PackageVersion | None,
    deployment: str | None,
) -> bool:
    """End the run of the changed version if it waits for a deployment that will not come.

    Returns:
        Whether the run has ended. Then the locks of the run and of `deployment` are released.
    """
    run = services.models.run(model, changed.run) if changed.run else None
    if run is None or run.status not in AWAITS_DEPLOYMENT:
        return False
    champion = services.models.champion(model)
    version = VersionState(changed.version, changed.approval, newest.version if newest else None)
    reason = outcome_of_undeployed(version, champion.version if champion else None, run.status)
    if reason is None:
        return False
    failure = Failure(reason.error, reason.message) if reason.error else None
    finish_run(
        services,
        RunOutcome(model, run.run, reason.status, reason.message, failure, deployment),
    )
    return True


def _plan(
    services: Services, model: str, deployment: str, package: PackageVersion | None
) -> dict[str, Any]:
    names = services.names(model)
    champion = services.models.champion(model)
    live = services.endpoints.describe(names.endpoint)
    action = action_for(
        package.version if package else None,
        champion.version if champion else None,
        live is not None,
        has_fault=champion is not None and fault_of(names, champion, live) is not None,
    )
    if package is None or package.run is None or action is Action.NONE:
        logger.info("nothing to deploy", extra={"model": model})
        return {"action": Action.NONE}
    # The function that registered the version may have died before it recorded it.
    if not services.models.record_version(model, package.version, package.run, package.arn):
        logger.warning("the number of the version belongs to another run", extra={"model": model})
        return {"action": Action.NONE}
    _check_endpoint(services, names.endpoint, live)
    check_image(services, package.image)
    manifest = services.artifacts.manifest(model, package.run)
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
        "requests": _requests(services, model, name, package, manifest)
        | {"endpoint": _endpoint_request(services, model, name, action)},
    }


def _check_endpoint(services: Services, endpoint: str, live: EndpointState | None) -> None:
    """Check that SageMaker takes a change of the endpoint, which may have been left changing.

    Raises:
        EndpointNotReady: while it is changing; and after its deletion has begun here, because a
            failed endpoint can only be deleted.
    """
    if live is None:
        return
    if live.status == "Failed":
        services.endpoints.delete(endpoint)
        raise EndpointNotReady(f"endpoint {endpoint} is Failed, and is being deleted")
    if live.status in CHANGING_STATUSES:
        raise EndpointNotReady(f"endpoint {endpoint} is {live.status}")


def _requests(
    services: Services, model: str, name: str, package: PackageVersion, manifest: Manifest
) -> dict[str, Any]:
    """Return the requests of CreateModel and CreateEndpointConfig.

    With `[data] features_from` there are two models. The variant of the other model has the
    weight 0, so it answers only requests that name it.
    """
    settings, source = manifest.settings, manifest.features_from
    role, tags = services.environment.endpoint_role_arn, model_tags(model)
    variants = [
        _variant(settings.deployment, services.names(model).variant(package.version), name, 1.0)
    ]
    requests: dict[str, Any] = {"model": package_request(name, package.arn, role) | {"Tags": tags}}
    if source is not None:
        beside = ResourceNames.deployed_features(name)
        variant = ResourceNames.features_variant(source.model, source.version)
        variants.append(_variant(settings.deployment, variant, beside, 0.0))
        requests["features_model"] = model_request(services, beside, source, role) | {"Tags": tags}
    requests["config"] = {
        "EndpointConfigName": name,
        "ProductionVariants": variants,
        "Tags": tags,
    } | _data_capture(services, model, settings.monitoring)
    return requests


def _variant(
    settings: DeploymentSettings, variant: str, model_name: str, weight: float
) -> dict[str, Any]:
    return {
        "VariantName": variant,
        "ModelName": model_name,
        "InstanceType": settings.instance_type,
        "InitialInstanceCount": settings.instance_count,
        "InitialVariantWeight": weight,
    }


def _endpoint_request(
    services: Services, model: str, config: str, action: Action
) -> dict[str, Any]:
    """Return the request of CreateEndpoint or UpdateEndpoint.

    An update sends no DeploymentConfig: with one, SageMaker demands that the variants keep their
    names, and Refit names them after versions. Without one it shifts all traffic at once, from the
    old instances to the new ones.
    """
    request = {"EndpointName": services.names(model).endpoint, "EndpointConfigName": config}
    return request | {"Tags": model_tags(model)} if action is Action.CREATE else request


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
