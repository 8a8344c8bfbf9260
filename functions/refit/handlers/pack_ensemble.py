"""Pack the models of the folds into one model, which answers with their mean.

Invoked by  TRAIN state machine, state PackEnsemble
Input       {"model", "run", "image", "artifacts": [S3 URI of each fold's model.tar.gz]}
            events/pack_ensemble.json
Output      {"name", "image", "artifacts", "environment"}: the ensemble as a trained model
Raises      EnsembleNotPacked, ServiceThrottled
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from refit.handlers.events import RunRequest
from refit.handlers.wiring import services
from refit.telemetry import logger
from refit.usecases.pack_ensemble import pack_ensemble


class PackEnsembleRequest(RunRequest):
    """The event."""

    image: str
    artifacts: list[str]


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Pack the ensemble of the run."""
    request = PackEnsembleRequest.model_validate(event)
    ensemble = pack_ensemble(
        services(), request.model, request.run, request.image, request.artifacts
    )
    return asdict(ensemble)
