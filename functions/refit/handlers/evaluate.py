"""Measure the challenger, and beside it the champion, on rows that neither was trained on.

Invoked by  TRAIN state machine, state Evaluate, after the batch transform jobs
Input       {"model", "run", "champion": {"run", "version"} or null, "comparable"}
            events/evaluate.json
Output      {"metrics": headline metrics of the challenger, and of the champion beside them}
Raises      EvaluationIncomplete, ServiceThrottled

Writes evaluation.json, baseline.json, evaluation_statistics.json and evaluation_examples.json.
"""

from __future__ import annotations

from typing import Any

from refit.domain.evaluation.report import ChampionRun
from refit.handlers.events import RunRequest
from refit.handlers.wiring import services
from refit.telemetry import logger
from refit.usecases.evaluate_challenger import evaluate_challenger


class EvaluateRequest(RunRequest):
    """The event."""

    champion: ChampionRun | None
    comparable: bool


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Evaluate the run."""
    request = EvaluateRequest.model_validate(event)
    metrics = evaluate_challenger(
        services(), request.model, request.run, request.champion, request.comparable
    )
    return {"metrics": metrics}
