"""Choose the label column of a drop, or refuse where a choice would be a guess."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from refit.domain.cell_shapes import cell_shape
from refit.domain.column_reading import name_key
from refit.domain.errors import LabelUnclear
from refit.tabular.column_tally import ColumnTracker

if TYPE_CHECKING:
    from collections.abc import Sequence

LAST = "last"

_ANYWHERE = frozenset(["label", "target"])
_AT_AN_END = frozenset(["class", "y"])
_MAX_TEXT_CLASSES = 50
_MAX_NUMBER_CLASSES = 20
_FEWEST_IDS = 10
_SHOWN_NAMES = 40
_SHOWN_ROWS = 3
_ID_DIGITS = 5
_ROUNDED_SHARE = 0.3
"""Prices and counts of people end in a zero more often than ids, of which a tenth does."""


@dataclass(frozen=True)
class ColumnSample:
    """The first rows of a table.

    Attributes:
        names: names of the columns; None if the table has no header.
        columns: (n_columns, n_rows) cells.
        nameless: indexes of the columns whose header cell is empty.
    """

    table: str
    names: tuple[str, ...] | None
    columns: tuple[tuple[str, ...], ...]
    nameless: tuple[int, ...] = ()

    @property
    def listed(self) -> str:
        """The names, for a message."""
        names = [
            f"{name!r} (has no name)" if index in self.nameless else repr(name)
            for index, name in enumerate(self.names or ())
        ]
        listed = ", ".join(names[:_SHOWN_NAMES])
        return listed if len(names) <= _SHOWN_NAMES else f"{listed}, … ({len(names)} in all)"

    @property
    def width(self) -> int:
        return len(self.columns) if self.names is None else len(self.names)


def label_index(sample: ColumnSample, setting: str | int | None, live: str | None) -> int:
    """Return the index of the label column.

    Args:
        sample: the first rows of the table.
        setting: `[data] label` of model.toml; None if it is not set.
        live: name of the live model's label; None without a live model.

    Raises:
        LabelUnclear: if the setting names no column, or if more or less than one column can be the
            label. The text lists the columns and says what to type.
    """
    if setting is not None:
        return _chosen(sample, setting)
    if sample.names is None:
        return _first_if_clear(sample)
    keys = [name_key(name) for name in sample.names]
    if live is not None and keys.count(name_key(live)) == 1:
        return keys.index(name_key(live))
    last = len(keys) - 1
    candidates = [
        index
        for index, key in enumerate(keys)
        if key.lower() in _ANYWHERE or (key.lower() in _AT_AN_END and index in {0, last})
    ]
    if len(candidates) == 1:
        return candidates[0]
    raise _unclear_names(sample, candidates)


def _chosen(sample: ColumnSample, setting: str | int) -> int:
    width = sample.width
    if isinstance(setting, int):
        if setting >= width:
            raise LabelUnclear(
                f"{sample.table} has {width} columns, so [data] label cannot be {setting}",
                advice=f"The last one is {width - 1}, or 'last'",
            )
        return setting % width
    keys = [name_key(name) for name in sample.names or ()]
    if name_key(setting) in keys:
        return keys.index(name_key(setting))
    if setting == LAST:
        return width - 1
    if sample.names is None:
        raise LabelUnclear(
            f"{sample.table} has no header, so no column is named {setting!r}",
            advice="Say the position of the label, from 0, or 'last' (--label, or [data] label in "
            "model.toml)",
        )
    raise LabelUnclear(
        f"{sample.table} has no column {setting!r} ([data] label); it has {sample.listed}",
        advice="Name one of these with --label, or with [data] label in model.toml",
    )


def _first_if_clear(sample: ColumnSample) -> int:
    first, last = sample.columns[0], sample.columns[_last_with_values(sample)]
    if not first:
        return 0
    if _is_index(first):
        raise _unclear_position(sample, "its first column looks like row numbers")
    first_kind, last_kind = _classes_kind(first), _classes_kind(last)
    if last_kind and (first_kind is None or first_kind == last_kind == "texts"):
        raise _unclear_position(sample, "its last column looks like classes")
    return 0


def _is_index(cells: Sequence[str]) -> bool:
    """Return whether a column counts up, or has distinct whole numbers that are no quantity."""
    tracker = ColumnTracker(compares_ids=True)
    tracker.add(cells)
    if len(cells) < _FEWEST_IDS or tracker.ids is None:
        return False
    if tracker.ids == "counts":
        return True
    numbers = [int(cell.removesuffix(".0")) for cell in cells]
    is_dense = max(numbers) - min(numbers) < 2 * len(numbers)
    is_long = min(numbers) >= 10**_ID_DIGITS
    rounded = sum(number % 10 == 0 for number in numbers) / len(numbers)
    return is_dense or (is_long and rounded < _ROUNDED_SHARE)


def _classes_kind(cells: Sequence[str]) -> Literal["texts", "numbers"] | None:
    """Return whether a column holds few texts, or few whole numbers that repeat; else None."""
    shapes = [cell_shape(cell).kind for cell in cells]
    present = [cell for cell, kind in zip(cells, shapes, strict=True) if kind != "missing"]
    distinct = set(present)
    repeats = bool(present) and 2 * len(distinct) <= len(present)
    texts = sum(kind in {"text", "boolean", "marker"} for kind in shapes)
    if 2 * texts > len(present):
        few = len(distinct) <= _MAX_TEXT_CLASSES
        return "texts" if few and (repeats or len(present) < _MAX_NUMBER_CLASSES) else None
    whole = all(cell.removesuffix(".0").lstrip("+-").isdigit() for cell in distinct)
    return "numbers" if repeats and whole and len(distinct) <= _MAX_NUMBER_CLASSES else None


def _unclear_names(sample: ColumnSample, candidates: Sequence[int]) -> LabelUnclear:
    names = sample.names or ()
    if candidates:
        several = " and ".join(repr(names[index]) for index in candidates)
        why, likely = f"more than one of them could be the label: {several}", candidates
    else:
        why = "none of them is called label or target, so it is not clear which one to predict"
        likely = [
            index
            for index in (len(names) - 1, 0)
            if sample.columns and _classes_kind(sample.columns[index])
        ]
        if likely:
            could = " or ".join(repr(names[index]) for index in likely)
            why += f" (it could be {could})"
    typed, quoted = "NAME", '"NAME"'
    if likely:
        typed, quoted = _typed(names[likely[0]]), _toml(names[likely[0]])
    return LabelUnclear(
        f"{sample.table} has the columns {sample.listed}; {why}",
        advice=f"Name the label: refit put MODEL FILE --label {typed}, or [data] label = {quoted} "
        "in model.toml",
    )


def _unclear_position(sample: ColumnSample, why: str) -> LabelUnclear:
    first, index = sample.columns[0], _last_with_values(sample)
    last = sample.columns[index]
    typed, quoted = (LAST, f'"{LAST}"') if index == sample.width - 1 else (str(index), str(index))
    return LabelUnclear(
        f"{sample.table} has no header, and {why}, so it is not clear which column to predict: the "
        f"first ({_cells(first)}) or the last ({_cells(last)})",
        advice=f"Say it: refit put MODEL FILE --label 0, or --label {typed}, or another position "
        f"counted from 0 ([data] label = 0 or {quoted} in model.toml)",
    )


def _last_with_values(sample: ColumnSample) -> int:
    """Return the index of the last column with a value: lines may end in a delimiter."""
    indexes = range(len(sample.columns) - 1, 0, -1)
    return next((index for index in indexes if any(sample.columns[index])), 0)


def _cells(cells: Sequence[str]) -> str:
    return ", ".join(cells[:_SHOWN_ROWS]) + ", …"


def _typed(name: str) -> str:
    return name if name.replace("_", "").isalnum() else f'"{name}"'


def _toml(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
