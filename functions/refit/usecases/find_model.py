"""Find the model of an uploaded object, and report objects that belong to no model."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from refit.domain.errors import ModelNameInvalid
from refit.domain.naming import MODEL_NAME_PATTERN, checked_model_name
from refit.telemetry import logger

if TYPE_CHECKING:
    from refit.usecases.services import Services


def model_of(services: Services, key: str, folder: str) -> str | None:
    """Return the model into whose folder an object was uploaded.

    Args:
        services: the AWS services and the clock of this process.
        key: key of the object.
        folder: name of the folder, such as `raw`.

    Returns:
        The name of the model. None when the object is in another folder of the model, such as
        its runs, or when the name of the model is not allowed. People are notified of the latter.
    """
    model = key.partition(f"/{folder}/")[0]
    if _is_subfolder_of_model(model):
        logger.info("not in a drop folder", extra={"key": key})
        return None
    try:
        return checked_model_name(model)
    except ModelNameInvalid as error:
        _report(services, key, str(error))
        return None


def _is_subfolder_of_model(path: str) -> bool:
    model, _, rest = path.partition("/")
    return bool(rest) and bool(re.fullmatch(MODEL_NAME_PATTERN, model))


def _report(services: Services, key: str, reason: str) -> None:
    """Record and report an object that belongs to no model. No model is named `_refused`."""
    name = hashlib.sha256(key.encode()).hexdigest()[:16]
    services.bucket.put_json(f"_refused/{name}.json", {"key": key, "reason": reason})
    message = f"s3://{services.bucket.name}/{key}\n{reason}"
    services.messaging.notify("Refit refused an uploaded file", message)
    logger.warning("uploaded file refused", extra={"key": key, "reason": reason})
