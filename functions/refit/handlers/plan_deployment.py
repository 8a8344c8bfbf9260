"""Decide which version should be live, take the deployment lock and make the requests for it.

Invoked by  DEPLOY state machine, state PlanDeployment
Input       {"group", "execution"}: of the model package that changed    events/plan_deployment.json
Output      {"action": "none"} or {"action": "create" | "update", "model", "run", "version",
            "package_arn", "deployment", "name", "endpoint", "variant", "requests"}
Raises      DeploymentInProgress, ServiceThrottled

The newest approved version should be live. A rejected live version therefore brings back the last
approved one, and an event that comes twice or late finds nothing to do.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from refit.domain.errors import DeploymentInProgress
from refit.domain.model_settings import ModelSettings, MonitoringSettings
from refit.domain.naming import ModelKeys, ResourceNames, RunKeys, deployment_id, model_of_group
from refit.domain.pipeline.deployment import Action, action_for
from refit.environment import environment
from refit.stores import registry, s3, store
from refit.telemetry import logger


class Request(BaseModel):
    """The event."""

    model_config = ConfigDict(extra="ignore")

    group: str
    execution: str


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return what the deployment has to do."""
    request = Request.model_validate(event)
    model = model_of_group(environment().name_prefix, request.group)
    if model is None:
        return {"action": Action.NONE}
    names = ResourceNames(environment().name_prefix, model)
    deployment = deployment_id(request.execution)
    if not store.begin_deployment(model, deployment):
        raise DeploymentInProgress(f"another deployment of {model} is under way")
    plan = _plan(model, names, deployment)
    if plan["action"] is Action.NONE:
        store.end_deployment(model, deployment)
    else:
        store.name_deployment(model, deployment, plan["run"], request.execution)
    return plan


def _plan(model: str, names: ResourceNames, deployment: str) -> dict[str, Any]:
    package = registry.newest_approved(names.model_package_group)
    champion = store.load_champion(model)
    live = registry.describe_endpoint(names.endpoint)
    action = action_for(
        package.version if package else None,
        champion.version if champion else None,
        live is not None,
    )
    if package is None or package.run is None or action is Action.NONE:
        logger.info("nothing to deploy", extra={"model": model})
        return {"action": Action.NONE}
    keys = RunKeys(model, package.run)
    chosen = ModelSettings.model_validate(s3.get_json(keys.manifest)["settings"])
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
        "requests": _requests(names, name, package, chosen, action),
    }


def _requests(
    names: ResourceNames,
    name: str,
    package: registry.PackageVersion,
    chosen: ModelSettings,
    action: Action,
) -> dict[str, Any]:
    tags = [{"Key": "refit:model", "Value": names.model}]
    endpoint: dict[str, Any] = {"EndpointName": names.endpoint, "EndpointConfigName": name}
    if action is Action.CREATE:
        endpoint["Tags"] = tags
    else:
        endpoint["DeploymentConfig"] = {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": {
                    "Type": "ALL_AT_ONCE",
                    "WaitIntervalInSeconds": 0,
                },
                "TerminationWaitInSeconds": chosen.deployment.termination_wait_s,
            }
        }
    return {
        "model": {
            "ModelName": name,
            "ExecutionRoleArn": environment().sagemaker_role_arn,
            "Containers": [{"ModelPackageName": package.arn}],
            "Tags": tags,
        },
        "config": {
            "EndpointConfigName": name,
            "ProductionVariants": [
                {
                    "VariantName": names.variant(package.version),
                    "ModelName": name,
                    "InstanceType": chosen.deployment.instance_type,
                    "InitialInstanceCount": chosen.deployment.instance_count,
                    "InitialVariantWeight": 1.0,
                }
            ],
            "Tags": tags,
        }
        | _data_capture(names.model, chosen.monitoring),
        "endpoint": endpoint,
    }


def _data_capture(model: str, chosen: MonitoringSettings) -> dict[str, Any]:
    """Return what makes the endpoint capture by itself, where the settings ask for that."""
    if chosen.capture != "endpoint":
        return {}
    return {
        "DataCaptureConfig": {
            "EnableCapture": True,
            "InitialSamplingPercentage": chosen.capture_percent,
            "DestinationS3Uri": f"s3://{environment().bucket}/{ModelKeys(model).capture}".rstrip(
                "/"
            ),
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {
                "CsvContentTypes": ["text/csv"],
                "JsonContentTypes": ["application/json"],
            },
        }
    }
