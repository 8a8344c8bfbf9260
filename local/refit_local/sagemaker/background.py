"""The threads of the local SageMaker: one for periodic work, one a job or deployment."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_LOGGER = logging.getLogger(__name__)


@dataclass
class BackgroundThreads:
    """Threads that do not hold the process.

    Attributes:
        interval_s: the time between two ticks.
    """

    interval_s: float = 0.5
    _actions: list[Callable[[], None]] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ticker: threading.Thread | None = None

    @property
    def ended(self) -> bool:
        """Whether the service is shutting down."""
        return self._ended.is_set()

    def each_tick(self, action: Callable[[], None]) -> None:
        """Call the action at each tick, and once more at the end."""
        with self._lock:
            self._actions.append(action)
            if self._ticker is None:
                self._ticker = threading.Thread(
                    target=self._run, name="sagemaker tick", daemon=True
                )
                self._ticker.start()

    def start(self, name: str, work: Callable[[], None]) -> None:
        """Do the work in a thread of its own."""
        thread = threading.Thread(target=work, name=name, daemon=True)
        with self._lock:
            self._threads = [known for known in self._threads if known.is_alive()]
            self._threads.append(thread)
        thread.start()

    def wait(self, seconds: float) -> bool:
        """Sleep; return whether the service is shutting down."""
        return self._ended.wait(seconds)

    def request_end(self) -> None:
        """Make all threads come to an end."""
        self._ended.set()

    def join(self, timeout_s: float) -> None:
        """Wait for all threads, at most this long in total, then tick a last time."""
        deadline = time.monotonic() + timeout_s
        with self._lock:
            threads = [*self._threads, *([self._ticker] if self._ticker else [])]
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._tick()

    def _run(self) -> None:
        while not self._ended.wait(self.interval_s):
            self._tick()

    def _tick(self) -> None:
        for action in list(self._actions):
            try:
                action()
            except (OSError, RuntimeError) as error:
                _LOGGER.warning("%s failed: %s", action, error)
