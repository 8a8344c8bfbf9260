"""Decide whether the challenger may replace the champion.

Invoked by  TRAIN state machine, state Gate
Input       {"model", "run"}                                                  events/gate.json
Output      {"passed", "reasons": [sentence…], "metric", "challenger", "champion": number or null}
Raises      SettingsInvalid, ServiceThrottled

Reads evaluation.json and writes gate.json: the decision with every check that led to it.
"""

from __future__ import annotations

from typing import Any

from refit.handlers.events import RunRequest
from refit.handlers.wiring import services
from refit.telemetry import logger
from refit.usecases.decide_gate import decide_gate


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Decide, and return the decision."""
    request = RunRequest.model_validate(event)
    decision = decide_gate(services(), request.model, request.run)
    return decision.model_dump(mode="json", exclude={"checks"})
