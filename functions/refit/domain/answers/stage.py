"""The present stage of a model in the loop: a fixed vocabulary, and a sentence for a person."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from refit.domain.monitoring.verdict import DRIFTED
from refit.domain.retraining.state import RetrainingStatus
from refit.domain.vocabulary import RunStatus

if TYPE_CHECKING:
    from refit.domain.pipeline.model_state import ModelState
    from refit.domain.pipeline.run import Run
    from refit.domain.retraining.state import RetrainingState


class Stage(StrEnum):
    """Where a model stands in the loop."""

    WAITING_FOR_DATA = "waiting_for_data"
    PREPARING = "preparing"
    TRAINING = "training"
    EVALUATING = "evaluating"
    GATE = "gate"
    AWAITING_APPROVAL = "awaiting_approval"
    DEPLOYING = "deploying"
    SERVING = "serving"
    WATCHING = "watching"
    DRIFT = "drift"
    RETRAINING = "retraining"
    BLOCKED = "blocked"
    REMOVING = "removing"


@dataclass(frozen=True)
class StageFacts:
    """What decides the stage.

    Attributes:
        run: the active run or, without one, the last run; None before the first one.
        predictions: captured predictions of the live version in the last cohorts.
    """

    state: ModelState
    run: Run | None
    retraining: RetrainingState
    predictions: int = 0


_OF_RUNS = {
    RunStatus.STARTED: (Stage.PREPARING, "Run {run} has started."),
    RunStatus.PREPARING: (Stage.PREPARING, "Run {run} prepares its data."),
    RunStatus.TRAINING: (Stage.TRAINING, "Run {run} trains a model."),
    RunStatus.EVALUATING: (Stage.EVALUATING, "Run {run} evaluates its model on held-out rows."),
    RunStatus.REGISTERING: (Stage.GATE, "The model of run {run} is at the gate."),
    RunStatus.DEPLOYING: (Stage.DEPLOYING, "The version of run {run} is being deployed."),
}

_ENDED_WITHOUT_VERSION = frozenset({RunStatus.FAILED, RunStatus.REFUSED})


def stage_of(facts: StageFacts) -> tuple[Stage, str]:
    """Return the stage of a model, and a sentence that says it."""
    if facts.state.removing_since is not None:
        return Stage.REMOVING, "The model is being removed."
    return _of_active_run(facts) or _of_live_version(facts) or _without_version(facts.run)


def cause_text(run: Run) -> str:
    """Say why a run began, in one sentence."""
    if run.cause == "drop":
        return f"A user repeated run {run.retry_of}." if run.retry_of else "Files were dropped."
    if run.cause == "drift":
        facts = (run.reason or "").removeprefix(DRIFTED)
        return f"Drift was detected: {facts}" if facts else "Drift was detected."
    return run.reason or "A user requested a retraining."


def _of_active_run(facts: StageFacts) -> tuple[Stage, str] | None:
    run, retraining = facts.run, facts.retraining
    if run is None or facts.state.active_run != run.run or run.status not in _OF_RUNS:
        if facts.state.deployment is None:
            return None
        return Stage.DEPLOYING, "A version is being deployed."
    stage, text = _OF_RUNS[run.status]
    if run.status is RunStatus.STARTED and run.cause != "drop":
        stage = Stage.RETRAINING
    sentence = text.format(run=run.run)
    if retraining.state is RetrainingStatus.RETRAINING and retraining.run == run.run:
        return stage, f"{sentence} It is a retraining."
    return stage, sentence


def _of_live_version(facts: StageFacts) -> tuple[Stage, str] | None:
    champion, run = facts.state.champion, facts.run
    if run is not None and run.status is RunStatus.AWAITING_APPROVAL:
        return Stage.AWAITING_APPROVAL, f"Version {run.version} waits for an approval."
    if champion is None:
        return None
    due = _of_retraining(facts.retraining)
    if due is not None:
        return due
    if facts.predictions:
        return Stage.WATCHING, f"Version {champion.version} is live, and its quality is watched."
    return Stage.SERVING, f"Version {champion.version} is live and has no predictions to watch yet."


def _of_retraining(retraining: RetrainingState) -> tuple[Stage, str] | None:
    if retraining.state is RetrainingStatus.BLOCKED:
        return Stage.BLOCKED, (
            f"Retraining is blocked after {retraining.failures} retrainings without improvement."
        )
    if retraining.state is RetrainingStatus.RETRAINING or retraining.request is not None:
        return Stage.RETRAINING, _pending_text(retraining, "A retraining is about to start.")
    if retraining.state is RetrainingStatus.DRIFTING:
        return Stage.DRIFT, _pending_text(retraining, "Drift was detected.")
    return None


def _pending_text(retraining: RetrainingState, otherwise: str) -> str:
    return f"A retraining is due: {retraining.pending.why}" if retraining.pending else otherwise


def _without_version(run: Run | None) -> tuple[Stage, str]:
    if run is not None and run.status in _ENDED_WITHOUT_VERSION:
        ended = "failed" if run.status is RunStatus.FAILED else "was refused"
        return Stage.WAITING_FOR_DATA, f"No version is live: run {run.run} {ended}."
    return Stage.WAITING_FOR_DATA, "No version is live: drop data to train one."
