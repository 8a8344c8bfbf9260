"""Start the batch prediction of a dropped file, once for each version of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.naming import ModelKeys, batch_id
from refit.domain.pipeline.drop_files import is_marker
from refit.telemetry import logger
from refit.usecases.find_model import model_of

if TYPE_CHECKING:
    from refit.usecases.services import Services


def start_batch(services: Services, key: str, version: str | None) -> str | None:
    """Start the batch of a file; return its id, or None when the object is not a file to predict.

    A repeated event starts no second execution, because the execution's name is the batch's id.

    Args:
        services: the AWS services and the clock of this process.
        key: key of the object.
        version: version of the object; None for the latest.

    Raises:
        ServiceThrottled: when AWS throttles requests.
    """
    model = model_of(services, key, "batch/in")
    if model is None:
        return None
    file = key.removeprefix(ModelKeys(model).batch_input)
    if is_marker(file) or services.models.state(model).removing_since is not None:
        logger.info("not a file to predict", extra={"key": key})
        return None
    file_version = version or services.bucket.latest_version(key)
    batch = batch_id(model, key, file_version)
    services.batches.begin(model, batch, file, file_version)
    services.batch_executions.start(model, batch)
    logger.info("batch started", extra={"model": model, "batch": batch, "file": file})
    return batch
