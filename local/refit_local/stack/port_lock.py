"""A lock over the start and the end of the local stack of a port.

Without it a `down` would delete the state folder that an `up` has just made.
"""

from __future__ import annotations

import fcntl
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from refit_local.stack import record
from refit_local.stack.errors import StackBusy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

_POLL_S = 0.1


@contextmanager
def starts_or_ends(port: int, *, wait_s: float) -> Iterator[None]:
    """Hold the lock of a port. The operating system gives it back when the process ends.

    Args:
        port: the port.
        wait_s: how long to wait for another process; 0 means not at all.

    Raises:
        StackBusy: when another process holds it for longer.
    """
    folder = record.folder(port)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        if not _locked(lock, wait_s):
            raise StackBusy(
                f"another `refit up` or `refit down` is at work on port {port}; wait for it, then "
                "try again"
            )
        yield


def _locked(lock: TextIO, wait_s: float) -> bool:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_S)
        else:
            return True
