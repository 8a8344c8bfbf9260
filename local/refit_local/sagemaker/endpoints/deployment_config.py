"""Check a DeploymentConfig, and read it.

Source  docs/sagemaker-contract.md, "Endpoints"
"""

from __future__ import annotations

from typing import Any

from refit_local.sagemaker.wire.errors import NotImplementedLocally, ValidationException

DEFAULT_EXECUTION_TIMEOUT_S = 3600


def check_deployment(config: dict[str, Any]) -> None:
    """Check a DeploymentConfig.

    Raises:
        ValidationException: when AWS would refuse the config.
        NotImplementedLocally: for canary, linear and rolling deployments.
    """
    blue_green = config.get("BlueGreenUpdatePolicy")
    rolling = config.get("RollingUpdatePolicy")
    if (blue_green is None) == (rolling is None):
        raise ValidationException(
            "DeploymentConfig must have exactly one of BlueGreenUpdatePolicy and "
            "RollingUpdatePolicy."
        )
    if rolling is not None:
        raise NotImplementedLocally("RollingUpdatePolicy yet: it deploys blue/green ALL_AT_ONCE")
    if blue_green is not None:
        _check_blue_green(blue_green)


def _check_blue_green(policy: dict[str, Any]) -> None:
    routing = policy["TrafficRoutingConfiguration"]
    kind = routing["Type"]
    required = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}.get(kind)
    for member in ("CanarySize", "LinearStepSize"):
        if (member in routing) != (member == required):
            verb = "must have" if member == required else "cannot have"
            raise ValidationException(
                f"TrafficRoutingConfiguration of Type {kind} {verb} {member}."
            )
    waits_s = termination_wait_s(policy)
    if kind != "ALL_AT_ONCE":
        waits_s += routing["WaitIntervalInSeconds"]
    limit = policy.get("MaximumExecutionTimeoutInSeconds", DEFAULT_EXECUTION_TIMEOUT_S)
    if limit <= waits_s:
        raise ValidationException(
            f"MaximumExecutionTimeoutInSeconds ({limit}) must be greater than the sum of the "
            f"wait times of the deployment ({waits_s})."
        )
    if kind != "ALL_AT_ONCE":
        raise NotImplementedLocally(
            f"traffic routing of Type {kind} yet: it deploys blue/green ALL_AT_ONCE"
        )


def check_variant_names(live: list[str], new: list[str]) -> None:
    """Check the variants of an update that has a DeploymentConfig.

    Source: SageMaker Developer Guide, "Exclusions" of deployment guardrails. AWS does not document
    the message.

    Raises:
        ValidationException: when the new endpoint config has other variant names than the live one.
    """
    if sorted(live) != sorted(new):
        raise ValidationException(
            "When doing a blue/green or rolling deployment, your new endpoint configuration must "
            "have the same variant name as the old endpoint configuration. Live: "
            f"{', '.join(sorted(live))}; new: {', '.join(sorted(new))}."
        )


def termination_wait_s(policy: dict[str, Any] | None) -> int:
    """Return how long the old fleet stays after the traffic has moved."""
    return int((policy or {}).get("TerminationWaitInSeconds", 0))


def alarm_names(config: dict[str, Any] | None) -> list[str]:
    """Return the names of the alarms that roll a deployment back."""
    rollback = (config or {}).get("AutoRollbackConfiguration", {})
    return [alarm["AlarmName"] for alarm in rollback.get("Alarms", [])]
