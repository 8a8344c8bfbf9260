"""IAM: authorize DeleteAlarms on the alarm that the request names.

AWS        authorizes `cloudwatch:DeleteAlarms` on the alarm's ARN
MiniStack  authorizes it on all alarms, so that a policy for some alarms denies every deletion
Source     Service Authorization Reference, "Actions, resources, and condition keys for Amazon
           CloudWatch"

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
    if service == "monitoring" and headers.get("x-amz-target", "").endswith(".DeleteAlarms"):
        names = json.loads(body).get("AlarmNames") or ["*"]
        return f"arn:aws:cloudwatch:{region}:{account}:alarm:{names[0]}"
    return original(service, method, path, *request)
