"""Remove a model: mark it, remove everything, sweep what arrived late, prove that nothing is left.

From the mark on, no version of the model is live and none of its runs begins. Processes that began
before may still write: a warm function uses what it read for ten seconds, Firehose delivers
captures after a minute, and a stopped execution does not stop its function. So the removal waits
until they have ended, and removes everything a second time. The state goes last: as long as it
exists, an interrupted removal can be continued by the same command.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from refit.domain.moments import utc_now
from rich.markup import escape

from refit_cli import terminal
from refit_cli.errors import Refused
from refit_cli.removal.data import data_kinds
from refit_cli.removal.kinds import Waiter
from refit_cli.removal.serving import serving_kinds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from refit_cli.connection import StackConnection
    from refit_cli.removal.kinds import Kind

_LISTED_NAMES = 20


@dataclass(frozen=True)
class Found:
    """What there is of one kind.

    Attributes:
        names: the first names, for messages.
    """

    kind: Kind
    count: int
    size_bytes: int
    names: tuple[str, ...]


class Removal:
    """The removal of one model."""

    def __init__(self, connection: StackConnection, model: str, timeout_s: float | None) -> None:
        self._connection = connection
        self._model = model
        self._waiter = Waiter(connection.poll_s, timeout_s)
        self._kinds = [
            *serving_kinds(connection, model, self._waiter),
            *data_kinds(connection, model),
        ]

    def found(self) -> list[Found]:
        """Return what exists of the model now, without the kinds of which nothing exists."""
        return [found for found in map(counted, self._kinds) if found.count]

    def run(self, found: Sequence[Found]) -> None:
        """Remove the model. It can be called again after an interruption at any point.

        Args:
            found: what exists, for the messages.

        Raises:
            TimedOut: when AWS did not finish a deletion in time.
        """
        models = self._connection.models
        before = models.state(self._model)
        is_active = before.champion or before.active_run or before.deployment
        late_s = self._connection.settle_s if is_active else 0
        state = models.begin_removal(self._model, utc_now() + timedelta(seconds=late_s))
        counts = {each.kind.key: each.kind.counted(each.count) for each in found}
        for kind in self._kinds:
            if kind.key in counts:
                terminal.inform(f"[dim]removing {counts[kind.key]} …[/]")
            kind.remove()
        settles_at = state.removal_settles_at
        if settles_at and state.removing_since and settles_at > state.removing_since:
            self._wait(settles_at)
            for kind in self._kinds:
                kind.remove()
        models.forget(self._model)

    def _wait(self, settles_at: datetime) -> None:
        left_s = (settles_at - utc_now()).total_seconds()
        if left_s > 0:
            terminal.inform(
                f"[dim]waiting {left_s:.0f} s for predictions and labels that are under way …[/]"
            )
        self._waiter.until(lambda: utc_now() >= settles_at, "the end of late writes")


def counted(kind: Kind) -> Found:
    """Count what exists of a kind, and remember the first names."""
    resources = kind.resources()
    first = list(islice(resources, _LISTED_NAMES))
    count, size_bytes = len(first), sum(resource.size_bytes for resource in first)
    for resource in resources:
        count += 1
        size_bytes += resource.size_bytes
    return Found(kind, count, size_bytes, tuple(resource.name for resource in first))


def as_json(found: Sequence[Found]) -> dict[str, int]:
    """Return the number of resources by kind."""
    return {each.kind.key: each.count for each in found}


def names_of(found: Sequence[Found]) -> dict[str, Any]:
    """Return the first names of the resources by kind."""
    return {each.kind.key: list(each.names) for each in found}


def total_bytes(found: Sequence[Found]) -> int:
    """Return the size of all resources whose size is known: the object versions."""
    return sum(each.size_bytes for each in found)


def show(found: Sequence[Found]) -> None:
    """Show what exists, one kind a line, on stderr."""
    for each in found:
        size = f", {terminal.size(each.size_bytes)}" if each.size_bytes else ""
        name = f"  [dim]{escape(each.names[0])}[/]" if each.count == 1 else ""
        terminal.inform(f"  {each.kind.counted(each.count)}{size}{name}")


def check_not_being_removed(connection: StackConnection, model: str) -> None:
    """Refuse to add to a model whose removal was interrupted, because no run of it would begin.

    Raises:
        Refused: saying how to finish the removal.
    """
    removing_since = connection.models.state(model).removing_since
    if removing_since is not None:
        raise Refused(
            f"{model!r} is being removed since {removing_since:%Y-%m-%d %H:%M:%S} UTC, and the "
            "removal has not ended",
            f"if it was interrupted, finish it with `refit remove {model}`, then upload again",
        )
