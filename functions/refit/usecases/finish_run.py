"""Finish a run: notify, record the outcome, release its locks, start the pending drop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.usecases.reconcile_model import reconcile_model
from refit.usecases.record_outcome import record_outcome

if TYPE_CHECKING:
    from refit.usecases.record_outcome import RunOutcome
    from refit.usecases.services import Services


def finish_run(services: Services, outcome: RunOutcome) -> None:
    """Finish a run.

    The use case is idempotent, because only the holder of a lock releases it.
    """
    record_outcome(services, outcome)
    reconcile_model(
        services, outcome.model, ended_run=outcome.run, ended_deployment=outcome.deployment
    )
