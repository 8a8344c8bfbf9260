"""Prove that the live endpoint is the new model: its config's name, and its answers.

Invoked by  DEPLOY state machine, state VerifyDeployment
Input       the plan of PlanDeployment                                events/verify_deployment.json
Output      {"rows": how many held-out rows were answered as in the evaluation}
Raises      DeploymentRejected, EndpointNotReady, ServiceThrottled

An update that SageMaker rolled back ends InService like one that went well: only the name of the
live EndpointConfig tells them apart.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from refit.domain.errors import DeploymentRejected, EndpointNotReady
from refit.domain.inferences.captured import VERIFICATION_ID
from refit.domain.model_settings import ModelSettings
from refit.domain.naming import RunKeys
from refit.domain.pipeline.deployment import first_mismatch, scores
from refit.stores import endpoint, registry, s3
from refit.telemetry import logger

BODY_LIMIT_BYTES = 1_000_000


class Request(BaseModel):
    """The event."""

    model_config = ConfigDict(extra="ignore")

    model: str
    run: str
    name: str
    endpoint: str
    variant: str


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Compare the live endpoint with the evaluation."""
    request = Request.model_validate(event)
    _check_config(request)
    keys = RunKeys(request.model, request.run)
    chosen = ModelSettings.model_validate(s3.get_json(keys.manifest)["settings"]).deployment
    rows = _first_lines(f"{keys.evaluation_input}new.csv", chosen.verification_rows)
    expected = _first_lines(f"{keys.evaluation_output('challenger')}new.csv.out", len(rows))
    body = "\n".join(rows).encode()
    answer = endpoint.invoke(request.endpoint, body, "text/csv", "text/csv", VERIFICATION_ID)
    if answer.variant != request.variant:
        raise DeploymentRejected(
            f"variant {answer.variant} of endpoint {request.endpoint} answered, "
            f"not the new {request.variant}"
        )
    mismatch = first_mismatch(scores("\n".join(expected)), scores(answer.body.decode()))
    if mismatch:
        raise DeploymentRejected(
            f"endpoint {request.endpoint} answers held-out row {mismatch.row} with "
            f"{mismatch.answered}, the evaluation had {mismatch.expected}"
        )
    return {"rows": len(rows)}


def _check_config(request: Request) -> None:
    live = registry.describe_endpoint(request.endpoint)
    if live is None or live.status != "InService":
        status = live.status if live else "gone"
        raise EndpointNotReady(f"endpoint {request.endpoint} is {status}")
    if live.config != request.name:
        reason = live.failure_reason or "no reason was given"
        raise DeploymentRejected(
            f"SageMaker rolled endpoint {request.endpoint} back to {live.config}: {reason}"
        )


def _first_lines(key: str, count: int) -> list[str]:
    """Return up to `count` whole lines of an object, from its first megabyte."""
    head = s3.open_stream(key).read(BODY_LIMIT_BYTES)
    lines = head.split(b"\n")
    whole = lines[:-1] if len(head) == BODY_LIMIT_BYTES else lines
    return [line.decode() for line in whole if line.strip()][:count]
