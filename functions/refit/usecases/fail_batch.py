"""End a batch that failed: delete its SageMaker model, notify, record the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain import metric_names
from refit.domain.moments import iso
from refit.domain.naming import ModelKeys
from refit.domain.pipeline.batch import BatchStatus
from refit.domain.vocabulary import EventName
from refit.telemetry import logger, put_metric

if TYPE_CHECKING:
    from refit.domain.pipeline.failure import Failure
    from refit.usecases.services import Services

_MAX_MESSAGE_CHARACTERS = 10_000


def fail_batch(services: Services, model: str, batch: str, failure: Failure) -> bool:
    """Fail a batch unless it has ended; return whether it failed now.

    If the record fails and the call is repeated, the notice is sent again.
    """
    for name in services.names(model).batch_models(batch):
        services.endpoints.delete_model(name)
    record = services.batches.get(model, batch)
    if record is None or record.status.is_final:
        return False
    key = f"{ModelKeys(model).batch_input}{record.file}"
    detail = {
        "model": model,
        "batch": batch,
        "file": key,
        "fileVersion": record.file_version,
        "status": BatchStatus.FAILED,
        "error": failure.name,
        "message": failure.message,
    }
    services.messaging.publish(EventName.BATCH_FINISHED, detail)
    services.messaging.notify(
        f"Refit: {model} batch {batch} FAILED",
        f"s3://{services.bucket.name}/{key} was not predicted.\n{failure.message}\n"
        "The file is kept. To predict it again, put it again.",
    )
    put_metric(metric_names.BATCHES_FAILED, model)
    services.batches.update(
        model,
        batch,
        status=BatchStatus.FAILED,
        error=failure.name,
        message=failure.message[:_MAX_MESSAGE_CHARACTERS],
        finished_at=iso(services.now()),
    )
    logger.warning("batch failed", extra={"model": model, "batch": batch, "error": failure.name})
    return True
