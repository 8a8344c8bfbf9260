"""Decide whether the challenger may replace the champion, and record the decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.evaluation.gate import RetrainingContext, decide
from refit.domain.naming import RunKeys
from refit.domain.pipeline.algorithms import algorithm_of
from refit.telemetry import logger

if TYPE_CHECKING:
    from refit.domain.evaluation.gate import GateDecision
    from refit.domain.pipeline.manifest import Manifest
    from refit.usecases.services import Services


def decide_gate(services: Services, model: str, run: str) -> GateDecision:
    """Decide from evaluation.json, and write gate.json.

    Raises:
        SettingsInvalid: when `[gate] metric` does not fit the task.
    """
    evaluation = services.artifacts.evaluation(model, run)
    manifest = services.artifacts.manifest(model, run)
    leaks = manifest.learned.leak_doubts if manifest.learned else ()
    decision = decide(evaluation, manifest.settings.gate, _retraining_context(manifest), leaks)
    if note := algorithm_of(manifest.settings.training).note:
        decision = decision.model_copy(update={"reasons": [*decision.reasons, note]})
    services.bucket.put_json(RunKeys(model, run).gate, decision.model_dump(mode="json"))
    logger.info("gate decided", extra={"passed": decision.passed, "reasons": decision.reasons})
    return decision


def _retraining_context(manifest: Manifest) -> RetrainingContext | None:
    """Return the facts about a retraining that the gate uses; None for a run of dropped data."""
    if manifest.cause == "drop":
        return None
    labelled = manifest.labelled
    return RetrainingContext(
        base_margin=manifest.settings.retraining.base_margin,
        test_fraction=manifest.settings.data.test_fraction,
        dropped=manifest.rows.train - labelled.train,
        labelled=labelled.train,
        held_out=labelled.validation + labelled.test,
        lost=manifest.lost(),
    )
