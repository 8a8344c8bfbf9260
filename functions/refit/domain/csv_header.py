"""Decide whether the first record of a table holds the names of the columns.

The question is which of two explanations of the first record is unlikely. A name above numbers or
dates is unlikely in a row. So is a text that never occurs below it, if the texts of its column
repeat, and so are numbers that count up from cell to cell (`2011,2012,2013`) if those of no other
record do. A text that occurs again in its column is unlikely in a header. If neither explanation is
unlikely, the answer is `unclear`, and the caller must not guess.
"""

from __future__ import annotations

import string
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import dropwhile, pairwise
from math import isclose, prod
from typing import TYPE_CHECKING, Literal, TypeAlias

from refit.domain.cells import is_missing, number_of
from refit.domain.column_reading import name_key
from refit.domain.date_forms import is_date_like
from refit.domain.number_forms import is_number_like

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Verdict: TypeAlias = Literal["yes", "no", "unclear"]

_UNLIKELY = 0.02
# Numbers that count up need the support of a text if they are few.
_SUPPORTED = 0.1
_FEW_NUMBERS, _MANY_NUMBERS = 3, 5
_YEARS = range(1800, 2101)
_SHARE_OF_REPEATS = 0.1
_BOM = "\ufeff"
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def is_header(
    first: Sequence[str],
    rows: Sequence[Sequence[str]],
    known_names: Sequence[str] | None = None,
    lone_record_is_header: bool = True,
) -> bool:
    """Return whether the first record surely holds the names of the columns: see `judged`."""
    return judged(first, rows, known_names, lone_record_is_header) == "yes"


def judged(
    first: Sequence[str],
    rows: Sequence[Sequence[str]],
    known_names: Sequence[str] | None = None,
    lone_record_is_header: bool = True,
) -> Verdict:
    """Return whether the first record holds the names of the columns.

    Args:
        first: the record; (n_columns,) cells.
        rows: the records after it; (n_rows, n_columns) cells.
        known_names: names of the columns, if known from another source. A record of these names, in
            any order, is a header.
        lone_record_is_header: whether a record of texts without any row after it is a header.
    """
    if known_names is not None and _are_known(first, known_names):
        return "yes"
    if not rows:
        return "yes" if lone_record_is_header and all(map(is_name, first)) else "no"
    others = [row for row in rows if not is_repeated_header(row, first)]
    repeats = len(rows) - len(others)
    if repeats and others:
        without = _Candidate(first, others)
        if without.verdict == "yes" and (
            without.names_over_types or (_are_few(repeats, rows) and _share_cells(others))
        ):
            return "yes"
    return _Candidate(first, rows).verdict


def column_names(header: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the columns; a column without a name is named after its index."""
    return tuple(name or f"column{index}" for index, name in enumerate(header))


def is_repeated_header(cells: Sequence[str], header_cells: Sequence[str]) -> bool:
    """Return whether a record repeats the header, as where files were joined, in any case.

    Args:
        cells: cells of the record, without the whitespace around them.
        header_cells: cells of the header; empty if the file has none.
    """
    if len(cells) != len(header_cells) or not header_cells:
        return False
    first = cells[0].removeprefix(_BOM)  # each file had its own mark
    return _lower(first) == _lower(header_cells[0].removeprefix(_BOM)) and all(
        _lower(cell) == _lower(name) for cell, name in zip(cells[1:], header_cells[1:], strict=True)
    )


def _lower(text: str) -> str:
    """Return a text in lower case of ASCII, as bytes are compared in blocks of rows."""
    return text.translate(_LOWER)


def _are_known(first: Sequence[str], known_names: Sequence[str]) -> bool:
    names = sorted(map(name_key, column_names(first)))
    return names == sorted(map(name_key, known_names))


def _are_few(repeats: int, rows: Sequence[Sequence[str]]) -> bool:
    return repeats <= max(1, _SHARE_OF_REPEATS * len(rows))


def _share_cells(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether nearly every row has a cell in common with a row that differs from it.

    If not, the columns depend on each other (a code and its name), and a row that is repeated as a
    whole looks like a header.
    """
    distinct = set(map(tuple, rows))
    counts = [Counter(column) for column in zip(*distinct, strict=True)]
    sharing = sum(
        any(count[cell] > 1 for cell, count in zip(row, counts, strict=True)) for row in distinct
    )
    return sharing >= (1 - _SHARE_OF_REPEATS) * len(distinct)


def is_name(cell: str) -> bool:
    """Return whether a cell can be a name: it has a value, and is no number and no date."""
    return not (is_missing(cell) or is_number_like(cell) or is_date_like(cell))


@dataclass(frozen=True)
class _Column:
    """A cell of the first record, and the cells below it that have a value."""

    cell: str
    below: tuple[str, ...]

    @cached_property
    def is_name(self) -> bool:
        return is_name(self.cell)

    @cached_property
    def is_typed(self) -> bool:
        """Whether most of the cells below are numbers, or most of them are dates."""
        half = len(self.below) / 2
        return (
            sum(map(is_number_like, self.below)) > half or sum(map(is_date_like, self.below)) > half
        )

    @cached_property
    def recurs(self) -> bool:
        """Whether the text of the first record is a value of a column of texts."""
        return self.is_name and not self.is_typed and self.cell in self.below

    @cached_property
    def chance(self) -> float:
        """Probability of a text in a row that no other row has, estimated from the rows below."""
        if not self.is_name or self.is_typed or not self.below:
            return 1.0
        if all(map(_has_digit, self.below)) and not _has_digit(self.cell):
            return 1 / (len(self.below) + 1)
        single = sum(count == 1 for count in Counter(self.below).values())
        return (single + 1) / (len(self.below) + 1)


def _has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))


class _Candidate:
    """The first record of a table, judged by the rows below it."""

    def __init__(self, first: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self._first = first
        self._rows = rows
        self._columns = [
            _Column(cell, tuple(value for value in values if not is_missing(value)))
            for cell, values in zip(first, zip(*rows, strict=True), strict=True)
        ]
        self._recurring = sum(column.recurs for column in self._columns)
        self._chance = prod(column.chance for column in self._columns)
        self.names_over_types = sum(column.is_name for column in self._columns if column.is_typed)

    @cached_property
    def verdict(self) -> Verdict:
        # Nameless columns in front hold the numbers of the rows, as an index of several levels.
        named = dropwhile(lambda column: is_missing(column.cell), self._columns)
        typed = [column for column in named if column.is_typed]
        if any(not is_missing(column.cell) for column in typed):
            return self._verdict_over_types(len(typed))
        return self._verdict_over_texts()

    def _verdict_over_types(self, typed: int) -> Verdict:
        if 2 * self.names_over_types > typed:
            return "no" if self._recurring >= self.names_over_types else "yes"
        counting = self._verdict_of_counting()
        if counting is not None:
            return counting
        is_odd_row = self._has_years_over_other_numbers() or self._chance <= _UNLIKELY
        return "unclear" if is_odd_row and not self._recurring else "no"

    def _has_years_over_other_numbers(self) -> bool:
        """Return whether all cells over numbers are names, or years where the values are not."""
        typed = [column for column in self._columns if column.is_typed and not column.is_name]
        return bool(self.names_over_types) and all(
            _are_years([column.cell]) and not _are_years(column.below) for column in typed
        )

    def _verdict_over_texts(self) -> Verdict:
        with_values = [column for column in self._columns[1:] if column.below]
        names = [column.cell for column in self._columns if column.is_name]
        if (
            not with_values
            or self._recurring
            or len(set(names)) < len(names)
            or not all(column.is_name for column in with_values)
        ):
            return "no"
        return "yes" if self._chance <= _UNLIKELY else "unclear"

    def _verdict_of_counting(self) -> Verdict | None:
        """Judge a record whose numbers are steps of one size; None if they are not."""
        indexes = [index for index, cell in enumerate(self._first) if number_of(cell) is not None]
        texts = [column for column in self._columns if column.is_name]
        if len(indexes) + sum(is_missing(cell) for cell in self._first) + len(texts) < len(
            self._first
        ):
            return None
        cells = [self._first[index] for index in indexes]
        is_nameless = is_missing(self._first[0]) and self._columns[0].is_typed
        counts = _counting_rule(cells, len(texts) + is_nameless, self.names_over_types)
        if counts is None:
            return None
        rows_too = sum(counts([row[index] for index in indexes]) for row in self._rows)
        if rows_too > _SHARE_OF_REPEATS * len(self._rows):
            return None
        is_long = len(cells) >= _MANY_NUMBERS
        if self._recurring:
            return "unclear" if is_long else None
        is_frame = is_nameless and not texts and cells[0] == "0"  # as pandas writes it
        if is_long or is_frame or self.names_over_types or self._chance <= _SUPPORTED:
            return "yes"
        is_range = cells == [str(index) for index in range(len(cells))]  # of a frame without names
        return "unclear" if (texts or is_range) and len(cells) >= _FEW_NUMBERS else None


def _counting_rule(
    cells: Sequence[str], beside: int, names_over_types: int
) -> Callable[[Sequence[str]], bool] | None:
    """Return the rule by which these numbers count up, to apply to other rows; None if none does.

    Two numbers always have one step, so they must be years, or count from 0 or 1 beside one cell
    that is a text, or has no name as it is above the numbers of the rows.
    """
    from_start = any(
        list(cells) == [str(start + index) for index in range(len(cells))] for start in (0, 1)
    )
    if from_start and beside == 1 and (len(cells) > 1 or (cells and names_over_types)):
        return lambda row: list(row) == list(cells)
    if len(cells) >= _FEW_NUMBERS:
        return _has_steps if _has_steps(cells) else None
    return _are_years if len(cells) > 1 and _are_years(cells) and _has_steps(cells) else None


def _are_years(cells: Sequence[str]) -> bool:
    return all(cell.isdigit() and int(cell) in _YEARS for cell in cells)


def _has_steps(cells: Sequence[str]) -> bool:
    """Return whether the cells are numbers with the same difference from each to the next."""
    numbers = [number_of(cell) for cell in cells]
    if any(number is None for number in numbers):
        return False
    values = [number for number in numbers if number is not None]
    steps = [after - before for before, after in pairwise(values)]
    return not steps or (
        steps[0] != 0 and all(isclose(step, steps[0], rel_tol=1e-6) for step in steps)
    )
