"""Say what the text of a cell looks like, before the columns have a meaning.

These rules only help to recognize a delimiter and a header. `schema` decides what a value is.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Numbers as people write them: with a decimal comma, thousands separators, currency or percent.
_NUMBER_LIKE = re.compile(
    r"[-+\u2212]?\s?[$€£¥]?\s?(?=[.,]?[0-9])"
    r"(?:[0-9]{1,3}(?:[ .,'\u2019\u00a0\u202f][0-9]{3})+|[0-9]*)"
    r"(?:\.[0-9]*|,[0-9]+)?(?:[eE][-+]?[0-9]+)?\s?[%$€£¥]?"
)
_DATE_LIKE = re.compile(
    r"[0-9]{1,4}([-/.])[0-9]{1,2}\1[0-9]{1,4}(?:[T ][0-9:.,]+(?:Z|\s?[-+][0-9:]+)?)?"
)
_TYPED_SHARE = 0.9


def is_number_like(cell: str) -> bool:
    """Return whether a person would read the cell as a number."""
    return _NUMBER_LIKE.fullmatch(cell) is not None


def is_date_like(cell: str) -> bool:
    """Return whether a cell looks like a date, with or without a time."""
    return _DATE_LIKE.fullmatch(cell) is not None


def holds_numbers(cells: Sequence[str]) -> bool:
    """Return whether nearly all of these cells, which have a value, look like numbers."""
    return sum(map(is_number_like, cells)) >= _TYPED_SHARE * len(cells)


def normal_name(name: str) -> str:
    """Return the form in which names are compared: `ö` is the same in one or two code points."""
    return unicodedata.normalize("NFC", name)
