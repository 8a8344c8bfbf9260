"""Run a service of Refit's own inside MiniStack, with its requests authorized as on AWS.

AWS        authorizes every resource that a request names, and `iam:PassRole` for each passed role
MiniStack  has no SageMaker, and authorizes one resource a request
Source     Service Authorization Reference; IAM User Guide, "Grant a user permissions to pass a role
           to an AWS service"
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

from refit_local.ministack.hooks import Response, region
from refit_local.ministack.iam import Permission, denial_message
from refit_local.ministack.names import Hook

Handler = Callable[[str, str, dict[str, str], bytes, dict[str, Any]], Awaitable[Response]]


@dataclass(frozen=True)
class Service:
    """How MiniStack routes and authorizes the requests of a service.

    Attributes:
        name: the IAM namespace and the service in a SigV4 scope, e.g. `sagemaker`.
        aliases: other names and host prefixes, e.g. `runtime.sagemaker`.
        target_prefix: the beginning of `X-Amz-Target`, e.g. `SageMaker`.
        sdk_name: the prefix that Step Functions gives to an error, e.g. `SageMaker`.
        models: botocore's service models that name the REST operations.
        handle_request: takes method, path, headers, body and query, as MiniStack's services do.
        permissions: the permissions a request requires, from its operation (None for a REST
            request), path and body. The first is that of the operation itself; the others are for
            further resources and passed roles.
        reset: deletes all state.
    """

    name: str
    aliases: tuple[str, ...]
    target_prefix: str
    sdk_name: str
    models: tuple[str, ...]
    handle_request: Handler
    permissions: Callable[[str | None, str, bytes], list[Permission]]
    reset: Callable[[], None]


@dataclass(frozen=True)
class HostedService:
    """How the server starts and ends a registered service.

    Attributes:
        resume: continues from kept state; called in a thread when all services respond.
        shut_down: ends every process that the service has started.
    """

    resume: Callable[[], None]
    shut_down: Callable[[], None]


def register_service(service: Service) -> None:
    """Route a service's requests, its IAM checks and its `aws-sdk` tasks to it."""
    name = service.name
    handler = partial(_handle_authorized, service)
    Hook.LOADED_MODULES.get()[name] = SimpleNamespace(
        handle_request=handler, reset=service.reset, get_state=lambda: None
    )
    Hook.SERVICE_REGISTRY.get()[name] = {"module": name, "aliases": service.aliases}
    Hook.SERVICE_HANDLERS.get()[name] = handler
    Hook.SERVICE_ALIASES.get().update(dict.fromkeys(service.aliases, name))
    Hook.SERVICE_PATTERNS.get()[name] = {
        "target_prefixes": [f"{service.target_prefix}."],
        "host_patterns": [alias.replace(".", r"\.") + r"\." for alias in service.aliases],
        "credential_scope": name,
    }
    Hook.IAM_NAMESPACES.get()[name] = name
    Hook.IAM_MODELS.get()[name] = list(service.models)
    Hook.IAM_RESOURCE.wrap(partial(_first_resource, service))
    Hook.SDK_SERVICES.get()[name] = {"target_prefix": service.target_prefix, "protocol": "json"}
    Hook.SDK_ERRORS.get()[name] = service.sdk_name


def _required(
    service: Service, headers: Mapping[str, str], path: str, body: bytes
) -> list[Permission]:
    target = headers.get("x-amz-target", "")
    operation = target.rsplit(".", 1)[-1] if "." in target else None
    return service.permissions(operation, path, body)


def _first_resource(
    service: Service, original: Callable[..., str], name: str, *request: Any
) -> str:
    if name != service.name:
        return original(name, *request)
    _, path, headers, body, *_ = request
    required = _required(service, headers, path, body)
    return required[0].resource if required else "*"


async def _handle_authorized(service: Service, *request: Any) -> Response:
    """Check the permissions after the first, which MiniStack has checked, then respond."""
    _, path, headers, body, query = request
    access_key = Hook.ACCESS_KEY_OF.get()(headers, query)
    for permission in _required(service, headers, path, body)[1:]:
        denied = Hook.IAM_ENFORCE.get()(
            access_key,
            permission.action,
            permission.action.split(":")[0],
            region(),
            resource_arn=permission.resource,
            service_context=dict(permission.conditions or {}),
        )
        if denied:
            principal = getattr(denied, "principal_arn", "") or "the caller"
            return _access_denied(denial_message(principal, permission))
    return await service.handle_request(*request)


def _access_denied(message: str) -> Response:
    body = json.dumps({"__type": "AccessDeniedException", "Message": message}).encode()
    return 400, {"Content-Type": "application/x-amz-json-1.1"}, body
