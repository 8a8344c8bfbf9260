"""Decide whether the challenger may take the champion's place.

Invoked by  TRAIN state machine, state Gate
Input       {"model", "run", "champion", "comparable"}                        events/gate.json
Output      {"passed", "reasons": [sentence…], "metric", "challenger", "champion": number or null}
Raises      SettingsInvalid, ServiceThrottled

Writes gate.json: the decision with every check behind it. The rule: domain/evaluation/gate.py.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from refit.domain.evaluation.gate import Retraining, decide
from refit.domain.evaluation.report import Evaluation
from refit.domain.naming import RunKeys
from refit.domain.pipeline.manifest import Manifest
from refit.stores import s3
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
    manifest = Manifest.model_validate(s3.get_json(keys.manifest))
    decision = decide(evaluation, manifest.settings.gate, _retraining(manifest))
    s3.put_json(keys.gate, decision.model_dump(mode="json"))
    logger.info("gate decided", extra={"passed": decision.passed, "reasons": decision.reasons})
    return decision.model_dump(mode="json", exclude={"checks"})


def _retraining(manifest: Manifest) -> Retraining | None:
    """Return what is different for a run that nobody dropped data for."""
    if manifest.cause == "drop":
        return None
    labelled = manifest.labelled
    return Retraining(
        base_margin=manifest.settings.retraining.base_margin,
        test_fraction=manifest.settings.data.test_fraction,
        dropped=manifest.rows.train - labelled.train,
        labelled=labelled.train,
        held_out=labelled.validation + labelled.test,
        lost=manifest.lost(),
    )
