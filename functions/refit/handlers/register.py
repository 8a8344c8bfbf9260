"""Register the challenger as a version of the model's package group, approved or not.

Invoked by  TRAIN state machine, state Register
Input       {"model", "run", "training", "gate", "metrics"}                events/register.json
Output      {"version", "package_arn", "status"}: what the run becomes
Raises      ServiceThrottled

The package's ClientToken is the run's id: registering a run twice gives one version.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from refit.domain.model_settings import ModelSettings
from refit.domain.naming import ResourceNames, RunKeys
from refit.environment import environment
from refit.handlers.plan_evaluation import TRANSFORM_INSTANCE, Training
from refit.stores import registry, s3, store
from refit.telemetry import logger


class Decision(BaseModel):
    """What the gate said."""

    model_config = ConfigDict(extra="ignore")

    passed: bool
    reasons: list[str]


class Request(BaseModel):
    """The event."""

    model_config = ConfigDict(extra="ignore")

    model: str
    run: str
    training: Training
    gate: Decision
    metrics: dict[str, float | int | str | None]


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Register the version; say what the run becomes by it."""
    request = Request.model_validate(event)
    keys = RunKeys(request.model, request.run)
    chosen = ModelSettings.model_validate(s3.get_json(keys.manifest)["settings"])
    approval, status = _approval(request.gate.passed, chosen.gate.approval)
    # An approved package starts its deployment by itself: the run must say so before it exists.
    store.update_run(
        request.model,
        request.run,
        status=status if status is store.RunStatus.DEPLOYING else store.RunStatus.REGISTERING,
        metrics={name: value for name, value in request.metrics.items() if value is not None},
    )
    group = ResourceNames(environment().name_prefix, request.model).model_package_group
    registry.ensure_group(group, f"Versions of the model {request.model}, made by Refit")
    package = registry.create_package(_package(request, keys, group, approval, chosen))
    store.record_version(request.model, package.version, request.run, package.arn)
    return {"version": package.version, "package_arn": package.arn, "status": status}


def _approval(passed: bool, approval: str) -> tuple[str, store.RunStatus]:
    if not passed:
        return "Rejected", store.RunStatus.REFUSED
    if approval == "manual":
        return "PendingManualApproval", store.RunStatus.AWAITING_APPROVAL
    return "Approved", store.RunStatus.DEPLOYING


def _package(
    request: Request, keys: RunKeys, group: str, approval: str, chosen: ModelSettings
) -> dict[str, Any]:
    bucket = environment().bucket
    statistics = {
        "ContentType": "application/json",
        "S3Uri": f"s3://{bucket}/{keys.evaluation_statistics}",
    }
    properties = {"refit:model": request.model, registry.RUN_PROPERTY: request.run}
    properties |= {
        f"refit:{name}": str(value)[:256]
        for name, value in request.metrics.items()
        if value is not None
    }
    return {
        "ModelPackageGroupName": group,
        "ModelPackageDescription": " ".join(request.gate.reasons)[:1024],
        "ModelApprovalStatus": approval,
        "ClientToken": request.run,
        "InferenceSpecification": {
            "Containers": [
                {
                    "Image": request.training.image,
                    "ModelDataUrl": request.training.artifacts,
                }
            ],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv", "application/json"],
            "SupportedRealtimeInferenceInstanceTypes": [chosen.deployment.instance_type],
            "SupportedTransformInstanceTypes": [TRANSFORM_INSTANCE],
        },
        "ModelMetrics": {"ModelQuality": {"Statistics": statistics}},
        "CustomerMetadataProperties": properties,
    }
