"""How often something is tried again that conflicts with concurrent work, and how long it waits.

botocore retries throttled calls by itself. This policy is for what only the caller can repeat:
read the state, decide, write on condition that nothing has changed. It is our own because tenacity
imports asyncio, which costs the predict path more than this module does.
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
        max_attempts: the first one included.
        min_backoff_s: upper limit of the first wait; doubles with each attempt. 0: no wait.
        max_backoff_s: upper limit of every wait.
    """

    max_attempts: int
    min_backoff_s: float = 0.0
    max_backoff_s: float = 1.0
    sleep: Callable[[float], None] = time.sleep

    def attempts(self, error: RefitError) -> Iterator[int]:
        """Yield the number of each attempt, from 1; wait before each but the first.

        Raises:
            RefitError: the given error, when the attempts are used up.
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
"""A transaction that AWS cancelled because another one was writing the same items."""

WRITE_CONFLICTS = RetryPolicy(max_attempts=20)
"""A decision that is made again because the item it was made on has changed; reading it waits."""
