"""Capture the predictions of the API by delivering them to the bucket as capture files.

A failure is logged and not raised, so that a prediction does not fail because of its capture.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from refit.domain.inferences.capture_writer import capture_line, new_capture_key
from refit.stores.capture_stream import CapturedLine
from refit.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.inferences.capture_writer import EndpointCall
    from refit.usecases.services import Services


def capture_predictions(
    services: Services,
    model: str,
    endpoint: str,
    calls: Sequence[EndpointCall],
    percent: int,
) -> None:
    """Capture a sample of calls.

    Args:
        services: the AWS services and the clock of this process.
        model: name of the model.
        endpoint: name of the endpoint that was called.
        calls: calls in the order in which they were made.
        percent: share of the calls that are captured, 1 to 100.
    """
    lines = [
        CapturedLine(
            new_capture_key(model, endpoint, call.variant, call.at),
            capture_line(model, endpoint, call),
        )
        for call in calls
        if random.random() * 100 < percent
    ]
    undelivered = services.captures.deliver(lines)
    if undelivered:
        files = [line.key for line in undelivered]
        logger.error("not captured", extra={"model": model, "files": files})
