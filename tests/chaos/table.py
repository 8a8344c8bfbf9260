"""The tables of the campaign: its faults, and what was seen of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit_cli import terminal
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.chaos.fault import Fault, Outcome


def show_faults(faults: Sequence[Fault]) -> None:
    """Print the names of faults, each with one line."""
    table = Table(box=None, pad_edge=False)
    for title in ("fault", "family", "what happens"):
        table.add_column(title)
    for fault in faults:
        table.add_row(fault.name, fault.family, fault.summary)
    terminal.results().print(table)


def show_outcomes(outcomes: Sequence[Outcome]) -> None:
    """Print what was seen of each fault, and why those that were not survived were not."""
    table = Table(box=None, pad_edge=False)
    for title in ("fault", "times", "survived", "lost", "twice", "recovered", "note"):
        table.add_column(title, justify="right" if title in _NUMBERS else "left")
    for each in outcomes:
        recovered = "" if each.recovered_s is None else terminal.duration(each.recovered_s)
        row = (str(each.times), _verdict(each), str(each.lost), str(each.twice), recovered)
        table.add_row(each.fault.name, *row, each.note)
    console = terminal.results()
    console.print(table)
    for each in outcomes:
        if each.left_out or not each.survived:
            console.print(text_of(each), markup=False)
    tried = [each for each in outcomes if each.left_out is None]
    survived = sum(each.survived for each in tried)
    console.print(f"{survived} of {len(tried)} faults were survived")


def text_of(outcome: Outcome) -> str:
    """Return in one line whether a fault was survived, and why not."""
    name = outcome.fault.name
    if outcome.left_out:
        return f"{name} was left out: {outcome.left_out}"
    if outcome.survived:
        return f"{name} was survived"
    return f"{name} was NOT survived: {outcome.problem}"


_NUMBERS = {"times", "lost", "twice", "recovered"}


def _verdict(outcome: Outcome) -> str:
    if outcome.left_out:
        return "left out"
    return "yes" if outcome.survived else "NO"
