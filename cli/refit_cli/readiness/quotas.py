"""Compare the quotas of SageMaker and Lambda with what Refit needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from refit_cli.readiness.findings import Finding, Status, is_denied, not_allowed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from refit_cli.readiness.needs import QuotaNeed

Quotas = dict[str, dict[str, Any]]
"""Quotas of Service Quotas by their names."""

# A new account has 10, which all functions share. AWS raises it with use, and on request.
CONCURRENCY = 10
COMFORTABLE_CONCURRENCY = 100
CONCURRENCY_CODE = "L-B99A9384"
# What a function of a new account can have, at most.
NEW_ACCOUNT_MEMORY_MB = 3008
# The largest function of the template with its default parameters: PrepareMemoryMB.
LARGEST_FUNCTION_MB = 2048


def sagemaker_quotas(client: Any, needs: Sequence[QuotaNeed], region: str) -> list[Finding]:
    """Compare SageMaker's quotas in a Region with those that are needed.

    Args:
        client: a client of Service Quotas.
        needs: the quotas that are needed.
        region: for the command that asks for more.
    """
    try:
        quotas = _read(client, {need.quota for need in needs})
    except ClientError as error:
        if not is_denied(error):
            raise
        action = "servicequotas:ListServiceQuotas or ListAWSDefaultServiceQuotas"
        return [not_allowed(need.quota, _needed(need), action) for need in needs]
    return [_finding(need, quotas.get(need.quota), region) for need in needs]


def _read(client: Any, names: set[str]) -> Quotas:
    """Return the applied values, and AWS's defaults of quotas that have no applied value."""
    quotas: Quotas = {}
    for operation in ("list_service_quotas", "list_aws_default_service_quotas"):
        pages = client.get_paginator(operation).paginate(ServiceCode="sagemaker")
        for page in pages:
            _collect(quotas, page["Quotas"], names)
            if names <= quotas.keys():
                return quotas
    return quotas


def _collect(quotas: Quotas, page: Iterable[dict[str, Any]], names: set[str]) -> None:
    for quota in page:
        if quota.get("QuotaName") in names and "Value" in quota:
            quotas.setdefault(quota["QuotaName"], quota)


def _needed(need: QuotaNeed) -> str:
    return f"{need.count} ({need.why})"


def _finding(need: QuotaNeed, quota: dict[str, Any] | None, region: str) -> Finding:
    if quota is None:
        if need.is_total:
            advice = "look for the total in the Service Quotas console"
            return Finding(need.quota, Status.UNCHECKED, _needed(need), "no such quota", advice)
        return Finding(
            need.quota,
            Status.MISSING,
            _needed(need),
            f"no such quota in {region}",
            "SageMaker does not offer this instance type here: set another instance_type in "
            "model.toml, or use another Region",
        )
    value = int(quota["Value"])
    if value >= need.count:
        return Finding(need.quota, Status.READY, _needed(need), str(value))
    return Finding(
        need.quota, Status.MISSING, _needed(need), str(value), request_command(quota, need, region)
    )


def request_command(quota: dict[str, Any], need: QuotaNeed, region: str) -> str:
    """Return the command that asks AWS for the quota that is needed."""
    return (
        "aws service-quotas request-service-quota-increase --service-code sagemaker "
        f"--quota-code {quota['QuotaCode']} --desired-value {need.count} --region {region}"
    )


def lambda_limits(client: Any, region: str) -> list[Finding]:
    """Check Lambda's concurrency and memory.

    Args:
        client: a client of Lambda.
        region: for the command that asks for more.
    """
    needed = f"{CONCURRENCY}, better {COMFORTABLE_CONCURRENCY}"
    check = "Lambda concurrent executions"
    try:
        limit = int(client.get_account_settings()["AccountLimit"]["ConcurrentExecutions"])
    except ClientError as error:
        if not is_denied(error):
            raise
        return [not_allowed(check, needed, "lambda:GetAccountSettings"), _memory()]
    more = (
        "aws service-quotas request-service-quota-increase --service-code lambda "
        f"--quota-code {CONCURRENCY_CODE} --desired-value 1000 --region {region}"
    )
    if limit < CONCURRENCY:
        return [Finding(check, Status.MISSING, needed, str(limit), more), _memory()]
    if limit < COMFORTABLE_CONCURRENCY:
        advice = f"all functions of the account share these; for steady traffic: {more}"
        return [Finding(check, Status.NOTE, needed, str(limit), advice), _memory()]
    return [Finding(check, Status.READY, needed, str(limit)), _memory()]


def _memory() -> Finding:
    return Finding(
        "Lambda memory of a function",
        Status.READY,
        f"{LARGEST_FUNCTION_MB} MB (PrepareMemoryMB)",
        f"AWS does not report it; a new account has {NEW_ACCOUNT_MEMORY_MB} MB",
        f"keep PrepareMemoryMB at {NEW_ACCOUNT_MEMORY_MB} or less in a new account",
    )
