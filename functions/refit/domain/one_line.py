"""Texts for fields of AWS that take one line without control characters."""

from __future__ import annotations

import unicodedata


def one_line(text: str, max_characters: int) -> str:
    r"""Return the text in one line of at most so many characters, as Java counts them.

    Control, format and unassigned characters become blanks, and blanks are joined: SageMaker's
    descriptions match neither line ends (`.*`) nor these characters (`[\p{L}\p{M}\p{Z}…]*`).
    The end of a text that is too long is cut. A character outside the basic plane counts twice.
    """
    shown = "".join(" " if unicodedata.category(char).startswith("C") else char for char in text)
    line = " ".join(shown.split())
    units = line.encode("utf-16-le")[: 2 * max_characters]
    return units.decode("utf-16-le", errors="ignore").rstrip()
