"""Retry operations that conflict with concurrent changes.

botocore retries throttled calls. This policy is for operations that only the caller can repeat:
read the state, decide, and write on the condition that nothing has changed. The library tenacity is
not used, because it imports asyncio, which would slow down the start of the predict function.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from refit.domain.errors import RefitError


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential backoff with full jitter.

    Attributes:
        max_attempts: number of attempts, including the first.
        min_backoff_s: upper limit of the first wait, which doubles with each attempt; 0 to retry
            without waiting.
        max_backoff_s: upper limit of every wait.
    """

    max_attempts: int
    min_backoff_s: float = 0.0
    max_backoff_s: float = 1.0
    sleep: Callable[[float], None] = time.sleep

    def attempts(self, error: RefitError) -> Iterator[int]:
        """Yield the number of each attempt, from 1, and wait before each attempt but the first.

        Raises:
            RefitError: the given error, after the last attempt.
        """
        for attempt in range(1, self.max_attempts + 1):
            if attempt > 1:
                self.sleep(self._backoff_s(attempt - 1))
            yield attempt
        raise error

    def _backoff_s(self, retries: int) -> float:
        limit_s = min(self.max_backoff_s, self.min_backoff_s * 2 ** (retries - 1))
        return random.uniform(0, limit_s)


TRANSACTION_CONFLICTS = RetryPolicy(max_attempts=8, min_backoff_s=0.04)
"""For a transaction that DynamoDB cancelled because another one was writing the same items."""

WRITE_CONFLICTS = RetryPolicy(max_attempts=20)
"""For a decision that must be made again because its item has changed. Reading the item again takes
long enough, so there is no further wait."""
