"""End a run: record its outcome, tell, give the locks back, pay what is owed.

Invoked by  TRAIN and DEPLOY state machines, state FinishRun
Input       {"model", "run", "status", "reasons"?, "error"?, "deployment"?}
            events/finish_run.json
Output      {"status"}
Raises      ServiceThrottled

Idempotent: it sets what is, and a lock is given back only by the one that holds it. A notice may be
sent twice when a step after it has to be repeated; it is never left out.
"""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from pydantic import BaseModel, ConfigDict

from refit.aws import bus, store
from refit.domain import metric_names
from refit.domain.failure import Failure, explained
from refit.telemetry import count, logger

_TOLD = frozenset(
    {store.RunStatus.FAILED, store.RunStatus.REFUSED, store.RunStatus.AWAITING_APPROVAL}
)


class Request(BaseModel):
    """The event."""

    model_config = ConfigDict(extra="ignore")

    model: str
    run: str
    status: store.RunStatus
    reasons: list[str] = []
    error: dict[str, Any] | None = None
    deployment: str | None = None


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, str]:
    """Record how the run ended and tell those who wait for it."""
    request = Request.model_validate(event)
    failure = explained(request.error) if request.error else None
    _tell(request, failure)
    _record(request, failure)
    if request.deployment:
        store.end_deployment(request.model, request.deployment)
    if store.release_run(request.model, request.run):
        bus.poke_ingest(request.model)
    return {"status": request.status}


def _message(request: Request, failure: Failure | None) -> str:
    return failure.message if failure else " ".join(request.reasons)


def _tell(request: Request, failure: Failure | None) -> None:
    message = _message(request, failure)
    detail = {"model": request.model, "run": request.run, "status": request.status}
    bus.publish(
        bus.EventName.RUN_FINISHED,
        detail | {"error": failure.name if failure else None, "message": message},
    )
    if request.status in _TOLD:
        bus.notify(f"Refit: {request.model} run {request.run} {request.status}", message)
    if request.status is store.RunStatus.FAILED:
        count(metric_names.RUNS_FAILED, request.model, 1, MetricUnit.Count)


def _record(request: Request, failure: Failure | None) -> None:
    values: dict[str, Any] = {"status": request.status, "finished_at": store.now()}
    if message := _message(request, failure):
        values["message"] = message[:10_000]
    if failure:
        values["error"] = failure.name
    store.update_run(request.model, request.run, **values)
