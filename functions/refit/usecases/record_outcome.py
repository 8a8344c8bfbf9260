"""Notify of the outcome of a run, and record it. Its locks are released by reconcile_model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit

from refit.domain import metric_names
from refit.domain.moments import iso
from refit.domain.vocabulary import EventName, RunStatus
from refit.telemetry import put_metric

if TYPE_CHECKING:
    from datetime import datetime

    from refit.domain.pipeline.failure import Failure
    from refit.domain.pipeline.run import Run
    from refit.usecases.services import Services

_NOTIFIED = frozenset({RunStatus.FAILED, RunStatus.REFUSED, RunStatus.AWAITING_APPROVAL})
_MAX_MESSAGE_CHARACTERS = 10_000


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended.

    Attributes:
        message: why the run ended, for people: the reasons of the gate, or the error.
        deployment: the deployment whose lock the run also holds, if any.
    """

    model: str
    run: str
    status: RunStatus
    message: str
    failure: Failure | None = None
    deployment: str | None = None


def record_outcome(services: Services, outcome: RunOutcome) -> None:
    """Notify of the outcome of a run, delete what it left behind, and record it.

    If the record fails and the call is repeated, the notice is sent again.
    """
    run = services.models.run(outcome.model, outcome.run)
    now = services.now()
    _notify(services, outcome, run)
    _publish(outcome, run, now)
    if outcome.status is RunStatus.FAILED and run is not None and _may_have_models(run):
        _delete_models(services, outcome)
    services.models.update_run(
        outcome.model,
        outcome.run,
        status=outcome.status,
        message=outcome.message[:_MAX_MESSAGE_CHARACTERS],
        finished_at=iso(now),
        error=outcome.failure.name if outcome.failure else None,
    )


def _may_have_models(run: Run) -> bool:
    """Return whether TRAIN was begun and did not get to where it has deleted its models."""
    return run.train_execution_arn is not None and run.version is None


def _delete_models(services: Services, outcome: RunOutcome) -> None:
    """Delete the SageMaker models that a run made for its jobs and could not delete any more."""
    names = services.names(outcome.model)
    for stem in (names.job(outcome.run), names.tuning_job(outcome.run)):
        for model in services.endpoints.models_named(f"{stem}-"):
            services.endpoints.delete_model(model)


def _learned_text(run: Run | None) -> str:
    """Return what the run learned of its data, if it got that far."""
    return f"\n\n{run.learned.text}" if run and run.learned else ""


def _notify(services: Services, outcome: RunOutcome, run: Run | None) -> None:
    services.messaging.publish(
        EventName.RUN_FINISHED,
        {
            "model": outcome.model,
            "run": outcome.run,
            "status": outcome.status,
            "error": outcome.failure.name if outcome.failure else None,
            "message": outcome.message,
        },
    )
    if outcome.status in _NOTIFIED:
        subject = f"Refit: {outcome.model} run {outcome.run} {outcome.status}"
        services.messaging.notify(subject, outcome.message + _learned_text(run))


def _publish(outcome: RunOutcome, run: Run | None, now: datetime) -> None:
    if run is not None and run.finished_at is None:  # a version that was approved has ended before
        elapsed_s = (now - run.started_at).total_seconds()
        put_metric(metric_names.RUN_SECONDS, outcome.model, elapsed_s, MetricUnit.Seconds)
    if outcome.status is RunStatus.FAILED:
        put_metric(metric_names.RUNS_FAILED, outcome.model)
