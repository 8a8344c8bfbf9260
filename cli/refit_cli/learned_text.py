"""Show what was learned from data (`refit.domain.learned`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from refit_cli import terminal
from refit_cli.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.learned import Learned, LearnedColumn

_MOST_ROWS = 40
_FEWEST_IN_RUN = 5
_SHOWN_CHARACTERS = 40
_SHOWN_REASONS = 10
_NUMBERED = re.compile(r"(.*?)([0-9]+)\Z", re.DOTALL)


def learned_lines(learned: Learned) -> list[str]:
    """Return the record without its columns as lines of markup."""
    lines = [escape(learned.sentence)]
    lines += [f"[dim]note[/]     {escape(note)}" for note in learned.notes]
    lines += [f"[yellow]doubt[/]    {escape(doubt)}" for doubt in learned.doubts]
    return lines + refused_lines(learned)


def refused_lines(learned: Learned) -> list[str]:
    """Return one line of markup for each reason why rows were refused."""
    reasons = sorted(learned.refused_reasons.items(), key=lambda item: -item[1])
    lines = [
        f"[yellow]refused[/]  {count:,} × {escape(reason)}"
        for reason, count in reasons[:_SHOWN_REASONS]
    ]
    hidden = len(reasons) - _SHOWN_REASONS
    return [*lines, f"[dim]and {counted(hidden, 'more reason')}[/]"] if hidden > 0 else lines


def print_learned(learned: Learned) -> None:
    """Print the record, with the table of the columns."""
    console = terminal.results()
    first, *others = learned_lines(learned)
    console.print(f"[bold]{first}[/]")
    console.print()
    console.print(columns_table(learned))
    console.print()
    for line in others:
        console.print(line)


def columns_table(learned: Learned) -> Table:
    """Return a table of the columns. Runs of numbered columns take one row of it."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("column", overflow="fold")
    table.add_column("type")
    table.add_column("distinct", justify="right")
    table.add_column("missing", justify="right")
    table.add_column("example", overflow="fold")
    table.add_column("", overflow="fold")
    kind = "a number" if learned.classes is None else "classes"
    classes = "" if learned.classes is None else f"{len(learned.classes):,}"
    example = "" if not learned.classes else _cut(learned.classes[0])
    table.add_row(escape(_cut(learned.label)), kind, classes, "", escape(example), "the label")
    runs = runs_of(learned.columns)
    for run in runs[:_MOST_ROWS]:
        table.add_row(*run.cells())
    hidden = sum(len(run.columns) for run in runs[_MOST_ROWS:])
    if hidden:
        table.add_row(f"[dim]and {counted(hidden, 'more column')}; --json lists all[/]")
    return table


@dataclass(frozen=True)
class ColumnRun:
    """Columns that take one row of the table: a single one, or neighbours that count up."""

    columns: Sequence[LearnedColumn]

    def cells(self) -> list[str]:
        """Return the cells of the row, as markup."""
        first, last = self.columns[0], self.columns[-1]
        missing = sum(column.missing for column in self.columns)
        name = _cut(first.name)
        if len(self.columns) > 1:
            name = f"{name} … {_cut(last.name)} ({len(self.columns):,} columns)"
        style = "dim" if first.type == "ignored" else "default"
        distinct = "" if first.distinct is None else f"{first.distinct:,}"
        cells = (
            name,
            first.type,
            distinct,
            f"{missing:,}" if missing else "",
            _cut(first.example or ""),
            first.reason or "",
        )
        return [f"[{style}]{escape(cell)}[/]" if cell else "" for cell in cells]


def runs_of(columns: Sequence[LearnedColumn]) -> list[ColumnRun]:
    """Group neighbouring columns whose names count up and that are read alike."""
    runs: list[list[LearnedColumn]] = []
    for column in columns:
        if runs and _follows(runs[-1][-1], column):
            runs[-1].append(column)
        else:
            runs.append([column])
    grouped = []
    for run in runs:
        whole = len(run) >= _FEWEST_IN_RUN
        grouped += [ColumnRun(run)] if whole else [ColumnRun([column]) for column in run]
    return grouped


def _follows(before: LearnedColumn, column: LearnedColumn) -> bool:
    if (before.type, before.reason) != (column.type, column.reason) or column.type == "category":
        return False
    mine, theirs = _NUMBERED.match(before.name), _NUMBERED.match(column.name)
    if mine is None or theirs is None:
        return False
    return mine[1] == theirs[1] and int(theirs[2]) == int(mine[2]) + 1


def _cut(text: str) -> str:
    line = text.replace("\n", " ")
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[: _SHOWN_CHARACTERS - 1]}…"
