"""Check the permissions of the user who deploys, with IAM's policy simulator.

The simulator reads the identity-based policies and the permissions boundary of a user or role, and
the service control policies of the organization. It does not see session policies, nor conditions
on values that it is not given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from refit_cli.readiness.findings import Finding, Status, is_denied

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHECK = "permissions to deploy"
_SIMULATED_AT_ONCE = 50
_SHOWN = 8
_MISSING_ENTITY = "NoSuchEntity"

# The actions that creating the stack takes first, by the resource types of the template.
DEPLOY_ACTIONS: dict[str, tuple[str, ...]] = {
    "CloudFormation": (
        "cloudformation:CreateChangeSet",
        "cloudformation:DescribeChangeSet",
        "cloudformation:DescribeStackEvents",
        "cloudformation:DescribeStacks",
        "cloudformation:ExecuteChangeSet",
        "cloudformation:GetTemplateSummary",
    ),
    "AWS::ApiGateway": ("apigateway:POST", "apigateway:PATCH", "apigateway:PUT"),
    "AWS::CloudWatch": ("cloudwatch:PutMetricAlarm", "cloudwatch:PutDashboard"),
    "AWS::DynamoDB": (
        "dynamodb:CreateTable",
        "dynamodb:UpdateContinuousBackups",
        "dynamodb:UpdateTimeToLive",
    ),
    "AWS::Events": ("events:PutRule", "events:PutTargets"),
    "AWS::IAM": (
        "iam:AttachRolePolicy",
        "iam:CreateRole",
        "iam:GetRole",
        "iam:PassRole",
        "iam:PutRolePolicy",
        "iam:TagRole",
    ),
    "AWS::KinesisFirehose": ("firehose:CreateDeliveryStream",),
    "AWS::Lambda": (
        "lambda:AddPermission",
        "lambda:CreateEventSourceMapping",
        "lambda:CreateFunction",
        "lambda:PublishLayerVersion",
    ),
    "AWS::Logs": ("logs:CreateLogGroup", "logs:PutRetentionPolicy"),
    "AWS::S3": (
        "s3:CreateBucket",
        "s3:PutBucketNotification",
        "s3:PutBucketPolicy",
        "s3:PutBucketPublicAccessBlock",
        "s3:PutBucketVersioning",
        "s3:PutEncryptionConfiguration",
        "s3:PutLifecycleConfiguration",
    ),
    "AWS::SNS": ("sns:CreateTopic",),
    "AWS::SQS": ("sqs:CreateQueue", "sqs:SetQueueAttributes"),
    "AWS::StepFunctions": ("states:CreateStateMachine", "states:TagResource"),
}


def to_deploy(iam: Any, caller_arn: str) -> Finding:
    """Check that the caller may create the stack.

    Args:
        iam: a client of IAM.
        caller_arn: the ARN of the caller, as STS gives it.
    """
    actions = [action for group in DEPLOY_ACTIONS.values() for action in group]
    needed = f"{len(actions)} actions of {len(DEPLOY_ACTIONS)} services"
    resource = caller_arn.split(":", 5)[5]
    if resource == "root":
        advice = "use an IAM role or user instead of the account's root user"
        return Finding(_CHECK, Status.NOTE, needed, "the root user may do everything", advice)
    try:
        principal = _principal(iam, caller_arn)
        if principal is None:
            found = f"not checked: the simulator does not know {caller_arn}"
            return Finding(_CHECK, Status.UNCHECKED, needed, found)
        denied = sorted(_denied(iam, principal, actions))
    except ClientError as error:
        if not is_denied(error) and error.response["Error"]["Code"] != _MISSING_ENTITY:
            raise
        return Finding(
            _CHECK,
            Status.UNCHECKED,
            needed,
            f"not checked: iam:{error.operation_name} of {caller_arn} is not possible "
            f"({error.response['Error']['Code']})",
            "allow iam:SimulatePrincipalPolicy and iam:GetRole to have them checked",
        )
    if not denied:
        return Finding(_CHECK, Status.READY, needed, f"{principal} has them")
    shown = ", ".join(denied[:_SHOWN]) + (" …" if len(denied) > _SHOWN else "")
    return Finding(
        _CHECK,
        Status.MISSING,
        needed,
        f"{principal} lacks {len(denied)}: {shown}",
        "let an administrator add them, or deploy with another role",
    )


def _principal(iam: Any, caller_arn: str) -> str | None:
    """Return the user or role whose policies decide; None for a caller that has none.

    The ARN of a session has the name of its role without the role's path.
    """
    resource = caller_arn.split(":", 5)[5]
    kind, _, rest = resource.partition("/")
    if kind in {"user", "role"}:
        return caller_arn
    if kind == "assumed-role":
        return str(iam.get_role(RoleName=rest.split("/")[0])["Role"]["Arn"])
    return None


def _denied(iam: Any, principal: str, actions: list[str]) -> Iterator[str]:
    for start in range(0, len(actions), _SIMULATED_AT_ONCE):
        pages = iam.get_paginator("simulate_principal_policy").paginate(
            PolicySourceArn=principal, ActionNames=actions[start : start + _SIMULATED_AT_ONCE]
        )
        for page in pages:
            for result in page["EvaluationResults"]:
                if result["EvalDecision"] != "allowed":
                    yield str(result["EvalActionName"])
