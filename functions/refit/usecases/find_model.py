"""Whose a dropped file is, by its key; a file that belongs to no model is told and left."""

from __future__ import annotations

import hashlib
import re

from refit.domain.errors import ModelNameInvalid
from refit.domain.naming import MODEL_NAME_PATTERN, checked_model_name
from refit.environment import environment
from refit.stores import bus, s3
from refit.telemetry import logger


def model_of(key: str, folder: str) -> str | None:
    """Return the model into whose folder an object was dropped.

    Args:
        key: the object's.
        folder: the folder's name, such as `raw`.

    Returns:
        None when it lies deeper in a model's own part of the bucket, such as its runs, and when
        its model's name is not allowed, of which people are told.
    """
    model = key.partition(f"/{folder}/")[0]
    if _is_folder_of_a_model(model):
        logger.info("not in a drop folder", extra={"key": key})
        return None
    try:
        return checked_model_name(model)
    except ModelNameInvalid as error:
        _refuse(key, str(error))
        return None


def _is_folder_of_a_model(path: str) -> bool:
    model, _, rest = path.partition("/")
    return bool(rest) and bool(re.fullmatch(MODEL_NAME_PATTERN, model))


def _refuse(key: str, reason: str) -> None:
    """Tell of a drop that belongs to no model; `_refused` can be no model's name."""
    name = hashlib.sha256(key.encode()).hexdigest()[:16]
    s3.put_json(f"_refused/{name}.json", {"key": key, "reason": reason})
    bus.notify("Refit refused a drop", f"s3://{environment().bucket}/{key}\n{reason}")
    logger.warning("drop refused", extra={"key": key, "reason": reason})
