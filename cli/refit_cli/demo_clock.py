"""Times of the demo's stages, and of the states inside its runs."""
# ruff: noqa: PLC0415 (what is slow to import waits until a run has been shown)

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from refit_cli import terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit_cli.history import StateSpan


class Clock:
    """Times stages as they end.

    Attributes:
        seconds: by stage, in their order.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lines: list[tuple[str, float]] = []
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage."""
        began = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - began
        self._lines.append((name, self.seconds[name]))

    def add_states(self, spans: list[StateSpan]) -> None:
        """Add the states of a run below its stage, but those that take no time."""
        from refit_cli.run_display import shown_stages

        stages = shown_stages(spans, datetime.now(UTC))
        self._lines += [(f"  {stage.state}", stage.seconds) for stage in stages]

    @property
    def total(self) -> float:
        """Seconds since the clock began."""
        return time.monotonic() - self._began

    def print(self) -> None:
        """Print all times and the total."""
        console = terminal.results()
        console.print()
        for name, seconds in [*self._lines, ("total", self.total)]:
            style = "bold" if name == "total" else "dim" if name.startswith(" ") else ""
            console.print(f"{name:<36}{terminal.duration(seconds):>10}", style=style)
