"""Find the name that a person has probably meant."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST = 2


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question that ends in a blank, such as `did you mean 'eta'? `; empty if none fits.

    Args:
        name: what was written.
        known: what may be written.
    """
    by_key = {_key(candidate): candidate for candidate in known}
    if _key(name) in by_key:
        return f"did you mean {by_key[_key(name)]!r}? "
    matches = get_close_matches(_key(name), by_key, _MOST, cutoff=0.7)
    return f"did you mean {' or '.join(repr(by_key[key]) for key in matches)}? " if matches else ""


def _key(name: str) -> str:
    return name.strip().lower().replace("-", "_").replace(" ", "_")
