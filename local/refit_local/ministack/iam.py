"""Evaluate IAM policies with MiniStack's evaluator, and assume roles on behalf of a service.

Source: IAM User Guide, "Policy evaluation logic" and "Troubleshoot access denied error messages".
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refit_local.ministack.hooks import region
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Mapping

SESSION_LENGTH_S = 3600


@dataclass(frozen=True)
class Permission:
    """What a request requires: an IAM action on a resource, with further condition keys."""

    action: str
    resource: str
    conditions: Mapping[str, str] | None = None


def denial_message(principal: str, permission: Permission) -> str:
    """Return AWS's text for a request that no identity-based policy allows."""
    return (
        f"User: {principal} is not authorized to perform: {permission.action} on resource: "
        f"{permission.resource} because no identity-based policy allows the "
        f"{permission.action} action"
    )


def role_may(role_arn: str, permission: Permission) -> bool:
    """Return whether a role's policies allow this; False for a role that does not exist."""
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
    """Assume a role on behalf of a service, e.g. `sagemaker.amazonaws.com`.

    Raises:
        PermissionError: when the role does not exist or does not trust the service.
    """
    account_id, resource = role_arn.split(":", 5)[4:]
    name = resource.rsplit("/", 1)[-1]
    role = Hook.ROLES.get().get_scoped(account_id, None, name)
    if role is None or not _trusts(role, service, account_id):
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


def _trusts(role: Mapping[str, Any], service: str, account_id: str) -> bool:
    document = role.get("AssumeRolePolicyDocument", "{}")
    policy = json.loads(document) if isinstance(document, str) else document
    statements = policy.get("Statement", [])
    return any(
        statement.get("Effect") == "Allow"
        and Hook.TRUSTS_SERVICE.get()(statement.get("Principal"), service)
        and conditions_are_met(statement.get("Condition", {}), account_id)
        for statement in (statements if isinstance(statements, list) else [statements])
    )


def conditions_are_met(conditions: Mapping[str, Any], account_id: str) -> bool:
    """Return whether a service that acts for this account meets a trust policy's conditions."""
    context = {"aws:sourceaccount": account_id}
    for operator, keys in conditions.items():
        for key, allowed in keys.items():
            values = allowed if isinstance(allowed, list) else [allowed]
            if operator != "StringEquals" or context.get(key.lower()) not in values:
                return False
    return True
