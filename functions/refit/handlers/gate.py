"""Decide whether the challenger may take the champion's place.

Invoked by  TRAIN state machine, state Gate
Input       {"model", "run", "champion", "comparable"}                        events/gate.json
Output      {"passed", "reasons": [sentence…], "metric", "challenger", "champion": number or null}
Raises      SettingsInvalid, ServiceThrottled

Writes gate.json: the decision with every check behind it. The rule stands in domain/gate.py.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from refit.aws import s3
from refit.domain.evaluation import Evaluation
from refit.domain.gate import decide
from refit.domain.naming import RunKeys
from refit.domain.spec import ModelSettings
from refit.telemetry import logger


class Request(BaseModel):
    """The event; what the evaluation compared stands in evaluation.json."""

    model_config = ConfigDict(extra="ignore")

    model: str
    run: str


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Decide, record the decision and return it."""
    request = Request.model_validate(event)
    keys = RunKeys(request.model, request.run)
    evaluation = Evaluation.model_validate_json(s3.get_bytes(keys.evaluation))
    settings = ModelSettings.model_validate(s3.get_json(keys.manifest)["settings"])
    decision = decide(evaluation, settings.gate)
    s3.put_json(keys.gate, decision.model_dump(mode="json"))
    logger.info("gate decided", extra={"passed": decision.passed, "reasons": decision.reasons})
    return decision.model_dump(mode="json", exclude={"checks"})
