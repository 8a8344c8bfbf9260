"""What a cell looks like, before its column has a type.

The shapes of all cells of a column decide how it is read (`refit.tabular.reading_plan`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

from refit.domain.cells import (
    FLOAT32_MAX,
    MISSING_EVERYWHERE,
    MISSING_IN_NUMBERS,
    TRUTH_VALUES,
)
from refit.domain.date_forms import forms_of
from refit.domain.number_forms import NumberShape, shape_of

CellKind: TypeAlias = Literal[
    "missing", "marker", "number", "infinite", "boolean", "date", "unit", "text"
]
"""`marker` is a word that is missing among numbers and a value among texts; `unit` is a number with
a unit, such as `12 kg`."""

# `1st` and `11th` are ranks.
_UNIT = re.compile(r"[+-]?[0-9][0-9.,]*\s?(?!(?:st|nd|rd|th)\Z)([A-Za-zµ°][A-Za-z°/²³%]{0,5})\Z")


class CellShape(NamedTuple):
    """The shape of a cell: its kind, and of a number how it is written."""

    kind: CellKind
    number: NumberShape | None = None


MISSING = CellShape("missing")
_PLAIN_DIGITS = 15
PLAIN_NUMBER = CellShape("number", NumberShape("plain"))


_LONGEST_KEPT = 64
"""Longer cells are not kept in memory. They hardly ever repeat."""


def cell_shape(text: str) -> CellShape:
    """Return the shape of a cell without surrounding blanks."""
    return _shape(text) if len(text) > _LONGEST_KEPT else _kept_shape(text)


@lru_cache(maxsize=65_536)
def _kept_shape(text: str) -> CellShape:
    return _shape(text)


def _shape(text: str) -> CellShape:
    if len(text) <= _PLAIN_DIGITS and text.isascii() and text.isdigit():
        return PLAIN_NUMBER
    number = shape_of(text)
    return CellShape(_other_kind(text)) if number is None else CellShape("number", number)


def _other_kind(text: str) -> CellKind:
    lower = text.lower()
    kinds: tuple[tuple[CellKind, object], ...] = (
        ("missing", lower in MISSING_EVERYWHERE),
        ("marker", lower in MISSING_IN_NUMBERS),
        ("boolean", lower in TRUTH_VALUES),
        ("infinite", _is_infinite(text)),
        ("date", forms_of(text)),
        ("unit", _UNIT.match(text)),
    )
    return next((kind for kind, holds in kinds if holds), "text")


def _is_infinite(text: str) -> bool:
    try:
        return not abs(float(text)) <= FLOAT32_MAX
    except ValueError:
        return False
