"""Numbers of things in words."""

from __future__ import annotations


def counted(count: int, singular: str, plural: str | None = None) -> str:
    """Return a number with its noun: `1 row`, `2,000 rows`, `0 batches`.

    Args:
        count: how many.
        singular: the noun for one.
        plural: the noun for all other numbers; None for one that adds an s.
    """
    return f"{count:,} {singular if count == 1 else plural or f'{singular}s'}"
