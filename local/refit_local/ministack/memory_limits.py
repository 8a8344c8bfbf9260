"""EventBridge and Firehose: keep nothing in memory that has been delivered.

AWS        gives nobody the events of a bus or the records of a delivery stream again
MiniStack  keeps every event and record, although nothing reads them
"""

from __future__ import annotations

from collections import deque
from typing import Any

from refit_local.ministack.names import Hook


def install() -> None:
    """Install this patch into MiniStack."""
    nothing: deque[Any] = deque(maxlen=0)
    Hook.RECENT_EVENTS.put(lambda: nothing)


def apply() -> None:
    """Drop what has been delivered."""
    for _, stream in list(Hook.DELIVERY_STREAMS.get().all_items()):
        for destination in stream["destinations"]:
            destination["records"].clear()
