"""Plan the training job: image, hyperparameters, instance, channels, time limits.

Invoked by  TRAIN state machine, state PlanTraining
Input       {"model", "run"} and the output of Prepare                events/plan_training.json
Output      {"stem", "request", "folds", "final"}: a CreateTrainingJob request without its name, the
            name's stem, the number of folds (0: none), and `[training] final`; with `[tuning]
            max_jobs` also "tuning": stem and request of a CreateHyperParameterTuningJob
Raises      SettingsInvalid, ServiceThrottled
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from refit.domain.pipeline.training_plan import DataShape
from refit.domain.vocabulary import Task
from refit.handlers.wiring import services
from refit.telemetry import logger
from refit.usecases.continue_training import ChampionRun
from refit.usecases.plan_training import plan_training


class PreparedRows(BaseModel):
    """Rows of the training and validation splits."""

    train: int
    validation: int


class PreparedChampion(BaseModel):
    """The version that was live when the data was prepared."""

    run: str
    version: int


class PlanTrainingRequest(BaseModel):
    """The event: the run, the shape of its prepared data, and the live version."""

    model: str
    run: str
    task: Task
    rows: PreparedRows
    features: int
    classes: int | None
    train_bytes: int
    validation_bytes: int
    has_validation: bool
    champion: PreparedChampion | None


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return the request that state Train or Tune sends to SageMaker."""
    request = PlanTrainingRequest.model_validate(event)
    shape = DataShape(
        train_rows=request.rows.train,
        validation_rows=request.rows.validation,
        **request.model_dump(exclude={"model", "run", "rows", "champion"}),
    )
    live = request.champion
    champion = None if live is None else ChampionRun(live.run, live.version)
    return plan_training(services(), request.model, request.run, shape, champion)
