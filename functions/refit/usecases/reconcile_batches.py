"""Fail the batch predictions whose execution ended without saying so.

The event of a stopped execution fails its batch at once (handlers/fail_batch.py). This use case
runs at every regular check, so a batch whose event was lost, or whose execution never began, ends
too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.pipeline.batch import failure_of_batch
from refit.usecases.fail_batch import fail_batch
from refit.usecases.reconcile_model import described

if TYPE_CHECKING:
    from refit.usecases.services import Services


def reconcile_batches(services: Services, model: str) -> list[str]:
    """Fail the batches of a model that nothing works on any more; return their ids.

    Raises:
        ServiceThrottled: when AWS throttled a request; call again to complete.
    """
    failed = []
    for batch in services.batches.open(model):
        execution = described(services, services.batch_executions.arn(model, batch))
        # An execution records its outcome before it ends, so the record is read afterwards.
        record = services.batches.get(model, batch)
        if record is not None and not record.status.is_final:
            failure = failure_of_batch(record, execution, services.now())
            if failure is None:
                continue
            if fail_batch(services, model, batch, failure):
                failed.append(batch)
        services.batches.close(model, batch)
    return failed
