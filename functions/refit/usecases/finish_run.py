"""How a run ends, whoever says so: record, tell, give the locks back, pay what is owed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.metrics import MetricUnit

from refit.domain import metric_names
from refit.stores import bus, store
from refit.telemetry import count

if TYPE_CHECKING:
    from refit.domain.pipeline.failure import Failure

_TOLD = frozenset(
    {store.RunStatus.FAILED, store.RunStatus.REFUSED, store.RunStatus.AWAITING_APPROVAL}
)


@dataclass(frozen=True)
class Ending:
    """One run's end. `deployment` is the lock it holds beside the model's, if any."""

    model: str
    run: str
    status: store.RunStatus
    message: str
    failure: Failure | None = None
    deployment: str | None = None


def end_run(ending: Ending) -> None:
    """End a run.

    Idempotent: it sets what is, and a lock is given back only by the one that holds it. A notice
    may be sent twice when a step after it has to be repeated; it is never left out.
    """
    _tell(ending)
    _record(ending)
    if ending.deployment:
        store.end_deployment(ending.model, ending.deployment)
    if store.release_run(ending.model, ending.run):
        bus.poke_ingest(ending.model)


def _tell(ending: Ending) -> None:
    bus.publish(
        bus.EventName.RUN_FINISHED,
        {
            "model": ending.model,
            "run": ending.run,
            "status": ending.status,
            "error": ending.failure.name if ending.failure else None,
            "message": ending.message,
        },
    )
    if ending.status in _TOLD:
        bus.notify(f"Refit: {ending.model} run {ending.run} {ending.status}", ending.message)
    if ending.status is store.RunStatus.FAILED:
        count(metric_names.RUNS_FAILED, ending.model, 1, MetricUnit.Count)


def _record(ending: Ending) -> None:
    values: dict[str, Any] = {
        "status": ending.status,
        "message": ending.message[:10_000],
        "finished_at": store.now(),
        "error": ending.failure.name if ending.failure else None,
    }
    store.update_run(ending.model, ending.run, **values)
