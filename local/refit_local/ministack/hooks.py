"""What the ground asks of MiniStack, in words of its own: services, tasks, events, logs, roles.

Everything here goes through the names in `ministack_names`.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

from refit_local.ministack.names import Hook

SESSION_LENGTH_S = 3600

Response = tuple[int, dict[str, str], bytes]
Handler = Callable[[str, str, dict[str, str], bytes, dict[str, Any]], Awaitable[Response]]


class TaskFailed(Exception):
    """Raised by a task handler: the state fails with this error name and cause."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause


@dataclass(frozen=True)
class Permission:
    """What a request needs: an IAM action on a resource, under extra condition keys."""

    action: str
    resource: str
    conditions: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Service:
    """A service of our own inside MiniStack.

    Attributes:
        name: the IAM namespace and the service in a SigV4 scope, e.g. `sagemaker`.
        aliases: other names and host prefixes, e.g. `runtime.sagemaker`.
        target_prefix: what `X-Amz-Target` starts with, e.g. `SageMaker`.
        sdk_name: how an error is prefixed by Step Functions, e.g. `SageMaker`.
        models: botocore's service models that name the REST operations.
        handle_request: answers a request as MiniStack's own services do.
        permissions: what a request needs, from its operation (None for a REST request), path and
            body; the first is the operation itself, the rest further resources and passed roles.
        reset: forgets everything.
    """

    name: str
    aliases: tuple[str, ...]
    target_prefix: str
    sdk_name: str
    models: tuple[str, ...]
    handle_request: Handler
    permissions: Callable[[str | None, str, bytes], list[Permission]]
    reset: Callable[[], None]


def register_service(service: Service) -> None:
    """Route a service's requests, its IAM checks and its `aws-sdk` tasks to us."""
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


def _needed(
    service: Service, headers: Mapping[str, str], path: str, body: bytes
) -> list[Permission]:
    target = headers.get("x-amz-target", "")
    operation = target.rsplit(".", 1)[-1] if "." in target else None
    return service.permissions(operation, path, body)


def trust_loopback() -> None:
    """Count plain HTTP as `aws:SecureTransport`: a ground answers on 127.0.0.1 only."""
    Hook.PIN_ORIGIN.wrap(lambda original, address, secure: original(address, True))


def _first_resource(
    service: Service, original: Callable[..., str], name: str, *request: Any
) -> str:
    if name != service.name:
        return original(name, *request)
    _, path, headers, body, *_ = request
    needed = _needed(service, headers, path, body)
    return needed[0].resource if needed else "*"


async def _handle_authorized(service: Service, *request: Any) -> Response:
    """Check what MiniStack does not (it checks one resource a request), then answer."""
    _, path, headers, body, query = request
    access_key = Hook.ACCESS_KEY_OF.get()(headers, query)
    for permission in _needed(service, headers, path, body)[1:]:
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


def denial_message(principal: str, permission: Permission) -> str:
    """Return AWS's sentence for a request that no identity-based policy allows."""
    return (
        f"User: {principal} is not authorized to perform: {permission.action} on resource: "
        f"{permission.resource} because no identity-based policy allows the "
        f"{permission.action} action"
    )


def role_may(role_arn: str, permission: Permission) -> bool:
    """Return whether a role's policies allow this (a role that does not exist may nothing)."""
    _, _, _, _, account_id, resource = role_arn.split(":", 5)
    role = resource.rsplit("/", 1)[-1]
    context = Hook.IAM_CONTEXT.get()(
        principal_arn=f"arn:aws:sts::{account_id}:assumed-role/{role}/states",
        principal_type="AssumedRole",
        principal_account=account_id,
        action=permission.action,
        resource_arn=permission.resource,
        region=region(),
        service_context={k.lower(): v for k, v in (permission.conditions or {}).items()},
    )
    policies = Hook.IAM_ROLE_POLICIES.get()(role, account_id)
    return bool(Hook.IAM_EVALUATE.get()(context, policies).decision == "Allow")


@dataclass(frozen=True)
class RoleSession:
    """Temporary credentials of a role. `expires_at` is Unix time in seconds."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expires_at: float


def assume_role(role_arn: str, session_name: str, service: str) -> RoleSession:
    """Act as a role on behalf of a service, e.g. `sagemaker.amazonaws.com`.

    Raises:
        PermissionError: when there is no such role, or it does not trust the service.
    """
    account_id, resource = role_arn.split(":", 5)[4:]
    name = resource.rsplit("/", 1)[-1]
    role = Hook.ROLES.get().get_scoped(account_id, None, name)
    if role is None or not _trusts(role, service):
        raise PermissionError(f"{service} cannot assume the role {role_arn}")
    session = RoleSession(
        access_key_id=f"ASIA{secrets.token_hex(8).upper()}",
        secret_access_key=secrets.token_urlsafe(30),
        session_token=secrets.token_urlsafe(60),
        expires_at=time.time() + SESSION_LENGTH_S,
    )
    Hook.REGISTER_SESSION.get()(
        session.access_key_id,
        {
            "Arn": f"arn:aws:sts::{account_id}:assumed-role/{name}/{session_name}",
            "UserId": f"{role.get('RoleId', name)}:{session_name}",
            "SecretAccessKey": session.secret_access_key,
            "SessionToken": session.session_token,
            "Expiration": session.expires_at,
            "AccountId": account_id,
            "PrincipalType": "AssumedRole",
        },
    )
    return session


def _trusts(role: Mapping[str, Any], service: str) -> bool:
    document = role.get("AssumeRolePolicyDocument", "{}")
    policy = json.loads(document) if isinstance(document, str) else document
    statements = policy.get("Statement", [])
    return any(
        statement.get("Effect") == "Allow"
        and Hook.TRUSTS_SERVICE.get()(statement.get("Principal"), service)
        for statement in (statements if isinstance(statements, list) else [statements])
    )


def account() -> str:
    """Return the account of the request at hand, or the ground's own."""
    return str(Hook.ACCOUNT.get()())


def region() -> str:
    """Return the region of the request at hand, or the ground's own."""
    return str(Hook.REGION.get()())


def put_event(
    source: str, detail_type: str, detail: Mapping[str, Any], resources: Iterable[str]
) -> None:
    """Publish an event on the default bus; unlike PutEvents, the source may be `aws.*`."""
    entry = {
        "Source": source,
        "DetailType": detail_type,
        "Detail": json.dumps(detail),
        "Resources": list(resources),
    }
    Hook.PUT_EVENTS.get()({"Entries": [entry]}, allow_aws_source=True)


def put_metric(
    namespace: str,
    name: str,
    values: list[float],
    unit: str,
    dimensions: Mapping[str, str],
    *,
    counts: list[float] | None = None,
    timestamp_s: float | None = None,
) -> None:
    """Store a metric's values of one moment, each seen `counts` times, and let alarms see them."""
    at = time.time() if timestamp_s is None else timestamp_s
    Hook.STORE_METRIC.get()(namespace, name, dict(dimensions), at, unit, None, values, counts, None)
    Hook.EVALUATE_ALARMS.get()()


def evaluate_alarms() -> None:
    """Let every alarm look at its metric now."""
    Hook.EVALUATE_ALARMS.get()()


def put_log_lines(group: str, stream: str, lines: Iterable[str]) -> None:
    """Append lines to a log stream; group and stream are made when they are not there."""
    now_ms = int(time.time() * 1000)
    groups = Hook.LOG_GROUPS.get()
    if group not in groups:
        groups[group] = {
            "arn": Hook.LOG_GROUP_ARN.get()(group),
            "creationTime": now_ms,
            "retentionInDays": None,
            "tags": {},
            "subscriptionFilters": {},
            "streams": {},
        }
    streams = groups[group]["streams"]
    if stream not in streams:
        streams[stream] = {
            "events": [],
            "uploadSequenceToken": "1",
            "creationTime": now_ms,
            "firstEventTimestamp": None,
            "lastEventTimestamp": None,
            "lastIngestionTime": None,
        }
    Hook.APPEND_LOG.get()(
        streams[stream],
        [{"timestamp": now_ms, "message": line, "ingestionTime": now_ms} for line in lines],
    )


def on_lambda_log(listener: Callable[[str, list[str]], None]) -> None:
    """Call `listener(function_name, lines)` with what each invocation wrote to its log."""

    def around(
        original: Callable[..., None],
        function: dict[str, Any],
        request_id: str,
        text: str,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        original(function, request_id, text, *args, **kwargs)
        config = function.get("config") or function
        listener(config.get("FunctionName", ""), text.splitlines() if text else [])

    Hook.EMIT_LAMBDA_LOGS.wrap(around)


def end_lambda_workers() -> None:
    """End every Lambda process and wait for it."""
    Hook.KILL_WORKERS.get()()
