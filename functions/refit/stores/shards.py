"""Spread counters over several items, so that concurrent writers rarely meet.

DynamoDB does not queue transactions that write the same item: it cancels them. So the counters of a
cohort and of the labels are stored in up to `SHARDS` items, and summed when they are read. A writer
(a thread of a process) stays with one shard, and moves to another one after a conflict. So writers
that run at the same time soon use different shards, and a model with one writer has one item.

It does not matter to which shard something is added: the condition on the inference decides whether
it is added, in the same transaction.
"""

from __future__ import annotations

import random
import threading

SHARDS = 16
"""The event sources allow 5 capture files with 4 writers each, 2 label files and a batch for each
shard of the stream at the same time, seldom of one model. With 16 writers, DynamoDB cancels 2.2
transactions for each one that succeeds if there is one item, and 0.04 with 16
(benchmarks/contention.py). More shards would make reading dearer."""


class Shards:
    """Chooses the shard to which the current thread adds."""

    def __init__(self, count: int = SHARDS) -> None:
        self._count = count
        self._chosen = threading.local()

    def current(self) -> int:
        """Return the shard of this thread."""
        if not hasattr(self._chosen, "shard"):
            self.move()
        shard: int = self._chosen.shard
        return shard

    def move(self) -> None:
        """Choose another shard for this thread, because it met a writer."""
        self._chosen.shard = random.randrange(self._count)
