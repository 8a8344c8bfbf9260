"""Register the challenger as a version of the model's package group, approved or not.

The ClientToken of the package is the id of the run, so registering a run twice creates one version.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from refit.domain.errors import ModelNotFound, VersionNumberUsed
from refit.domain.naming import RunKeys
from refit.domain.one_line import one_line
from refit.domain.pipeline.algorithms import algorithm_of
from refit.domain.vocabulary import RunStatus
from refit.stores.registry import RUN_PROPERTY
from refit.usecases.check_image import check_image
from refit.usecases.plan_evaluation import TRANSFORM_INSTANCE
from refit.usecases.version_numbers import skip_used_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refit.domain.model_settings import ModelSettings
    from refit.usecases.plan_evaluation import TrainedModel
    from refit.usecases.services import Services

Approval: TypeAlias = Literal["Approved", "PendingManualApproval", "Rejected"]

_MAX_DESCRIPTION = 1024  # characters in ModelPackageDescription
_MAX_PROPERTY = 256  # characters in a value of CustomerMetadataProperties


@dataclass(frozen=True)
class Challenger:
    """A trained model, and the decision of the gate.

    Attributes:
        reasons: reasons of the gate, as sentences.
        metrics: the headline metrics of the evaluation.
    """

    model: str
    run: str
    trained: TrainedModel
    passed: bool
    reasons: Sequence[str]
    metrics: Mapping[str, float | int | str]


@dataclass(frozen=True)
class RegisteredVersion:
    """A version, and the current status of its run."""

    version: int
    package_arn: str
    status: RunStatus


def register_version(services: Services, challenger: Challenger) -> RegisteredVersion:
    """Register the version, and record it in the run.

    Raises:
        ModelNotFound: when the model was removed.
        SettingsInvalid: when the image is not allowed to run (any more).
        VersionNumberUsed: when the version number belongs to another run.
    """
    model, run = challenger.model, challenger.run
    check_image(services, challenger.trained.image)
    settings = services.artifacts.settings(model, run)
    approval, status = _approval(challenger.passed, settings.gate.approval)
    # Creating an approved package starts its deployment, so the status of the run is set before.
    exists = services.models.update_run(
        model,
        run,
        status=status if status is RunStatus.DEPLOYING else RunStatus.REGISTERING,
        metrics=dict(challenger.metrics),
    )
    if not exists:
        raise ModelNotFound(f"{model} was removed while run {run} trained")
    group = services.names(model).model_package_group
    services.registry.ensure_group(group, f"Versions of the model {model}, created by Refit")
    request = _package(services, challenger, group, approval, settings)
    placeholders = skip_used_numbers(services, model, group, request)
    package = services.registry.create_package(request)
    for arn in placeholders:
        services.registry.delete_package(arn)
    if not services.models.record_version(model, package.version, run, package.arn):
        services.registry.delete_package(package.arn)  # its approval would deploy it
        raise VersionNumberUsed(
            f"SageMaker gave the model of run {run} the version number {package.version}, which "
            f"another run of {model} has, so the package was deleted. Retry the run with "
            f"`refit retry {model}`"
        )
    return RegisteredVersion(package.version, package.arn, status)


def _approval(passed: bool, approval: str) -> tuple[Approval, RunStatus]:
    if not passed:
        return "Rejected", RunStatus.REFUSED
    if approval == "manual":
        return "PendingManualApproval", RunStatus.AWAITING_APPROVAL
    return "Approved", RunStatus.DEPLOYING


def _package(
    services: Services,
    challenger: Challenger,
    group: str,
    approval: Approval,
    settings: ModelSettings,
) -> dict[str, Any]:
    keys = RunKeys(challenger.model, challenger.run)
    statistics_uri = f"s3://{services.environment.bucket}/{keys.evaluation_statistics}"
    metrics = {
        f"refit:{name}": str(value)[:_MAX_PROPERTY] for name, value in challenger.metrics.items()
    }
    return {
        "ModelPackageGroupName": group,
        "ModelPackageDescription": one_line(" ".join(challenger.reasons), _MAX_DESCRIPTION),
        "ModelApprovalStatus": approval,
        "ClientToken": challenger.run,
        "InferenceSpecification": {
            "Containers": [challenger.trained.container],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": list(algorithm_of(settings.training).answer_types),
            "SupportedRealtimeInferenceInstanceTypes": [settings.deployment.instance_type],
            "SupportedTransformInstanceTypes": [TRANSFORM_INSTANCE],
        },
        "ModelMetrics": {
            "ModelQuality": {
                "Statistics": {"ContentType": "application/json", "S3Uri": statistics_uri}
            }
        },
        "CustomerMetadataProperties": {
            "refit:model": challenger.model,
            RUN_PROPERTY: challenger.run,
            **metrics,
        },
    }
