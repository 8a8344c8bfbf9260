"""Plan the training job and the transform job of each fold.

Invoked by  TRAIN state machine, state PlanFolds
Input       {"model", "run", "job": output of PlanTraining, "training": the training job or null}
            events/plan_folds.json
Output      {"at_a_time", "items": [{"stem", "train", "predict"}]}: for each fold the beginning of
            the names, and the requests without their names
Raises      ServiceThrottled
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from refit.handlers.wiring import services
from refit.telemetry import logger
from refit.usecases.plan_evaluation import TrainedModel
from refit.usecases.plan_folds import plan_folds


class PlannedJob(BaseModel):
    """The planned training job of the run."""

    request: dict[str, Any]


class PlanFoldsRequest(BaseModel):
    """The event."""

    model: str
    run: str
    job: PlannedJob
    training: TrainedModel | None


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return the requests that the states of each fold send to SageMaker."""
    request = PlanFoldsRequest.model_validate(event)
    trained = request.training.name if request.training else None
    return plan_folds(services(), request.model, request.run, request.job.request, trained)
