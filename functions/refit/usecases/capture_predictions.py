"""What the predict API was asked and answered, sent on its way into the bucket.

A prediction never fails over its capture.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from refit.domain.inferences.capture_line import Invocation, capture_key, capture_line
from refit.stores import firehose
from refit.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Sequence


def capture(model: str, endpoint: str, invocations: Sequence[Invocation], percent: int) -> None:
    """Capture a sample of invocations.

    Args:
        model: the model's name.
        endpoint: which was asked.
        invocations: in the order in which they were made.
        percent: how many of a hundred are captured.
    """
    lost = firehose.deliver(
        [
            firehose.Capture(
                capture_key(model, endpoint, one.variant, one.at),
                capture_line(model, endpoint, one),
            )
            for one in invocations
            if random.random() * 100 < percent
        ]
    )
    if lost:
        logger.error("not captured", extra={"model": model, "files": [one.key for one in lost]})
