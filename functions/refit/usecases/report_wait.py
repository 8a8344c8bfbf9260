"""Record and notify that a run waits for a quota of instances which others use up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.moments import iso
from refit.domain.pipeline.instance_quota import read_quota_error

if TYPE_CHECKING:
    from refit.usecases.services import Services


def report_wait(services: Services, model: str, run: str, cause: str) -> str:
    """Report the wait of a run; return the notice.

    The record comes last: if it fails and the call is repeated, the notice is sent again.

    Args:
        services: the stores.
        model: the model.
        run: the run that waits.
        cause: SageMaker's refusal.
    """
    quota = read_quota_error(cause)
    since = iso(services.now())
    message = quota.waiting(since) if quota else f"At {since} the run began to wait: {cause}"
    services.messaging.notify(f"Refit: {model} run {run} waits for instances", message)
    services.models.update_run(model, run, message=message)
    return message
