"""Answer a request from the predictions that a batch has cached (cache_predictions.py)."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from refit.domain import metric_names
from refit.domain.errors import ServiceThrottled
from refit.domain.inferences.capture_writer import EndpointCall
from refit.domain.naming import ResourceNames
from refit.telemetry import logger, put_metric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.pipeline.model_state import Champion
    from refit.usecases.services import Services

MOST_ROWS = 100
"""Rows of a request that is looked up: BatchGetItem takes as many keys, and one call is fast."""


def cached_call(
    services: Services, model: str, champion: Champion, lines: Sequence[str]
) -> EndpointCall | None:
    """Return what the live version has answered to the rows of a request before.

    Returns:
        None when the answer to one of the rows is not known: the endpoint then answers all.
    """
    until, now = champion.cached_until, services.now()
    if until is None or until < now or len(lines) > MOST_ROWS:
        return None
    try:
        answers = services.prediction_cache.find(model, champion.run, lines)
    except ServiceThrottled as error:
        logger.warning("cache not read", extra={"model": model, "reason": str(error)})
        return None
    if not answers.keys() >= set(lines):
        return None
    put_metric(metric_names.CACHED_PREDICTIONS, model, len(lines))
    return EndpointCall(
        id=uuid.uuid4().hex,
        rows=len(lines),
        body="\n".join(lines).encode("ascii"),
        answer="\n".join(answers[line] for line in lines).encode("ascii"),
        content_type="text/csv; charset=utf-8",
        variant=ResourceNames.variant(champion.version),
        at=now,
    )
