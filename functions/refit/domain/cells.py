"""Read one cell of a table: what is missing, what is a number, what is a truth value.

Preparation, the command line and the predict API all read cells by these rules.

A blank cell is missing in every column. The markers that programs write for a missing value (`NaN`,
`NULL`, `<NA>`, `#N/A`, …) are missing in every column as well. Markers that are also words (`NA`,
`None`, `?`, `-`, …) are missing among numbers, dates and truth values, and values among texts.
"""

from __future__ import annotations

import re
from decimal import Decimal

FLOAT32_MAX = 3.4028234663852886e38
"""XGBoost computes in float32, where a larger number would be infinite."""

MISSING_EVERYWHERE = frozenset(
    [
        "",
        "nan",
        "-nan",
        "null",
        "(null)",
        "<na>",
        "\\n",
        "#n/a",
        "#n/a n/a",
        "#na",
        "#null!",
        "#value!",
        "#div/0!",
        "#num!",
        "#ref!",
        "#name?",
        "0000-00-00",
        "0000-00-00 00:00:00",
        "1.#ind",
        "-1.#ind",
        "1.#qnan",
        "-1.#qnan",
    ]
)
"""Texts, in lower case, that no one means as a value: those of pandas, R, MySQL, Excel and C."""

MISSING_IN_NUMBERS = frozenset(
    ["na", "n/a", "n.a.", "none", "nil", "nat", "?", "-", "--", "—", "–", "."]
)
"""Texts, in lower case, that are missing everywhere but in columns of texts."""

TRUTH_VALUES = {"true": True, "false": False}
"""Texts, in lower case, that are truth values in every column without other texts."""

ASKED_TRUTH_VALUES = TRUTH_VALUES | {
    "yes": True,
    "no": False,
    "y": True,
    "n": False,
    "t": True,
    "f": False,
    "on": True,
    "off": False,
    "1": True,
    "0": False,
    "1.0": True,
    "0.0": False,
}
"""Texts, in lower case, that are truth values in a column that the settings call boolean."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")
_SHOWN_CHARACTERS = 60


def number_of(text: str) -> float | None:
    """Return the finite number in a cell, or None.

    Decimal notation only, with or without exponent; surrounding blanks are ignored. A number that
    float32 cannot hold is None.
    """
    text = text.strip(" \t")
    if not _NUMBER.match(text):
        return None
    value = float(text)
    return value if abs(value) <= FLOAT32_MAX else None


def is_missing(text: str) -> bool:
    """Return whether a cell of a column of numbers has no value."""
    lower = text.strip().lower()
    return lower in MISSING_EVERYWHERE or lower in MISSING_IN_NUMBERS


def number_text(value: float) -> str:
    """Return the shortest text that reads back as exactly this number: `5`, `0.1`, `1e+20`."""
    return repr(value).removesuffix(".0") if value else "0"


def class_text(text: str) -> str:
    """Return the canonical text of a class that is a number: `1`, `1.0` and `01` are the same.

    Whole numbers stay exact, whatever their length. Text that is not a number is returned without
    surrounding blanks.
    """
    value = number_of(text)
    if value is None:
        return text.strip()
    exact = Decimal(text.strip(" \t"))
    whole = exact.to_integral_value()
    return str(int(whole)) if exact == whole else number_text(value)


def shown(value: object) -> str:
    """Return a value as an error message shows it: quoted and shortened."""
    text = repr(value[:_SHOWN_CHARACTERS] if isinstance(value, str) else value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"
