"""Check the account, the Region and the stack's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from refit.domain.errors import SettingsInvalid
from refit.domain.pipeline.images import xgboost_image_uri

from refit_cli.readiness.findings import Finding, Status, is_denied, not_allowed

if TYPE_CHECKING:
    from refit.domain.model_settings import ModelSettings

_UPDATABLE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE")


def account(identity: dict[str, Any]) -> Finding:
    """Say whose credentials are used."""
    return Finding(
        "credentials",
        Status.READY,
        "an AWS account",
        f"account {identity['Account']}, {identity['Arn']}",
    )


def image(region: str, settings: ModelSettings) -> Finding:
    """Check that SageMaker's XGBoost image is offered in the Region."""
    tag = settings.training.image_tag
    needed = f"sagemaker-xgboost:{tag}"
    try:
        uri = xgboost_image_uri(region, tag)
    except SettingsInvalid as error:
        advice = "select another Region with AWS_REGION"
        return Finding(f"image in {region}", Status.MISSING, needed, str(error), advice)
    return Finding(f"image in {region}", Status.READY, needed, uri)


def stack(client: Any, name: str) -> Finding:
    """Check that a stack of this name can be created or updated.

    Args:
        client: a client of CloudFormation.
        name: the stack's name.
    """
    check, needed = f"stack {name}", "a free name, or a stack that can be updated"
    try:
        status = client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
    except ClientError as error:
        if is_denied(error):
            return not_allowed(check, needed, "cloudformation:DescribeStacks")
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        return Finding(check, Status.READY, needed, "the name is free")
    if status in _UPDATABLE:
        return Finding(check, Status.READY, needed, f"{status}: it will be updated")
    if status.endswith("_IN_PROGRESS"):
        advice = "wait for its end, then run this command again"
    else:
        advice = (
            f"it cannot be updated: find the reason with `aws cloudformation describe-stack-events "
            f"--stack-name {name}`, then `sam delete --stack-name {name}`"
        )
    return Finding(check, Status.MISSING, needed, str(status), advice)
