"""IAM: authorize DeleteAlarms on the alarm that the request names, and DescribeAlarms on alarm:*.

AWS        authorizes `cloudwatch:DeleteAlarms` on the alarm's ARN, and `cloudwatch:DescribeAlarms`
           on `alarm:*`, whatever the names of the request
MiniStack  authorizes them on all resources, so that a policy for alarms denies every request
Source     Service Authorization Reference, "Actions, resources, and condition keys for Amazon
           CloudWatch"; GitHub, aws-samples/amazon-cloudwatch-auto-alarms, issue 1 (`alarm:*`)

Only the first alarm of a request is checked; Refit deletes alarms with one name prefix.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable


def install() -> None:
    """Install this patch into MiniStack."""
    Hook.IAM_RESOURCE.wrap(_resource_arn)


def _resource_arn(
    original: Callable[..., str], service: str, method: str, path: str, *request: Any
) -> str:
    headers, body, _, region, account = request
    target = headers.get("x-amz-target", "") if service == "monitoring" else ""
    if target.endswith(".DescribeAlarms"):
        return f"arn:aws:cloudwatch:{region}:{account}:alarm:*"
    if target.endswith(".DeleteAlarms"):
        names = json.loads(body).get("AlarmNames") or ["*"]
        return f"arn:aws:cloudwatch:{region}:{account}:alarm:{names[0]}"
    return original(service, method, path, *request)
