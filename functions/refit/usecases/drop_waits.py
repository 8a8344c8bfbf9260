"""What a process remembers of the drops that wait for more files."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from refit.domain.pipeline.drop import FileVersion, Wait


class DropWaits:
    """The incomplete drops that this process has seen, and the events that it has handled for them.

    A process that remembers does not list a folder again for an event that cannot complete the
    drop, and knows more files whose events have waited. A process that has forgotten, or never
    knew, decides the same later: the awaited events and messages reach every process.
    """

    def __init__(self) -> None:
        self._waited: dict[str, set[FileVersion]] = {}
        self._waits: dict[str, Wait] = {}

    def add_events(self, model: str, events: Collection[FileVersion]) -> frozenset[FileVersion]:
        """Return these files and those of earlier events, which all have waited."""
        waited = self._waited.setdefault(model, set())
        waited.update(events)
        return frozenset(waited)

    def discard_events(self, model: str, events: Collection[FileVersion]) -> None:
        """Forget events of files that a run has taken."""
        if model in self._waited:
            self._waited[model].difference_update(events)

    def remember(self, model: str, wait: Wait) -> None:
        """Record what a drop waits for, once it is certain that it is looked at again."""
        self._waits[model] = wait

    def wait_of(self, model: str) -> Wait | None:
        """Return what the drop of a model waits for, if this process knows."""
        return self._waits.get(model)

    def forget(self, model: str) -> None:
        """Forget a drop that is complete."""
        self._waited.pop(model, None)
        self._waits.pop(model, None)
