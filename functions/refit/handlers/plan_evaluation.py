"""Plan the batch predictions of the held-out rows, by the challenger and by the champion alike.

Invoked by  TRAIN state machine, state PlanEvaluation
Input       {"model", "run", "comparable", "training": {the job's name, image, artifacts}}
            events/plan_evaluation.json
Output      {"model_request", "challenger", "champion"}: a CreateModel request, and one
            CreateTransformJob request without its name for each side (champion: null without one)
Raises      ModelNotSaved, ServiceThrottled
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from refit.handlers.wiring import services
from refit.telemetry import logger
from refit.usecases.plan_evaluation import TrainedModel, plan_evaluation


class PlanEvaluationRequest(BaseModel):
    """The event."""

    model: str
    run: str
    comparable: bool
    training: TrainedModel


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return the requests that the next states send to SageMaker."""
    request = PlanEvaluationRequest.model_validate(event)
    return plan_evaluation(
        services(), request.model, request.run, request.training, request.comparable
    )
