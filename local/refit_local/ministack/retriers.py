"""Step Functions: honour MaxDelaySeconds and JitterStrategy of a retrier.

AWS        waits IntervalSeconds × BackoffRate^n, at most MaxDelaySeconds, with full jitter if asked
MiniStack  caps each wait at one minute and ignores both fields
Source     Amazon States Language, "Retrying after error"
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from refit_local.ministack.execution_scope import current_scope
from refit_local.ministack.executions import sleep
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit_local.ministack.hooks import Document


def install() -> None:
    """Install this patch into MiniStack."""
    Hook.FIND_RETRIER.wrap(_find_retrier)


def _find_retrier(
    original: Callable[..., tuple[Document | None, int]],
    retriers: list[Document],
    error: str,
    counts: dict[int, int],
) -> tuple[Document | None, int]:
    """Choose the retrier, wait here, and return it with no wait left for MiniStack."""
    if current_scope().stopped:
        return None, -1
    retrier, index = original(retriers, error, counts)
    if retrier is None:
        return None, -1
    delay_s = retrier.get("IntervalSeconds", 1) * (
        retrier.get("BackoffRate", 2.0) ** counts.get(index, 0)
    )
    delay_s = min(delay_s, retrier.get("MaxDelaySeconds", delay_s))
    if retrier.get("JitterStrategy") == "FULL":
        delay_s = random.uniform(0, delay_s)
    sleep(delay_s)
    return {**retrier, "IntervalSeconds": 0}, index
