"""Register the challenger as a version of the model's package group, approved or not.

Invoked by  TRAIN state machine, state Register
Input       {"model", "run", "training", "gate", "metrics"}                events/register.json
Output      {"version", "package_arn", "status"}: the status that the run has now
Raises      SettingsInvalid, ServiceThrottled
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel

from refit.handlers.wiring import services
from refit.telemetry import logger
from refit.usecases.plan_evaluation import TrainedModel
from refit.usecases.register_version import Challenger, register_version


class GateOutput(BaseModel):
    """The output of Gate."""

    passed: bool
    reasons: list[str]


class RegisterRequest(BaseModel):
    """The event."""

    model: str
    run: str
    training: TrainedModel
    gate: GateOutput
    metrics: dict[str, float | int | str | None]


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Register the version."""
    request = RegisterRequest.model_validate(event)
    challenger = Challenger(
        model=request.model,
        run=request.run,
        trained=request.training,
        passed=request.gate.passed,
        reasons=request.gate.reasons,
        metrics={name: value for name, value in request.metrics.items() if value is not None},
    )
    return asdict(register_version(services(), challenger))
