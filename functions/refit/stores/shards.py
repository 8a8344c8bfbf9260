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
"""More writers do not run at the same time: the event sources allow 5 files of captures, 5 files of
labels and one batch per shard of the stream. With 16 writers, the transactions that succeed per
second are six times those of one item (benchmarks/contention.py)."""


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
