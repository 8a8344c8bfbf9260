"""Tables of the generated pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table. The cells are Markdown: `escaped` makes it of a text."""
    return "".join(
        [f"| {' | '.join(header)} |\n|{'---|' * len(header)}\n"]
        + [f"| {' | '.join(cells)} |\n" for cells in rows]
    )


def escaped(text: str) -> str:
    """Return a text as one line of a cell."""
    return text.replace("|", "\\|").replace("\n", " ")


def meaning_of(field: dict[str, Any]) -> str:
    """Return the description of a field of a JSON schema as a cell."""
    return escaped(field.get("description", ""))
