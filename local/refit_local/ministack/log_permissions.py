"""IAM: authorize reading CloudWatch Logs on the stream that the request names.

AWS        authorizes `logs:GetLogEvents` on the ARN of the stream, and `logs:DescribeLogStreams` on
           an ARN of the group that ends in `:log-stream:`
MiniStack  authorizes both on the ARN of the group, which a policy for some streams does not match
Source     Service Authorization Reference, "Actions, resources, and condition keys for Amazon
           CloudWatch Logs"; fluent/fluent-bit-docs, issue 913, for the ARN of DescribeLogStreams
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable

_OF_STREAMS = frozenset({"DescribeLogStreams", "GetLogEvents"})


def install() -> None:
    """Install this patch into MiniStack."""
    Hook.IAM_RESOURCE.wrap(_resource_arn)


def _resource_arn(
    original: Callable[..., str], service: str, method: str, path: str, *request: Any
) -> str:
    headers, body, *_ = request
    resource = original(service, method, path, *request)
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    if service != "logs" or operation not in _OF_STREAMS:
        return resource
    return f"{resource}:log-stream:{json.loads(body).get('logStreamName', '')}"
