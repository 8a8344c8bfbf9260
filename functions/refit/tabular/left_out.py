"""Columns that are no features: indexes, row ids, and columns without information."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from refit.domain.column_reading import name_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.tabular.column_tally import ColumnTracker

_PANDAS_INDEX = re.compile(r"(?:Unnamed: [0-9]+(?:\.[0-9]+)?|__index_level_[0-9]+__)\Z")
_ID_WORDS = (
    "id|ids|identifier|index|idx|uuid|guid|uid|oid|pk|key|no|nr|nbr|seq|sequence|serial|ssn|obs"
    "|observation|record|row|rownames"
)
_THINGS = (
    "account|case|client|customer|employee|house|image|invoice|item|listing|loan|member|order"
    "|passenger|patient|person|policy|post|product|record|row|sample|serial|session|student|subject"
    "|ticket|transaction|user|kunden|auftrags|lfd"
)
_ID_NAME = re.compile(
    rf"(?:.*[_\s.-])?(?:{_ID_WORDS}"
    rf"|(?:{_THINGS})[_\s.-]*(?:id|identifier|index|key|no|nr|num|number|nummer))\.?\Z"
)
_CAMEL_ID = re.compile(r".*[a-z]I[dD]\Z")
_NUMBERED = re.compile(r"(.*?)[_\s.-]?([0-9]+(?:[x_][0-9]+)?)\Z")
_FEWEST_IDS = 10
_DENSE = 2
"""Numbers that increase by more than this on average are row ids only if their name says so."""
_FEWEST_GRID_COLUMNS = 16
_YEARS = range(1500, 2201)


def reason_to_leave_out(
    name: str,
    *,
    is_index: bool,
    is_nameless: bool,
    is_grid: bool,
    tracker: ColumnTracker | None,
    rows: int,
) -> str | None:
    """Return why a column is no feature, by its name and its cells; None if it may be one.

    Args:
        name: name of the column.
        is_index: whether the format of the file calls it an index.
        is_nameless: whether its header cell is empty.
        is_grid: whether the columns are positions of a grid.
        tracker: has followed the cells of the column; None if it was not followed.
        rows: number of rows that it has seen.
    """
    followed = tracker if rows else None
    if followed and followed.is_constant and not followed.constant:
        return None if is_grid else "no row has a value"
    if is_index or _PANDAS_INDEX.match(name):
        return "an index that pandas wrote"
    if is_nameless:
        return "a column without a name, as an index is written"
    if followed and followed.is_constant and rows > 1:
        return None if is_grid else f"every row has the same value, {followed.constant!r}"
    return _id_reason(name, followed, rows) if followed and rows >= _FEWEST_IDS else None


def counts_rows(tracker: ColumnTracker | None, rows: int) -> bool:
    """Return whether a column counts its rows up by one."""
    if tracker is None or rows < _FEWEST_IDS:
        return False
    return tracker.ids == "counts" and not tracker.are_years(_YEARS)


def counts_down(tracker: ColumnTracker | None, rows: int) -> bool:
    """Return whether a column counts down by one, as row numbers in descending order do."""
    if tracker is None or rows < _FEWEST_IDS:
        return False
    return tracker.ids == "counts_down" and not tracker.are_years(_YEARS)


def descending_doubt(name: str, toml_name: str) -> str:
    """Return what a person should check about a column that counts down by one."""
    return (
        f"column {name!r} counts down by one from row to row, as row numbers in descending order "
        f'do. If it numbers the rows, set [data.columns] {toml_name} = "ignore"; if not, "number"'
    )


def _id_reason(name: str, tracker: ColumnTracker, rows: int) -> str | None:
    if tracker.ids in {"distinct", "counts_down"}:
        return "row ids, another in each row" if is_id_name(name) else None
    if tracker.ids is None or tracker.are_years(_YEARS):
        return None
    if counts_rows(tracker, rows):
        return "row numbers, which count up by one"
    is_dense = tracker.id_range <= _DENSE * rows
    return "row ids, which increase from row to row" if is_dense or is_id_name(name) else None


def is_id_name(name: str) -> bool:
    """Return whether a name is one that row ids have: `id`, `PassengerId`, `Order number`."""
    return bool(_ID_NAME.match(name_key(name).lower()) or _CAMEL_ID.match(name_key(name)))


def is_grid(names: Sequence[str]) -> bool:
    """Return whether the names of the features number the positions of a grid: `pixel0`, `pixel1`.

    Such columns are features even if they are constant in one drop.
    """
    if len(names) < _FEWEST_GRID_COLUMNS:
        return False
    stems = set()
    for name in names:
        match = _NUMBERED.match(name)
        if not match:
            return False
        stems.add(match[1])
    return len(stems) == 1
