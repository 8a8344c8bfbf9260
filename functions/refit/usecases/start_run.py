"""Start the execution of a run exactly once, and publish Run Started."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.vocabulary import EventName

if TYPE_CHECKING:
    from refit.usecases.services import Services


def start_run(services: Services, model: str, run: str) -> None:
    """Start the TRAIN execution of a run that has begun, unless it was started before.

    The call can be repeated if a process ended after it began the run and before it started the
    execution. A run that was never begun is ignored, and so is one that ended without an execution.
    """
    record = services.models.run(model, run)
    if record is None or record.train_execution_arn is not None or record.status.is_final:
        return
    execution_arn = services.executions.start_training(model, run)
    detail = {"model": model, "run": run, "cause": record.cause}
    services.messaging.publish(EventName.RUN_STARTED, detail)
    services.models.update_run(model, run, train_execution_arn=execution_arn)
