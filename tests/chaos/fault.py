"""A fault of the campaign, what was seen of it, and the list of all faults."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.chaos.own_stack import Start
    from tests.chaos.subject import Subject

    Inject = Callable[[Subject], int] | Callable[[Start], int]


class NotSurvived(Exception):
    """When Refit or the local stack does not do what is demanded while a fault is injected."""


class CannotBeTried(Exception):
    """When this machine does not allow a fault, such as a small disk, which has to be mounted."""


class Needs(Enum):
    """What a fault is tried on."""

    MODEL = "the model of the faults before, if it is healthy"
    NEW_MODEL = "a model of its own, because the fault damages what later faults need"
    NEW_STACK = "a local stack of its own, which is ended"
    KEPT_STACK = "a local stack of its own, which is ended and whose state is kept"
    NOTHING = "no stack that is running"


@dataclass(frozen=True)
class Fault:
    """A fault with a name.

    Attributes:
        inject: causes the fault, under traffic, and returns how many times.
        settings: model.toml of a model of its own, beyond the plain settings.
    """

    name: str
    family: str
    summary: str
    inject: Inject
    needs: Needs
    settings: str = ""


@dataclass(frozen=True)
class Outcome:
    """What was seen of one fault.

    Attributes:
        times: how many times it was injected.
        lost: answered predictions and accepted labels that are not counted.
        twice: predictions and labels that are counted more than once.
        recovered_s: from the last injection until no run was open and no lock held.
        problem: why it was not survived; None when it was.
        left_out: why it could not be tried here.
    """

    fault: Fault
    times: int = 0
    lost: int = 0
    twice: int = 0
    recovered_s: float | None = None
    problem: str | None = None
    left_out: str | None = None
    note: str = ""

    @property
    def survived(self) -> bool:
        return self.problem is None and self.lost == 0 and self.twice == 0


FAULTS: dict[str, Fault] = {}


def fault(
    name: str, summary: str, needs: Needs = Needs.MODEL, settings: str = ""
) -> Callable[[Inject], Inject]:
    """Add the decorated function to the campaign; its module names the family."""

    def add(inject: Inject) -> Inject:
        if name in FAULTS:
            raise ValueError(f"two faults have the name {name}; give each its own")
        family = inject.__module__.rpartition(".")[2].replace("_", " ")
        FAULTS[name] = Fault(name, family, summary, inject, needs, settings)
        return inject

    return add


def select(patterns: Sequence[str]) -> list[Fault]:
    """Return the faults whose names match one of the patterns, in the order of the list.

    Raises:
        ValueError: when a pattern matches no fault.
    """
    if not patterns:
        return list(FAULTS.values())
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in FAULTS):
            raise ValueError(f"no fault matches {pattern!r}; make chaos LIST=1 lists them")
    return [each for name, each in FAULTS.items() if any(fnmatchcase(name, p) for p in patterns)]
