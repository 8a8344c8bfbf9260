"""What a removal needs to know of each kind of resource, and how it waits for AWS."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit_cli.errors import TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class Resource:
    """One resource of a model, with the name by which a person finds it."""

    name: str
    size_bytes: int = 0


class Kind(ABC):
    """One kind of resource of one model.

    Attributes:
        key: name of the kind in JSON.
        noun: singular and plural of the kind in messages.
    """

    key: str
    noun: tuple[str, str]

    @abstractmethod
    def resources(self) -> Iterator[Resource]:
        """Yield the resources that exist now."""

    @abstractmethod
    def remove(self) -> None:
        """Remove the resources that exist now; does nothing when there are none."""

    def counted(self, count: int) -> str:
        """Return a number of resources in words: `1 endpoint`, `2,000 predictions`."""
        return f"{count:,} {self.noun[count != 1]}"


class Waiter:
    """Polls until something has happened, or until the timeout of the command.

    Args:
        poll_s: seconds between two checks.
        timeout_s: seconds from now on; None for no limit.
    """

    def __init__(self, poll_s: float, timeout_s: float | None) -> None:
        self._poll_s = poll_s
        self._timeout_s = timeout_s
        self._started = time.monotonic()

    def until(self, has_happened: Callable[[], bool], what: str) -> None:
        """Wait until a check returns True.

        Raises:
            TimedOut: naming what did not happen in time.
        """
        while not has_happened():
            if self._timeout_s is not None and time.monotonic() - self._started > self._timeout_s:
                raise TimedOut(f"{what} did not happen within {self._timeout_s:g} s")
            time.sleep(self._poll_s)
