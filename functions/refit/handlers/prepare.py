"""Turn the data of a run into training, validation and test rows.

Invoked by  TRAIN state machine, states Prepare and PrepareAnswered
Input       {"model", "run", "is_answered"?}                          events/prepare.json
Output      {"task", "rows": {"train", "validation", "test", "quarantined"}, "features", "classes",
            "train_bytes", "validation_bytes", "has_validation", "champion", "comparable"}; with
            [data] features_from and not is_answered {"questions": {"stem", "model_request",
            "request"}}: a CreateModel request, and a CreateTransformJob request without its name
Raises      SettingsInvalid, ModelNotFound, DatasetNotFound, DatasetEmpty, DatasetUnreadable,
            DatasetInvalid, DropTooLarge, TooManyBadRows, SchemaChanged, EvaluationIncomplete,
            ServiceThrottled
"""

from __future__ import annotations

from typing import Any

from refit.handlers.events import RunRequest
from refit.handlers.wiring import services
from refit.telemetry import logger
from refit.usecases.ask_about_rows import Questions
from refit.usecases.prepare_data import prepare_data


class PrepareRequest(RunRequest):
    """The event.

    Attributes:
        is_answered: whether the model that `[data] features_from` names has been asked.
    """

    is_answered: bool = False


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Prepare the data of one run."""
    request = PrepareRequest.model_validate(event)
    prepared = prepare_data(services(), request.model, request.run, is_answered=request.is_answered)
    if isinstance(prepared, Questions):
        return {"questions": prepared.as_json()}
    schema, champion = prepared.schema, prepared.champion
    return {
        "task": schema.task,
        "rows": prepared.rows.model_dump(),
        "features": len(schema.features),
        "classes": None if schema.classes is None else len(schema.classes),
        "train_bytes": prepared.train_bytes,
        "validation_bytes": prepared.validation_bytes,
        "has_validation": prepared.rows.validation > 0,
        "champion": champion and {"run": champion.run, "version": champion.version},
        "comparable": prepared.comparable,
    }
