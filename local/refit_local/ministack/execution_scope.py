"""What Step Functions stops together: an execution, a Parallel's branches, a task with a timeout.

The current scope and execution are context variables; each thread of an execution inherits them.
"""

from __future__ import annotations

import contextvars
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from refit_local.ministack.hooks import Document, set_during
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Scope:
    """Tasks that are stopped together, and the scopes within this one."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._stops: dict[int, Callable[[], None]] = {}

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep; return whether the scope was stopped meanwhile."""
        return self._stopped.wait(seconds)

    def stop(self) -> None:
        """Stop all running tasks and prevent new ones from starting."""
        with self._lock:
            self._stopped.set()
            stops, self._stops = list(self._stops.values()), {}
        for stop in stops:
            stop()

    @contextmanager
    def running(self, stop: Callable[[], None]) -> Iterator[None]:
        """Call `stop` if the scope is stopped before the block ends.

        Raises:
            the exception of `stopped_error`: when the scope has been stopped before.
        """
        key = id(stop)
        with self._lock:
            if self._stopped.is_set():
                raise stopped_error()
            self._stops[key] = stop
        try:
            yield
        finally:
            with self._lock:
                self._stops.pop(key, None)

    @contextmanager
    def inner(self) -> Iterator[Scope]:
        """Enter a scope that can be stopped alone, and is stopped together with this one."""
        scope = Scope()
        stop = scope.stop
        with self.running(stop), set_during(_scope, scope):
            yield scope


_scope: contextvars.ContextVar[Scope | None] = contextvars.ContextVar("scope", default=None)
_execution: contextvars.ContextVar[Document | None] = contextvars.ContextVar(
    "execution", default=None
)


def enter_execution(execution: Document) -> Scope:
    """Make an execution the one of this thread, and return its scope."""
    scope = Scope()
    _scope.set(scope)
    _execution.set(execution)
    return scope


def current_scope() -> Scope:
    """Return this thread's scope; a new one outside an execution."""
    return _scope.get() or Scope()


def current_execution() -> Document | None:
    """Return MiniStack's record of the execution that this thread runs."""
    return _execution.get()


def stop_signal() -> Callable[[], bool]:
    """Return a function that says whether the task running in this thread has been stopped."""
    scope = current_scope()
    return lambda: scope.stopped


def execution_error(error: str, cause: str) -> Exception:
    """Return the exception that fails a state with this error name and cause."""
    raised: Exception = Hook.EXECUTION_ERROR.get()(error, cause)
    return raised


def stopped_error() -> Exception:
    """Return the exception that ends a state of a stopped execution."""
    return execution_error("States.Runtime", "the execution was stopped")
