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


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential backoff with full jitter.

    Attributes:
        max_attempts: number of attempts, including the first.
        initial_backoff_s: upper limit of the first wait, which doubles with each attempt; 0 to
            retry without waiting.
        max_backoff_s: upper limit of every wait.
    """

    max_attempts: int
    initial_backoff_s: float = 0.0
    max_backoff_s: float = 1.0
    sleep: Callable[[float], None] = time.sleep

    def attempts(self) -> Iterator[int]:
        """Yield the number of each attempt, from 1, and wait before each attempt but the first.

        A loop over the attempts returns when one succeeds. What follows the loop is reached when
        the attempts are used up, and should raise an error.
        """
        for attempt in range(1, self.max_attempts + 1):
            if attempt > 1:
                self.sleep(self._backoff_s(attempt - 1))
            yield attempt

    def _backoff_s(self, retries: int) -> float:
        limit_s = min(self.max_backoff_s, self.initial_backoff_s * 2 ** (retries - 1))
        return random.uniform(0, limit_s)


TRANSACTION_CONFLICTS = RetryPolicy(max_attempts=8, initial_backoff_s=0.04)
"""For a transaction that DynamoDB cancelled because another one was writing the same items."""

WRITE_CONFLICTS = RetryPolicy(max_attempts=20)
"""For a decision that must be made again because its item has changed. Reading the item again takes
long enough, so there is no further wait."""

UNPROCESSED_KEYS = RetryPolicy(max_attempts=8, initial_backoff_s=0.05)
"""For a BatchGetItem that returned all of its keys unprocessed, because reads are throttled."""
